"""/openapi.json: routes with a description, from the dataclasses that are decoded, so that the two cannot differ."""

import inspect
import json
import re
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Final, TypedDict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparekey import __version__
from sparekey.app.rest.operation import MOST_ROWS, Member, Operation
from sparekey.server.json_replies import JSON
from sparekey.wire import values
from sparekey.wire.agent_api import ErrorReply

PATH: Final = "/openapi.json"
SECURITY_SCHEMES: Final = {
    "client": {"type": "http", "scheme": "bearer", "description": "The key of an API client."},
    "session": {"type": "http", "scheme": "bearer", "description": "The token of a session (POST /v1/sessions)."},
}
_CODES: Final = {
    400: "The request does not match this description.",
    401: "The caller is unknown.",
    403: "The server does not allow this request.",
    404: "The object does not exist, or the caller may not see it.",
    409: "The request conflicts with the present state.",
    408: "The body took too long to arrive.",
    413: "The body is too large.",
    429: "Too many requests are waiting.",
    503: "The server is temporarily unavailable.",
}


Handler = Callable[[Request], Awaitable[Response]]
Description = dict[str, object]
"""An operation object (OpenAPI 3.1, section 4.8.10), or a part of one."""


class Document(TypedDict):
    """An OpenAPI object (section 4.8.1). `paths`: the descriptions by path and method."""

    openapi: str
    info: Mapping[str, str]
    paths: Mapping[str, Mapping[str, Description]]
    components: Mapping[str, object]


class DescribedRoute(Route):
    """A route in /openapi.json. Its description is made when that file is requested, because there are many routes."""

    def __init__(self, method: str, path: str, handler: Handler, describe: Callable[[], Description]) -> None:
        """`describe`: returns the operation object (OpenAPI 3.1, section 4.8.10)."""
        super().__init__(path, handler, methods=[method])
        self.method: Final = method
        self.describe: Final = describe


@dataclass(frozen=True, kw_only=True)
class Messages:
    """The message dataclasses that a route reads and returns. `reply`: also a media type of bytes, or None (204)."""

    request: type[object] | None = None
    reply: type[object] | str | None = None
    errors: tuple[int, ...] = ()
    headers: tuple[str, ...] = ()
    security: tuple[str, ...] = ()


def described_route(method: str, path: str, handler: Handler, tag: str, messages: Messages) -> DescribedRoute:
    """Return a route. The name and docstring of its handler are its texts in the description."""

    def describe() -> Description:
        name = handler.__name__
        return {
            "tags": [tag],
            "summary": name.replace("_", " ").title(),
            "description": inspect.getdoc(handler),
            "operationId": re.sub(r"\W", "_", f"{name}{path}_{method.lower()}"),
            **_described(messages),
        }

    return DescribedRoute(method, path, handler, describe)


def operation_route(operation: Operation, handler: Handler) -> DescribedRoute:
    """Return the route of an operation over REST."""
    return DescribedRoute(operation.method, operation.path, handler, partial(_described_operation, operation))


def document(routes: Iterable[BaseRoute]) -> Document:
    """Return the OpenAPI document of the routes that have a description."""
    paths: dict[str, dict[str, Description]] = {}
    for route in routes:
        if isinstance(route, DescribedRoute):
            paths.setdefault(route.path, {})[route.method.lower()] = route.describe()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sparekey",
            "summary": "Sign-in with two factors, online, and the data that make it work offline.",
            "version": __version__,
        },
        "paths": paths,
        "components": {"securitySchemes": SECURITY_SCHEMES},
    }


def document_route(routes: Sequence[BaseRoute]) -> Route:
    """Return the route GET /openapi.json. The document of these routes is written at the first request."""
    written = cache(lambda: json.dumps(document(routes), separators=(",", ":"), ensure_ascii=False).encode())

    async def openapi(_: Request) -> Response:
        return Response(written(), media_type=JSON)

    return Route(PATH, openapi, methods=["GET"])


def _described(messages: Messages) -> Description:
    described: Description = {}
    if messages.headers:
        described["parameters"] = [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in messages.headers
        ]
    if messages.request is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": values.schema_of(messages.request, limits=values.OF_MESSAGES)}},
        }
    described["responses"] = _answers(messages.reply) | _refusals(*messages.errors)
    if messages.security:
        described["security"] = [{name: []} for name in messages.security]
    return described


def _answers(reply: type[object] | str | None) -> Description:
    if reply is None:
        return {"204": {"description": "Done."}}
    if isinstance(reply, str):
        content = {reply: {"schema": {"type": "string", "format": "binary"}}}
    else:
        content = {JSON: {"schema": values.schema_of(reply, limits=values.OF_REPLIES)}}
    return {"200": {"description": "The answer.", "content": content}}


def _described_operation(operation: Operation) -> Description:
    in_path = [member for member in operation.members if member.name in operation.path_names]
    others = [member for member in operation.members if member.name not in operation.path_names]
    parameters = [_parameter(member, "path") for member in in_path]
    if operation.only_looks:
        parameters += [_parameter(member, "query") for member in others]
    described: Description = {
        "tags": ["administration"],
        "summary": operation.words,
        "operationId": operation.name,
        "security": [{"session": []}, {"client": []}],
        "parameters": parameters,
        "responses": _answer_of(operation) | _refusals(400, 401, 403, 404, 409, 413, 503),
        "x-permission": _permissions(operation),
        "x-second-factor": operation.needs_fresh_second_factor,
    }
    if others and not operation.only_looks:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": _body_schema(others)}}}
    return described


def _parameter(member: Member, place: str) -> Description:
    schema = values.schema_of(member.kind)
    if place == "query" and "anyOf" in schema:  # a parameter that may be null is left out instead
        schema = next(option for option in schema["anyOf"] if option.get("type") != "null")
    if member.name == "limit":
        schema |= {"minimum": 1, "maximum": MOST_ROWS}
    return {"name": member.name, "in": place, "required": place == "path" or member.needed, "schema": schema}


def _body_schema(members: list[Member]) -> Description:
    return {
        "type": "object",
        "properties": {member.name: values.schema_of(member.kind) for member in members},
        "required": [member.name for member in members if member.needed],
        "additionalProperties": False,
    }


def _answer_of(operation: Operation) -> Description:
    kind = operation.result
    if kind is type(None):
        return {"204": {"description": "Done."}}
    schema = values.schema_of(kind, exact=False, limits=values.OF_REPLIES)
    if values.is_list(kind):
        members: Description = {"items": schema}
        if operation.pages_by:
            members["next"] = {"type": ["string", "integer", "null"]}
        schema = {"type": "object", "properties": members, "required": [*members]}
    elif not values.is_object(kind):
        schema = {"type": "object", "properties": {operation.answers: schema}, "required": [operation.answers]}
    answers: Description = {"200": {"description": "The answer.", "content": {"application/json": {"schema": schema}}}}
    if type(None) in typing.get_args(kind):
        answers["204"] = {"description": "There is none."}
    return answers


def _permissions(operation: Operation) -> object:
    if isinstance(operation.permission, str):
        return operation.permission.value
    return {str(name): needed.value for name, needed in operation.permission.items()}


def _refusals(*codes: int) -> Description:
    codes = (*codes, 408) if 413 in codes else codes  # a body that may be too large may also be too slow
    error = {"application/json": {"schema": _ERROR_SCHEMA}}
    return {str(code): {"description": _CODES[code], "content": error} for code in codes}


_ERROR_SCHEMA: Final = values.schema_of(ErrorReply, limits=values.OF_REPLIES)
