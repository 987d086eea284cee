"""JSON replies of the server: messages, objects, and errors in one form, {error, message, do}."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from sparekey.json_value import Json
from sparekey.wire.agent_api import ErrorReply
from sparekey.wire.messages import encode

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

JSON: Final = "application/json"
NOT_KEPT: Final = {"Cache-Control": "no-store"}  # for answers that may hold a secret


def answer(message: "DataclassInstance") -> Response:
    """Return a message as JSON."""
    return Response(encode(message), media_type=JSON)


def json_answer(value: Mapping[str, Json], headers: Mapping[str, str]) -> Response:
    """Return a JSON object in ASCII: text that a device reports may hold half a surrogate pair."""
    return Response(json.dumps(value, separators=(",", ":")), 200, headers, JSON)


def error_answer(status: int, reply: ErrorReply, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error reply; numbers are included only if they are relevant."""
    members = {name: value for name, value in vars(reply).items() if value != 0}
    return Response(json.dumps(members, separators=(",", ":"), ensure_ascii=False), status, headers, JSON)
