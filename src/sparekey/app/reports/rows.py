"""Rows of reports and of the audit log for files: plain members by name, the same at every interface."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from sparekey.app.audit_log.named_rows import NamedEvent
from sparekey.app.reports.reports import ForecastRow, ReportRow
from sparekey.core.audit_log.export import timestamp
from sparekey.json_value import Json

READINESS: Final = (
    "user",
    "name",
    "domain",
    "device",
    "ready_with",
    "days_left",
    "data_until",
    "emergency_tokencode_until",
    "emergency_passcode_until",
    "last_contact",
    "pending",
    "obstacle",
)
FORECAST: Final = ("user", "name", "domain", "device", "when", "at", "left", "emergency_until", "why")
EVENT: Final = (
    "id",
    "at",
    "by",
    "action",
    "result",
    "user",
    "token",
    "device",
    "actor",
    "account_id",
    "token_id",
    "device_id",
    "detail",
)


def rfc3339(at: int | None) -> str | None:
    """Return a unix second as text in UTC; None for None."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def readiness_members(row: ReportRow, at: int) -> Mapping[str, Json]:
    """Return the members of a row of the readiness report. `at`: the time of the report."""
    assessment = row.assessment
    return {
        "user": row.login,
        "name": row.name,
        "domain": row.domain,
        "device": row.device,
        "ready_with": assessment.readiness.value,
        "days_left": assessment.days_left(at),
        "data_until": rfc3339(assessment.data_until),
        "emergency_tokencode_until": rfc3339(assessment.emergency_tokencode_until),
        "emergency_passcode_until": rfc3339(assessment.emergency_passcode_until),
        "last_contact": rfc3339(row.last_contact),
        "pending": row.pending,
        "obstacle": assessment.obstacle.value if assessment.obstacle is not None else "",
    }


def forecast_members(row: ForecastRow, at: int) -> Mapping[str, Json]:
    """Return the members of a row of the forecast. `at`: the time of the report."""
    return {
        "user": row.login,
        "name": row.name,
        "domain": row.domain,
        "device": row.device,
        "when": "now" if row.at <= at else "this week",
        "at": rfc3339(row.at),
        "left": row.left.value,
        "emergency_until": rfc3339(row.emergency_until),
        "why": row.why,
    }


def event_members(row: NamedEvent) -> Mapping[str, Json]:
    """Return the members of an event. Ids are included beside names, because names change."""
    return {
        "id": row.id,
        "at": timestamp(row.at),
        "by": row.by,
        "action": row.action,
        "result": row.result,
        "user": row.user,
        "token": row.token,
        "device": row.device,
        "actor": row.actor,
        "account_id": row.account_id,
        "token_id": row.token_id,
        "device_id": row.device_id,
        "detail": json.loads(row.detail) | dict(row.people),
    }
