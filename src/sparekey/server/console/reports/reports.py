"""Readiness reports, on pages and as files."""

import itertools
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from sparekey.app.reports import reports
from sparekey.app.reports.rows import FORECAST, READINESS, forecast_members, readiness_members
from sparekey.core.errors import BadInput, Conflict
from sparekey.core.permissions import Permission
from sparekey.core.row_files import as_csv
from sparekey.json_value import Json
from sparekey.server.web.page_results import Download, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console/reports")
MOST_ROWS: Final = 25_000  # of a download, which takes some seconds
_USERS: Final = 100  # users on one page


@pages.get("", Permission.REPORT_VIEW)
def readiness(visit: Visit) -> Reply:
    """Return the readiness of every user on each device, some users per page."""
    after = visit.query.text("after")
    page = reports.readiness_page(visit.instance, visit.actor, _USERS, after, now=visit.now)
    return visit.show("reports/readiness.html", rows=page.rows, next=page.next, most=MOST_ROWS)


@pages.get(":readiness", Permission.REPORT_VIEW, whole=False)
def readiness_file(visit: Visit) -> Reply:
    rows = (readiness_members(row, visit.now) for row in reports.readiness(visit.instance, visit.actor, now=visit.now))
    return _file(visit, "readiness", READINESS, rows)


@pages.get(":forecast", Permission.REPORT_VIEW, whole=False)
def forecast_file(visit: Visit) -> Reply:
    rows = (forecast_members(row, visit.now) for row in reports.forecast(visit.instance, visit.actor, now=visit.now))
    return _file(visit, "forecast", FORECAST, rows)


def _file(visit: Visit, name: str, columns: tuple[str, ...], rows: Iterator[Mapping[str, Json]]) -> Reply:
    """Return the file with all rows. Raises Conflict if there are too many: a reader would miss a cut."""
    kind = visit.query.text("as") or "csv"
    if kind not in ("csv", "json"):
        raise BadInput("this file format does not exist", "choose CSV or JSON")
    found = list(itertools.islice(rows, MOST_ROWS + 1))
    if len(found) > MOST_ROWS:
        raise Conflict(
            f"this report has more than {MOST_ROWS:,} rows, which is too many for a download",
            f"on the server, run sparekey report {name} --csv to get all of them",
        )
    content = as_csv(columns, found) if kind == "csv" else json.dumps({"rows": found}, indent=1).encode()
    media_type = "text/csv" if kind == "csv" else "application/json"
    return Download(content, media_type, f"{name}-{datetime.fromtimestamp(visit.now, UTC):%Y%m%d-%H%M}.{kind}")
