"""Online emergency access: give one temporary fixed tokencode or a set of one-time tokencodes, and end it."""

from typing import Final

from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.online import MOST_CODES, GivenAccess, Terms
from sparekey.app.emergency.showing import Showing
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.emergency.online import EmergencyKind, IfAvailable
from sparekey.core.errors import BadInput
from sparekey.core.permissions import Permission
from sparekey.server.console.emergency.offline import TOKENCODES, page_of, tokencodes, tokencodes_of
from sparekey.server.web.fields import Fields
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console")
# Seconds until the codes are hidden: one code is read out, a set is written down or printed.
SHOWN_SECONDS: Final = {EmergencyKind.FIXED: 120, EmergencyKind.ONE_TIME: 900}


@pages.post(f"{TOKENCODES}/temporary", Permission.EMERGENCY_TEMPORARY, again=tokencodes, fresh=True)
def give(visit: Visit) -> Reply:
    """Give emergency access, and show its codes: only this reply holds them."""
    given = _given(visit, visit.path["serial"], visit.form)
    return page_of(visit, CodeKind.TOKENCODE, given=given, shown_seconds=SHOWN_SECONDS[given.kind])


@pages.post(f"{TOKENCODES}/temporary/end", Permission.EMERGENCY_TEMPORARY, again=tokencodes, fresh=True)
def end(visit: Visit) -> Reply:
    serial = visit.path["serial"]
    online_emergency.end(visit.instance, visit.actor, serial, now=visit.now)
    return Redirect(tokencodes_of(serial), "Online emergency access has ended. The token is accepted again.")


def _given(visit: Visit, serial: str, form: Fields) -> GivenAccess:
    terms, showing = _terms(visit, form), _showing(form)
    if form.text("kind") == EmergencyKind.ONE_TIME:
        count = form.number("count", "Number of one-time tokencodes", 1, MOST_CODES)
        return online_emergency.give_one_time(visit.instance, visit.actor, serial, count, terms, showing, now=visit.now)
    return online_emergency.give_fixed(visit.instance, visit.actor, serial, terms, showing, now=visit.now)


def _showing(form: Fields) -> Showing:
    """Return the facts about the caller. The fields have other names than in the offline form on the same page."""
    return Showing(
        form.text("given-caller", "How the caller was identified", needed=True),
        form.text("given-note", "Note"),
        form.text("given-ticket", "Ticket"),
    )


def _terms(visit: Visit, form: Fields) -> Terms:
    name = form.text("if-available") or IfAvailable.DENY
    if name not in set(IfAvailable):
        raise BadInput("choose what happens if the token becomes available", "select one of the three options")
    if form.text("lifetime") == "none":
        return Terms(None, IfAvailable(name))
    until = form.day("until", "Last day", visit.zone)
    if until is None:
        raise BadInput("the last day is missing", "choose a day, or choose no expiration")
    return Terms(None, IfAvailable(name), until)
