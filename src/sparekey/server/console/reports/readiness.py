"""Readiness for a network failure now or within a week: numbers, and the affected users."""

from typing import Final

from sparekey.app.reports import reports
from sparekey.app.reports.readiness import count_on
from sparekey.core.permissions import Permission
from sparekey.server.web.page_results import Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console/readiness")
_USERS: Final = 200  # users that are checked for one page of the list
COUNTED_AUTOMATICALLY: Final = 20_000  # up to this number of users, a page counts automatically


@pages.get("", Permission.REPORT_VIEW)
def forecast(visit: Visit) -> Reply:
    """Return the affected users, from a limited number of users per page."""
    after = visit.query.text("after")
    page = reports.forecast_page(visit.instance, visit.actor, _USERS, after, now=visit.now)
    return visit.show("readiness/forecast.html", rows=page.rows, next=page.next, users=_USERS)


@pages.get("/counts", Permission.REPORT_VIEW)
def counts(visit: Visit) -> Reply:
    """Count another thousand users; the part of Home that reloads automatically."""
    found = count_on(visit.instance, visit.actor, now=visit.now)
    template = "readiness/counts.html" if visit.partial else "readiness/counting.html"
    return visit.show(template, counts=found, counted_automatically=COUNTED_AUTOMATICALLY)
