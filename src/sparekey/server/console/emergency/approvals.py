"""Approval requests: approve or refuse a request of another person (S43, S48)."""

from typing import Final

from sparekey.app.emergency import approvals
from sparekey.app.emergency.approvals import ApprovalState
from sparekey.core.permissions import Permission
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console/approvals")
_PAGE: Final = 50


@pages.get("", None)
def manage(visit: Visit) -> Reply:
    """Return the requests of the last 24 hours that the visitor may decide or has made."""
    after = visit.query.text("after")
    rows = approvals.list_approvals(visit.instance, visit.actor, _PAGE + 1, after, now=visit.now)
    shown = rows[:_PAGE]
    following = shown[-1].id if len(rows) > _PAGE else None
    return visit.show("approvals/manage.html", rows=shown, next=following, states=ApprovalState)


@pages.post("/{approval_id}/approve", Permission.EMERGENCY_APPROVE, again=manage, fresh=True)
def approve(visit: Visit) -> Reply:
    done = approvals.approve(visit.instance, visit.actor, visit.path["approval_id"], now=visit.now)
    return Redirect("/console", f"Approved. {done.asker} can now {approvals.in_words(done)}, once.")


@pages.post("/{approval_id}/refuse", Permission.EMERGENCY_APPROVE, again=manage, fresh=True)
def refuse(visit: Visit) -> Reply:
    done = approvals.refuse(visit.instance, visit.actor, visit.path["approval_id"], now=visit.now)
    return Redirect("/console", f"Refused. {done.asker} cannot {approvals.in_words(done)}.")
