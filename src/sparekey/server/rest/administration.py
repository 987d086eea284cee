"""Administration over REST: one route for each operation of `app.rest.registry`.

Rules: the caller is authenticated before any of the request body is read; dangerous operations need a second factor
from the last ten minutes, for every person; only the use case decides whether the caller may do it, except for files: a
caller without the permission to import cannot send one, and the number of files at once is limited (S08); requests are
parsed and replies are written outside the event loop; no reply may be cached.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.authorisation import verify_somewhere
from sparekey.app.rest.operation import LARGEST_BODY, Operation
from sparekey.app.rest.registry import OPERATIONS
from sparekey.app.sessions.callers import Caller
from sparekey.core.errors import SecondFactorNeeded
from sparekey.server.bodies import LargeBodyLimit, read_body
from sparekey.server.json_replies import NOT_KEPT, json_answer
from sparekey.server.openapi import operation_route
from sparekey.server.rest.callers import get_caller
from sparekey.server.service import Service
from sparekey.wire.messages import BadMessage

_MOST_QUERY_MEMBERS: Final = 100

Query = Sequence[tuple[str, str]]


def routes(service: Service) -> list[Route]:
    """Every operation."""
    files = LargeBodyLimit()
    return [operation_route(operation, _handler(service, operation, files)) for operation in OPERATIONS]


def _handler(service: Service, operation: Operation, files: LargeBodyLimit) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        now, caller = await _admitted(service, request, operation)
        with files.one(is_file=operation.largest > LARGEST_BODY):
            body = b""
            if not operation.only_looks:
                body = await read_body(request, operation.largest)
                # Check again after reading the body: the caller may have been disabled during a slow upload.
                now, caller = await _admitted(service, request, operation)
            sent = (request.path_params, _query(request), body)
            return await service.administration.run(_done, service, operation, caller, *sent, now)

    return handle


def _done(
    service: Service, operation: Operation, caller: Caller, path: Mapping[str, str], query: Query, body: bytes, now: int
) -> Response:
    """Return the reply of the use case."""
    arguments = operation.read(path, query, body)
    at = {"now": now} if operation.takes_time else {}
    reply = operation.reply(operation.use_case(service.instance, caller.actor, **arguments, **at), arguments)
    return Response(status_code=204, headers=NOT_KEPT) if reply is None else json_answer(reply, NOT_KEPT)


async def _admitted(service: Service, request: Request, operation: Operation) -> tuple[int, Caller]:
    """Return the time and the caller. Raises RequestRejected, SecondFactorNeeded, or NotAllowed for a file from a
    caller without the permission to import."""
    now = service.now()
    caller = await get_caller(service, request, now)
    if operation.largest > LARGEST_BODY:
        verify_somewhere(caller.actor, operation.permission_for(request.path_params))
    if operation.needs_fresh_second_factor and not caller.has_fresh_second_factor(now):
        raise SecondFactorNeeded
    return now, caller


def _query(request: Request) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            request.url.query,
            keep_blank_values=True,
            strict_parsing=bool(request.url.query),
            errors="strict",
            max_num_fields=_MOST_QUERY_MEMBERS,
        )
    except ValueError:
        raise BadMessage("query", "NAME=VALUE&... in UTF-8") from None
