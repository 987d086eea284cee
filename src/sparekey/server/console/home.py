"""Home: what needs a person now."""

from sparekey.app import alarms, approvals
from sparekey.core.permissions import Permission
from sparekey.server.web.pages import Pages
from sparekey.server.web.replies import Reply
from sparekey.server.web.visits import Visit

pages = Pages("/console")
_SHOWN = 10


@pages.get("", None)
def home(visit: Visit) -> Reply:
    """Alarms that nobody has looked at, and passcodes that wait for a second person."""
    may_see_alarms = visit.may(Permission.AUDIT_VIEW)
    open_alarms = alarms.list_alarms(visit.instance, visit.actor, limit=_SHOWN) if may_see_alarms else []
    waiting = [
        each
        for each in approvals.list_approvals(visit.instance, visit.actor, limit=_SHOWN, now=visit.now)
        if each.state is approvals.ApprovalState.WAITING
    ]
    return visit.show("home.html", alarms=open_alarms, waiting=waiting, may_see_alarms=may_see_alarms)
