"""The page Home: open alarms, waiting approvals, and the readiness of users for a day without a network."""

from typing import Final

from sparekey.app.audit_log import alarms
from sparekey.app.emergency import approvals
from sparekey.app.emergency.approvals import ApprovalState
from sparekey.app.reports.readiness import counted_so_far
from sparekey.core.permissions import Permission
from sparekey.server.console.audit_log.alarms import FOR_ROWS
from sparekey.server.console.reports.readiness import COUNTED_AUTOMATICALLY
from sparekey.server.web.page_results import Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console")
_SHOWN: Final = 10


@pages.get("", None)
def home(visit: Visit) -> Reply:
    """Return Home with open alarms, waiting approvals and readiness numbers."""
    may_see_alarms, may_see_reports = visit.may(Permission.AUDIT_VIEW), visit.may(Permission.REPORT_VIEW)
    found = alarms.list_alarms(visit.instance, visit.actor, limit=_SHOWN + 1) if may_see_alarms else []
    asked = approvals.list_approvals(visit.instance, visit.actor, limit=100, now=visit.now)
    waiting = [approval for approval in asked if approval.state in (ApprovalState.WAITING, ApprovalState.APPROVED)]
    counts = counted_so_far(visit.instance, visit.actor, now=visit.now) if may_see_reports else None
    return visit.show(
        "home.html",
        alarms=found[:_SHOWN],
        more_alarms=len(found) > _SHOWN,
        waiting=waiting,
        counts=counts,
        may_see_alarms=may_see_alarms,
        may_see_reports=may_see_reports,
        counted_automatically=COUNTED_AUTOMATICALLY,
        states=ApprovalState,
        **FOR_ROWS,
    )
