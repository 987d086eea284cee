"""An event of the audit record as other programs get it: one JSON object in one line.

Rules: ASCII without control characters, so that a line is an event whatever a device put into it; ids stay beside the
names that they have now, for names change; the number of the batch orders events and says where to go on: rows are
chained in the order of batches, while row ids are given out before their transactions are committed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.json_value import Json

SCHEMA: Final = "sparekey/event/1"
_MICROSECONDS: Final = 1_000_000
_ALARM: Final = "alarm."


@dataclass(frozen=True)
class ExportedEvent:
    """A chained row of the record, with the names of whom it is about."""

    batch: int
    row: AuditRow
    user: str | None  # login
    token: str | None  # serial
    device: str | None  # name

    @property
    def is_alarm(self) -> bool:
        """Whether a person has to look at it."""
        return self.row.action.startswith(_ALARM)

    @property
    def members(self) -> Mapping[str, Json]:
        """What an event says, by name."""
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
        """One line. Longer than `longest`: without its detail, which the record still has."""
        line = line_of(self.members)
        if longest is None or len(line) <= longest:
            return line
        return line_of({**self.members, "detail": None, "detail_left_out": len(self.row.detail)})


def timestamp(at: int) -> str:
    """Unix microseconds in UTC, as RFC 3339 writes it."""
    seconds, fraction = divmod(at, _MICROSECONDS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:06d}Z"


def line_of(members: Mapping[str, Json]) -> str:
    """What an event says, in one line."""
    # ensure_ascii: control characters and U+2028 are escaped too
    return json.dumps(members, ensure_ascii=True, separators=(",", ":"))


def _detail(text: str) -> Json:
    try:
        detail: Json = json.loads(text)
    except ValueError:
        return text  # an intruder's row: shown as it stands
    return detail
