"""Health checks of this process and its database, for service managers and load balancers."""

from dataclasses import dataclass

from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.server.json_replies import answer
from sparekey.server.openapi import Messages, described_route
from sparekey.server.service import Service


@dataclass(frozen=True)
class Health:
    status: str  # ok


def routes(service: Service) -> list[Route]:
    """Return the routes GET health (checks nothing) and GET ready (checks the database)."""

    async def health(_: Request) -> Response:
        """Report that this process answers."""
        return answer(Health("ok"))

    async def ready(_: Request) -> Response:
        """Report that the database answers, too."""
        await service.contacts.run(_ask, service)
        return answer(Health("ok"))

    return [
        described_route("GET", "/health", health, "health", Messages(reply=Health)),
        described_route("GET", "/ready", ready, "health", Messages(reply=Health, errors=(503,))),
    ]


def _ask(service: Service) -> None:
    with service.instance.database.read() as connection:
        connection.execute(text("SELECT 1"))
