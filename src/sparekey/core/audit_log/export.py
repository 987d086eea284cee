"""Exports an event of the audit log for other programs: one JSON object per line.

Rules: a line is ASCII without control characters, so that a device cannot put a line end into it. Ids stand beside
names, because names change. The batch number orders events and tells a reader where to continue: rows are chained in
the order of batches, while the database assigns row ids before their transactions are committed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sparekey.core.audit_log.chain import AuditRow
from sparekey.json_value import Json

SCHEMA: Final = "sparekey/event/1"
_MICROSECONDS: Final = 1_000_000
_ALARM: Final = "alarm."


@dataclass(frozen=True)
class ExportedEvent:
    """A chained row of the audit log, with the current names of its user, token and device."""

    batch: int
    row: AuditRow
    user: str | None  # login
    token: str | None  # serial
    device: str | None  # name

    @property
    def is_alarm(self) -> bool:
        """True if a person must look at the event."""
        return self.row.action.startswith(_ALARM)

    @property
    def members(self) -> Mapping[str, Json]:
        """Return the members of the JSON object."""
        row = self.row
        return {
            "schema": SCHEMA,
            "batch": self.batch,
            "id": row.id,
            "at": timestamp(row.at),
            "actor": row.actor,
            "action": row.action,
            "result": row.result,
            "alarm": self.is_alarm,
            "account_id": row.account_id,
            "user": self.user,
            "token_id": row.token_id,
            "token": self.token,
            "device_id": row.device_id,
            "device": self.device,
            "detail": _detail(row.detail),
        }

    def as_json(self, longest: int | None = None) -> str:
        """Return the event as one line. If it exceeds `longest`, the detail is left out; the log still has it."""
        line = line_of(self.members)
        if longest is None or len(line) <= longest:
            return line
        return line_of({**self.members, "detail": None, "detail_left_out": len(self.row.detail)})


def timestamp(at: int) -> str:
    """Return unix microseconds as an RFC 3339 timestamp in UTC."""
    seconds, fraction = divmod(at, _MICROSECONDS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:06d}Z"


def line_of(members: Mapping[str, Json]) -> str:
    """Return the members as one line of JSON."""
    # ensure_ascii: control characters and U+2028 are escaped too
    return json.dumps(members, ensure_ascii=True, separators=(",", ":"))


def _detail(text: str) -> Json:
    try:
        detail: Json = json.loads(text)
    except ValueError:
        return text  # a row that an intruder changed: shown as it is
    return detail
