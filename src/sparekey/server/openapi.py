"""Describes messages for /openapi.json from the dataclasses that are decoded, so that the two cannot differ."""

import dataclasses
import typing
from typing import Any, Final

from sparekey.app.rest.operation import MOST_ROWS, Member, Operation
from sparekey.wire import values
from sparekey.wire.agent_api import ErrorReply

_SIMPLE: Final = {str: "string", int: "integer", bool: "boolean"}
SECURITY_SCHEMES: Final = {
    "client": {"type": "http", "scheme": "bearer", "description": "The key of an API client."},
    "session": {"type": "http", "scheme": "bearer", "description": "The token of a session (POST /v1/sessions)."},
}
_CODES: Final = {
    400: "The request is not as described.",
    401: "Who asks is not known.",
    403: "A rule forbids it.",
    404: "It is not there, or not for the one who asks.",
    409: "Something changed in the meantime.",
    408: "The body took too long to come.",
    413: "The body is too large.",
    429: "More is waiting than this server takes on.",
    503: "The server cannot answer now.",
}


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a message dataclass, or of the type of one of its members."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        return {
            "type": "object",
            "properties": {name: schema_of(hints[name]) for name in names},
            "required": [*values.needed_of(kind)],
            "additionalProperties": False,
        }
    if typing.get_origin(kind) is list:
        return {"type": "array", "items": schema_of(typing.get_args(kind)[0])}
    return {"type": _SIMPLE[kind]}


def described(
    request: type[Any] | None,
    reply: type[Any] | str,
    *errors: int,
    headers: tuple[str, ...] = (),
    security: tuple[str, ...] = (),
) -> dict[str, Any]:
    """`openapi_extra` of a route; `reply` is a dataclass or a media type of bytes."""
    content: dict[str, Any]
    if isinstance(reply, str):
        content = {reply: {"schema": {"type": "string", "format": "binary"}}}
    else:
        content = {"application/json": {"schema": schema_of(reply)}}
    responses: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    responses |= _refusals(*errors)
    extra: dict[str, Any] = {"responses": responses}
    if security:
        extra["security"] = [{name: []} for name in security]
    if request is not None:
        extra["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of(request)}},
        }
    if headers:
        extra["parameters"] = [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in headers
        ]
    return extra


def described_operation(operation: Operation) -> dict[str, Any]:
    """An operation, but for its summary."""
    in_path = [member for member in operation.members if member.name in operation.path_names]
    others = [member for member in operation.members if member.name not in operation.path_names]
    extra: dict[str, Any] = {
        "operationId": operation.name,
        "security": [{"session": []}, {"client": []}],
        "parameters": [_parameter(member, "path") for member in in_path],
        "responses": _answer_of(operation) | _refusals(400, 401, 403, 404, 409, 413, 503),
        "x-permission": _permissions(operation),
        "x-second-factor": operation.needs_fresh_second_factor,
    }
    if operation.only_looks:
        extra["parameters"] += [_parameter(member, "query") for member in others]
    elif others:
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": _body_schema(others)}}}
    return extra


def _parameter(member: Member, place: str) -> dict[str, Any]:
    schema = values.schema_of(member.kind)
    if place == "query" and "anyOf" in schema:  # what may be null is left out
        schema = next(each for each in schema["anyOf"] if each.get("type") != "null")
    if member.name == "limit":
        schema |= {"minimum": 1, "maximum": MOST_ROWS}
    return {"name": member.name, "in": place, "required": place == "path" or member.needed, "schema": schema}


def _body_schema(members: list[Member]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {member.name: values.schema_of(member.kind) for member in members},
        "required": [member.name for member in members if member.needed],
        "additionalProperties": False,
    }


def _answer_of(operation: Operation) -> dict[str, Any]:
    kind = operation.result
    if kind is type(None):
        return {"204": {"description": "Done."}}
    schema = values.schema_of(kind, exact=False)
    if values.is_list(kind):
        members = {"items": schema}
        if operation.pages_by:
            members["next"] = {"type": ["string", "integer", "null"]}
        schema = {"type": "object", "properties": members, "required": [*members]}
    elif not values.is_object(kind):
        schema = {"type": "object", "properties": {operation.answers: schema}, "required": [operation.answers]}
    answers = {"200": {"description": "The answer.", "content": {"application/json": {"schema": schema}}}}
    if type(None) in typing.get_args(kind):
        answers["204"] = {"description": "There is none."}
    return answers


def _permissions(operation: Operation) -> Any:
    if isinstance(operation.permission, str):
        return operation.permission.value
    return {str(name): needed.value for name, needed in operation.permission.items()}


def _refusals(*codes: int) -> dict[str, Any]:
    codes = (*codes, 408) if 413 in codes else codes  # what has a body may be too slow as well as too large
    error = {"application/json": {"schema": _ERROR_SCHEMA}}
    return {str(code): {"description": _CODES[code], "content": error} for code in codes}


_ERROR_SCHEMA: Final = schema_of(ErrorReply)
