"""Finds the party of each request, and lets its work begin in turn: the outermost part of the ASGI application."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from sparekey.core.networks import is_within
from sparekey.server.admission.parties import Party, begin_request, current_party, end_request
from sparekey.server.admission.sources import client_address, source_of
from sparekey.server.admission.turns import Turns
from sparekey.server.settings import Settings

CONNECTION: str = "sparekey.connection"  # the extension in the scope that has the `connections.Connection`


class PartyOfRequest:
    """Set the party of each request, and the address of the client behind trusted proxies. Then wait for its turn.

    `recognise`: proves the party of a request by its head alone, if it was here lately. Else the request waits with
    all others of its source.
    """

    def __init__(self, app: ASGIApp, settings: Settings, recognise: Callable[[Request], object]) -> None:
        self._app = app
        self._settings = settings
        self._recognise = recognise
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        settings = self._settings
        peer: str = scope["client"][0] if scope.get("client") else ""
        connection = scope.get("extensions", {}).get(CONNECTION, {}).get("connection")
        address = peer
        if settings.trusted_proxies and is_within(peer, settings.trusted_proxies):
            address = client_address(peer, _forwarded(scope), settings.trusted_proxies)
            scope = {**scope, "client": (address, 0)}
            connection = None  # it is the proxy's, for all of its clients
        party = Party(source_of(address, settings.source_prefixes))
        if connection is not None:
            party.count_connection_for = connection.count_for
            party.rest_connection = connection.rest
        token = begin_request(party)
        try:
            self._recognise(Request(scope))
            await self._turns.wait(current_party())
            await self._app(scope, receive, send)
        finally:
            end_request(token)


def _forwarded(scope: Scope) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
