"""Health checks of this process and its database, for service managers and load balancers."""

import asyncio
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

    readiness = _Readiness(service)

    async def ready(_: Request) -> Response:
        """Report that the database answers, too."""
        await readiness.verify()
        return answer(Health("ok"))

    return [
        described_route("GET", "/health", health, "health", Messages(reply=Health)),
        described_route("GET", "/ready", ready, "health", Messages(reply=Health, errors=(503,))),
    ]


class _Readiness:
    """The check of the database. All who ask while one is under way share its result, so that a flood of questions
    costs one query at a time."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._check: asyncio.Task[None] | None = None

    async def verify(self) -> None:
        """Raise the error of the database if it does not answer."""
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._service.readiness.run(_ask, self._service))
        await asyncio.shield(self._check)


def _ask(service: Service) -> None:
    with service.instance.database.read() as connection:
        connection.execute(text("SELECT 1"))
