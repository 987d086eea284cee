"""The pages Manage Emergency Access Tokencodes and Passcodes: find and show the code of the caller's device (S42).

They follow the procedure in docs/emergency-access.md. The menu of the token or user leads here; one click and one field
show the code. Only the reply to that form holds the code. Loading the page again shows none.
"""

from typing import Final
from urllib.parse import quote

from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency.approvals import ApprovalState
from sparekey.app.emergency.offline import SHOW_PERMISSIONS
from sparekey.app.emergency.overview import Overview, passcode_overview, tokencode_overview
from sparekey.app.emergency.second_person import ApprovalNeeded
from sparekey.app.emergency.showing import Showing
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.permissions import Permission
from sparekey.core.plurals import counted
from sparekey.server.console.emergency.words import MENDS, SENTENCES, TURNS_UP, circumstances, told
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console")
TOKENCODES, _PASSCODES = "/tokens/{serial}/emergency", "/users/{login}/emergency"
_UNTIL_THEN: Final = "Until then the device still holds, and accepts, the old one."


@pages.get(TOKENCODES, Permission.EMERGENCY_VIEW)
def tokencodes(visit: Visit) -> Reply:
    """Return the page Manage Emergency Access Tokencodes."""
    return page_of(visit, CodeKind.TOKENCODE)


@pages.get(_PASSCODES, Permission.EMERGENCY_VIEW)
def passcodes(visit: Visit) -> Reply:
    """Return the page Manage Emergency Access Passcodes."""
    return page_of(visit, CodeKind.PASSCODE)


@pages.post(f"{TOKENCODES}/show", SHOW_PERMISSIONS[CodeKind.TOKENCODE], again=tokencodes, fresh=True)
def show_tokencode(visit: Visit) -> Reply:
    return _shown(visit, CodeKind.TOKENCODE)


@pages.post(f"{_PASSCODES}/show", SHOW_PERMISSIONS[CodeKind.PASSCODE], again=passcodes, fresh=True)
def show_passcode(visit: Visit) -> Reply:
    return _shown(visit, CodeKind.PASSCODE)


@pages.get(f"{_PASSCODES}/requests", SHOW_PERMISSIONS[CodeKind.PASSCODE])
def requests(visit: Visit) -> Reply:
    """Return the approval requests: the part of the page that reloads automatically."""
    if not visit.partial:
        return passcodes(visit)
    found = passcode_overview(visit.instance, visit.actor, visit.path["login"], now=visit.now)
    return visit.show("emergency/requests.html", of=found, here=address_of(found), states=ApprovalState)


@pages.post(f"{TOKENCODES}/reset", Permission.EMERGENCY_RESET, again=tokencodes)
def reset_tokencode(visit: Visit) -> Reply:
    return _reset(visit, CodeKind.TOKENCODE)


@pages.post(f"{_PASSCODES}/reset", Permission.EMERGENCY_RESET, again=passcodes)
def reset_passcode(visit: Visit) -> Reply:
    return _reset(visit, CodeKind.PASSCODE)


@pages.post(f"{TOKENCODES}/save", Permission.EMERGENCY_ONLINE, again=tokencodes, fresh=True)
def save(visit: Visit) -> Reply:
    """Save: a reset, online use of the offline code, or both."""
    serial, form = visit.path["serial"], visit.form
    saved = emergency.save(
        visit.instance, visit.actor, serial, new_code=form.flag("reset"), online=form.flag("online"), now=visit.now
    )
    said = _said_of_reset(saved.reset_on)
    if saved.online is not None:
        said += " The server now accepts this code." if saved.online else " The server no longer accepts this code."
    return Redirect(tokencodes_of(serial), said.strip() or "Nothing was changed.")


def page_of(visit: Visit, kind: CodeKind, **more: object) -> Reply:
    """Return the page; `more` is a code to show on it."""
    name = _name(visit)
    overview = tokencode_overview if kind is CodeKind.TOKENCODE else passcode_overview
    found = overview(visit.instance, visit.actor, name, now=visit.now)
    given = {
        "of": found,
        "name": name,
        "here": address_of(found),
        "states": ApprovalState,
        "shown": None,
        "given": None,
        "sentences": SENTENCES,
        "mends": MENDS,
        "turns_up": TURNS_UP,
        "told": told,
        "circumstances": circumstances,
    }
    return visit.show("emergency/manage.html", secret=bool(more), **given | more)


def tokencodes_of(serial: str) -> str:
    """Return the address of a token's page."""
    return f"/console/tokens/{quote(serial, safe='')}/emergency"


def passcodes_of(login: str) -> str:
    """Return the address of a user's page."""
    return f"/console/users/{quote(login, safe='')}/emergency"


def address_of(found: Overview) -> str:
    """Return the address of this page."""
    return tokencodes_of(found.tokens[0].serial) if found.kind is CodeKind.TOKENCODE else passcodes_of(found.login)


def _shown(visit: Visit, kind: CodeKind) -> Reply:
    form = visit.form
    showing = Showing(
        form.text("caller", "How the caller was identified", needed=True),
        form.text("note", "Note"),
        form.text("ticket", "Ticket"),
    )
    device = form.text("device") or None
    try:
        code = emergency.show(visit.instance, visit.actor, kind, _name(visit), device, showing, now=visit.now)
    except ApprovalNeeded:
        if kind is CodeKind.TOKENCODE:
            raise  # the page says why: this code alone would not need an approval
        # Not a mistake in the form: the request for approval has been made.
        said = "Approval requested. You can show the code when another person has approved."
        return Redirect(passcodes_of(_name(visit)), said)
    return page_of(visit, kind, shown=code)


def _reset(visit: Visit, kind: CodeKind) -> Reply:
    name = _name(visit)
    here = tokencodes_of(name) if kind is CodeKind.TOKENCODE else passcodes_of(name)
    if not visit.form.flag("reset"):
        return Redirect(here, "Nothing was changed.")
    return Redirect(here, _said_of_reset(emergency.reset(visit.instance, visit.actor, kind, name, now=visit.now)))


def _said_of_reset(devices: int | None) -> str:
    if devices is None:
        return ""
    return (
        f"Code reset on {counted(devices, 'device')}. A new code is downloaded automatically the next time the user "
        f"signs in there online. {_UNTIL_THEN}"
    )


def _name(visit: Visit) -> str:
    return visit.path.get("serial") or visit.path["login"]
