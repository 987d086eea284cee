"""Describes messages for /openapi.json from the dataclasses that are decoded, so that the two cannot differ."""

import dataclasses
import typing
from typing import Any, Final

from sparekey.wire.agent_api import ErrorReply

_SIMPLE: Final = {str: "string", int: "integer", bool: "boolean"}
_CODES: Final = {
    400: "The request is not as described.",
    401: "Who asks is not known.",
    403: "A rule forbids it.",
    409: "Something changed in the meantime.",
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
            "required": names,
            "additionalProperties": False,
        }
    if typing.get_origin(kind) is list:
        return {"type": "array", "items": schema_of(typing.get_args(kind)[0])}
    return {"type": _SIMPLE[kind]}


def described(
    request: type[Any] | None, reply: type[Any] | str, *errors: int, headers: tuple[str, ...] = ()
) -> dict[str, Any]:
    """`openapi_extra` of a route; `reply` is a dataclass or a media type of bytes."""
    content: dict[str, Any]
    if isinstance(reply, str):
        content = {reply: {"schema": {"type": "string", "format": "binary"}}}
    else:
        content = {"application/json": {"schema": schema_of(reply)}}
    responses: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    error = {"application/json": {"schema": schema_of(ErrorReply)}}
    responses |= {str(code): {"description": _CODES[code], "content": error} for code in errors}
    extra: dict[str, Any] = {"responses": responses}
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
