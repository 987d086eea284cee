"""Administration > Audit: events, their actors and subjects, filters, downloads, and the state of the signed chain."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sparekey.app.audit_log import reading as audit_reading
from sparekey.app.audit_log.named_rows import TIMES, NamedEvent
from sparekey.app.audit_log.reading import REFUSED, chain_state, list_events
from sparekey.app.reports.rows import EVENT, event_members
from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.audit_log.words import REASONS, WORDS
from sparekey.core.errors import BadInput, NotAllowed, SparekeyError
from sparekey.core.permissions import Permission
from sparekey.core.row_files import as_csv, as_json_lines
from sparekey.json_value import Json
from sparekey.server.web.fields import Fields
from sparekey.server.web.page_results import Download, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console/audit")
MOST_ROWS: Final = 10_000  # of a file
_PAGE: Final = 50
_GROUPS: Final = {
    "sign-in.": "Sign-ins",
    "emergency.": "Emergency codes and access",
    "alarm.": "Alarms",
    "token.": "Tokens and PINs",
    "user.": "Users",
    "account.": "Locks",
    "device.": "Devices",
    "policy.": "Policies",
    "domain.": "Security domains",
    "role.": "Roles",
    "client.": "API clients",
    "session.": "Administrators' sessions",
    "approval.": "Approvals",
}
_RESULTS: Final = ((OK, "done"), (REFUSED, "refused or failed"))
_KINDS: Final = {"csv": ("text/csv", "csv"), "jsonl": ("application/x-ndjson", "jsonl")}


@pages.get("", Permission.AUDIT_VIEW)
def manage(visit: Visit) -> Reply:
    """Return the newest events that match the filters."""
    wanted, error = _wanted(visit, visit.query)
    rows: Sequence[NamedEvent] = ()
    if error is None:
        before = visit.query.number("after", "Page", 1, 2**63 - 1, 2**63 - 1)
        try:
            rows = list_events(visit.instance, visit.actor, limit=_PAGE + 1, before=before, **wanted)
        except SparekeyError as found:
            error = found
    whole = visit.actor.may(Permission.AUDIT_VIEW, None)
    if isinstance(error, NotAllowed) and not whole and not _names_somebody(wanted):
        error = None  # the page says so in its own words
    shown = rows[:_PAGE]
    return visit.show(
        "audit/manage.html",
        rows=[(row, _about(row), _details(row)) for row in shown],
        whole=whole,
        wrong=error,
        next=str(shown[-1].id) if len(rows) > _PAGE else None,
        query=visit.query,
        most=MOST_ROWS,
        actions=_actions(),
        results=[("", "any"), *_RESULTS, *sorted(REASONS.items(), key=lambda each: each[1])],
        state=chain_state(visit.instance, visit.actor) if whole and not wanted else None,
        limit=audit_reading.MOST_WAITING,
        filtered=bool(wanted),
    )


@pages.get(":export", Permission.AUDIT_VIEW, whole=False)
def export(visit: Visit) -> Reply:
    """Return the newest events that match the filters as a file.

    Raises BadInput if the file format does not exist, and the error of a filter that is wrong.
    """
    kind = visit.query.text("as") or "jsonl"
    if kind not in _KINDS:
        raise BadInput("this file format does not exist", "choose CSV or JSON lines")
    wanted, error = _wanted(visit, visit.query)
    if error is not None:
        raise error
    rows = [event_members(row) for row in list_events(visit.instance, visit.actor, limit=MOST_ROWS, **wanted)]
    media_type, ending = _KINDS[kind]
    if kind == "csv":
        content = as_csv(EVENT, [{**row, "detail": json.dumps(row["detail"])} for row in rows])
    else:
        content = as_json_lines(rows)
    return Download(content, media_type, f"audit-{datetime.fromtimestamp(visit.now, UTC):%Y%m%d-%H%M}.{ending}")


def _wanted(visit: Visit, query: Fields) -> tuple[dict[str, Any], SparekeyError | None]:
    """Return the filters for the use case, and the mistake in them, if any."""
    try:
        given: dict[str, Any] = {
            "user": query.text("user", "User"),
            "serial": query.text("token", "Token"),
            "device": query.text("device", "Device"),
            "by": query.text("by", "Done by"),
            "result": query.text("result", "Result"),
            "actions": _chosen(query.text("action", "Event")),
            "since": _day_begins(visit, query, "from", "From"),
            "until": query.day("to", "To", visit.zone),
        }
    except SparekeyError as error:
        return {}, error
    return {name: value for name, value in given.items() if value}, None


def _day_begins(visit: Visit, query: Fields, name: str, label: str) -> int | None:
    end = query.day(name, label, visit.zone)
    if end is None:
        return None
    return int(datetime.fromtimestamp(end, visit.zone).replace(hour=0, minute=0, second=0).timestamp())


def _chosen(name: str) -> tuple[str, ...]:
    """Return the chosen actions: a group, or one. Raises BadInput."""
    found = tuple(
        action.value for action in Action if action.value == name or (name in _GROUPS and action.startswith(name))
    )
    if name and not found:
        raise BadInput("this kind of event does not exist", "choose one from the list")
    return found


def _actions() -> list[tuple[str, str]]:
    """Return the options of the filter: groups first, then actions by their text."""
    groups = [(prefix, words) for prefix, words in _GROUPS.items()]
    return [("", "all"), *groups, *sorted(WORDS.items(), key=lambda each: each[1])]


def _names_somebody(wanted: dict[str, Any]) -> bool:
    return any(wanted.get(name) for name in ("user", "serial", "device"))


def _about(row: NamedEvent) -> str:
    """Return the name of the changed object if it is no user, token or device."""
    detail: dict[str, Json] = json.loads(row.detail)
    return ", ".join(str(detail[name]) for name in ("name", "role", "domain") if isinstance(detail.get(name), str))


def _details(row: NamedEvent) -> list[tuple[str, str | int]]:
    """Return the other details of the row by name, with names in place of ids if known. A number is a unix second."""
    detail: dict[str, Json] = json.loads(row.detail) | dict(row.people)
    return [
        (name.replace("_", " "), value if name in TIMES and isinstance(value, int) else _plain(value))
        for name, value in detail.items()
        if value not in (None, "", [], {})
    ]


def _plain(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(each)}" for name, each in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)
