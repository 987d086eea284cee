"""Log events in the audit log, in the transaction of their effect: no event, no answer.

Rules: an event is committed with its effect or not at all. `detail` is canonical JSON and cannot hold a Secret or
bytes. Time is an argument.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from sqlalchemy import Connection

from sparekey.core.audit_log.actions import OK, Action
from sparekey.json_value import Json
from sparekey.storage.audit_log import events as rows

SYSTEM: Final = "system"  # the actor of automatic events

_LONGEST_DETAIL: Final = 16_384  # characters; a longer detail is a mistake of the caller


@dataclass(frozen=True)
class AuditEntry:
    """One event that happened or was refused."""

    at: int  # unix microseconds
    actor: str  # os:NAME, device:ID, client:ID, user:ID or system
    action: Action
    result: str = OK  # or the reason of the refusal
    account_id: str | None = None
    token_id: str | None = None
    device_id: str | None = None
    detail: Mapping[str, Json] = field(default_factory=dict)


def append(connection: Connection, entry: AuditEntry) -> None:
    """Add `entry` to the audit log in the caller's transaction. Raises TypeError if its detail holds a Secret."""
    rows.insert_row(connection, row_of(entry))


def row_of(entry: AuditEntry) -> dict[str, str | int | None]:
    """Return the values of the entry's row. Raises TypeError if its detail holds a Secret."""
    return {
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action.value,
        "account_id": entry.account_id,
        "token_id": entry.token_id,
        "device_id": entry.device_id,
        "result": str(entry.result),
        "detail": canonical_json(entry.detail),
    }


def canonical_json(detail: Mapping[str, Json]) -> str:
    """Return the detail as ASCII JSON with sorted members and no white space, so that equal details have equal hashes.

    Raises ValueError if it is too long, and TypeError if it holds a Secret or bytes.
    """
    text = _ENCODER.encode(detail) if detail else "{}"
    if len(text) > _LONGEST_DETAIL:
        raise ValueError(f"audit detail of {len(text)} characters; at most {_LONGEST_DETAIL} are kept")
    return text


def _refuse(value: object) -> NoReturn:
    # Names the type only: the value may be a secret.
    raise TypeError(f"audit detail cannot hold a {type(value).__name__}")


_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"), default=_refuse
)
