"""Alarms, their acknowledgement, and the hourly code limits of operators."""

import re
from collections.abc import Mapping
from typing import Any, Final

from sparekey.app.audit_log import alarms
from sparekey.app.emergency import rate_limit
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import Permission
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console")
_PAGE: Final = 50


def without_commands(text: str) -> str:
    """Return the text of an alarm without sentences that name a command: pages have buttons for that."""
    return " ".join(sentence for sentence in re.split(r"(?<=[.!?]) ", text) if "`" not in sentence)


# the values that `alarms/rows.html` uses
FOR_ROWS: Final[Mapping[str, Any]] = {"stopped": Action.ALARM_OPERATOR_STOPPED, "without_commands": without_commands}


@pages.get("/alarms", Permission.AUDIT_VIEW)
def manage(visit: Visit) -> Reply:
    """Return the open alarms, or all of them."""
    everything = visit.query.flag("all")
    rows = alarms.list_alarms(
        visit.instance, visit.actor, limit=_PAGE + 1, after=visit.query.text("after"), acknowledged=everything
    )
    shown = rows[:_PAGE]
    following = shown[-1].id if len(rows) > _PAGE else None
    return visit.show("alarms/manage.html", rows=shown, next=following, all=everything, **FOR_ROWS)


@pages.post("/alarms/{alarm_id}/acknowledge", Permission.ALARM_ACKNOWLEDGE, again=manage)
def acknowledge(visit: Visit) -> Reply:
    alarms.acknowledge(visit.instance, visit.actor, visit.path["alarm_id"], now=visit.now)
    return Redirect(_back(visit), "Alarm acknowledged.")


@pages.get("/operators", Permission.OPERATOR_LIFT)
def show_operators(visit: Visit) -> Reply:
    """Return the operators who showed emergency codes in the last hour."""
    found = rate_limit.list_operators(visit.instance, visit.actor, now=visit.now)
    return visit.show("alarms/operators.html", rows=found.items, cut=found.cut, hours=rate_limit.DEFAULT_HOURS)


@pages.post("/operators/{operator}/lift", Permission.OPERATOR_LIFT, again=show_operators, fresh=True)
def lift(visit: Visit) -> Reply:
    """Lift the hourly limit of an operator for a while."""
    name = visit.path["operator"]
    hours = visit.form.number("hours", "Hours", 1, rate_limit.MOST_HOURS, rate_limit.DEFAULT_HOURS)
    rate_limit.lift(visit.instance, visit.actor, name, hours, now=visit.now)
    return Redirect("/console/operators", f"The limit of {name} is lifted for {hours} hours.")


def _back(visit: Visit) -> str:
    """Return the page from which the alarm was acknowledged: the list, or Home."""
    return "/console/alarms" if visit.form.flag("in-list") else "/console"
