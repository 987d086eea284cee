"""Errors of the server: every exception becomes one form, {error, message, do}, with a status.

Rules:
- An error says what to do, and reveals nothing about the inside of the server.
- Unexpected errors are logged by type and place only, because their messages may contain input (S65).
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sparekey.core.errors import BadInput, Conflict, NotAllowed, NotFound, SparekeyError
from sparekey.server.work import Busy
from sparekey.wire.agent_api import ErrorReply
from sparekey.wire.messages import BadMessage

_STATUS: Final[Mapping[type[SparekeyError], int]] = {BadInput: 400, NotAllowed: 403, NotFound: 404, Conflict: 409}
_log: Final = structlog.get_logger()


class RequestRejected(Exception):
    """A request that is rejected before any use case sees it."""

    def __init__(
        self, status: int, error: str, message: str, do: str, *, server_time: int = 0, retry_after: int = 0
    ) -> None:
        super().__init__(error)
        self.status = status
        self.reply = ErrorReply(error=error, message=message, do=do, server_time=server_time, retry_after=retry_after)


@dataclass(frozen=True)
class HttpFailure:
    """The status and body of an error reply."""

    status: int
    reply: ErrorReply
    headers: Mapping[str, str] | None = None


def failure_of(error: Exception) -> HttpFailure:
    """Return the error reply for an exception."""
    match error:
        case RequestRejected():
            wait = error.reply.retry_after
            return HttpFailure(error.status, error.reply, {"Retry-After": str(wait)} if wait else None)
        case SparekeyError():
            status = next((number for kind, number in _STATUS.items() if isinstance(error, kind)), 409)
            return HttpFailure(status, ErrorReply(error=error.error, message=error.message, do=error.do))
        case BadMessage():
            return HttpFailure(400, ErrorReply(error="bad-request", message=str(error), do="see /openapi.json"))
        case Busy():
            reply = ErrorReply(
                error="busy", message="more is waiting than this server takes on", do="try again in a moment"
            )
            return HttpFailure(503, reply, {"Retry-After": "1"})
    log_unforeseen(error)
    if is_unavailable(error):
        return HttpFailure(503, UNAVAILABLE)
    return HttpFailure(500, ErrorReply(error="failed", message="an internal error occurred", do="see the server's log"))


UNAVAILABLE: Final = ErrorReply(
    error="unavailable", message="the server is temporarily unavailable", do="try again in a moment"
)
NO_SUCH_ROUTE: Final = ErrorReply(
    error="no-such-route", message="this path does not exist, or not for this method", do="see /openapi.json"
)


def is_unavailable(error: Exception) -> bool:
    """Return True if the database could not be reached, which affects all callers alike."""
    return isinstance(error, OperationalError | PoolTimeout)


def log_unforeseen(error: BaseException) -> None:
    """Log the type and place of an error, never its message."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    _log.error("unforeseen error", kind=f"{type(error).__module__}.{type(error).__qualname__}", places=places)
