"""The party for which the current request works.

The ASGI application sets it at the start of each request, which runs in an asyncio task of its own. Whatever shares
something among parties reads it here.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Final


@dataclass
class Party:
    """A source, or a device, client or session that has proved its identity."""

    name: str
    count_connection_for: Callable[[str], None] = lambda _: None
    rest_connection: Callable[[float], None] = lambda _: None


_current: ContextVar[Party] = ContextVar("party")
_SERVER: Final = Party("server")  # of all work outside a request


def current_party() -> str:
    """Return the name of the party of this request."""
    return _current.get(_SERVER).name


def begin_request(party: Party) -> Token[Party]:
    """Set the party of the request that begins in this task. `end_request` takes the returned value."""
    return _current.set(party)


def end_request(token: Token[Party]) -> None:
    """Forget the party of the request."""
    _current.reset(token)


def rest_connection(seconds: float) -> None:
    """Read nothing from the connection of this request for a while after its answer, unless it is a proxy's."""
    _current.get(_SERVER).rest_connection(seconds)


def prove(name: str) -> None:
    """Count this request, and its connection, for a proven party from now on, such as `device:` and its id."""
    party = _current.get(None)
    if party is not None and party.name != name:
        party.name = name
        party.count_connection_for(name)
