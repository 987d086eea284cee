"""Whether this process answers, and whether its database does: for service managers and load balancers."""

from dataclasses import dataclass

from fastapi import APIRouter
from sqlalchemy import text
from starlette.responses import Response

from sparekey.server.openapi import described
from sparekey.server.replies import answer
from sparekey.server.service import Service


@dataclass(frozen=True)
class Health:
    status: str  # ok


def routes(service: Service) -> APIRouter:
    """GET health (asks nobody), GET ready (asks the database)."""
    router = APIRouter(tags=["health"])

    @router.get("/health", openapi_extra=described(None, Health))
    async def health() -> Response:
        """This process answers."""
        return answer(Health("ok"))

    @router.get("/ready", openapi_extra=described(None, Health, 503))
    async def ready() -> Response:
        """The database answers, too."""
        await service.contacts.run(_ask, service)
        return answer(Health("ok"))

    return router


def _ask(service: Service) -> None:
    with service.instance.database.read() as connection:
        connection.execute(text("SELECT 1"))
