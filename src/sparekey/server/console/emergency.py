"""Manage Emergency Access Tokencodes, and Passcodes: which code the caller's device holds, and to read it out (S42).

The procedure is product.md's, step by step: from the token's menu, or the user's, to the code in one click and one
field.
"""

from urllib.parse import quote

from sparekey.app import emergency
from sparekey.app.emergency import SHOW_PERMISSIONS
from sparekey.app.showings import Showing
from sparekey.core.emergency import CodeKind
from sparekey.core.permissions import Permission
from sparekey.server.web.pages import Pages
from sparekey.server.web.replies import Reply, SentOn
from sparekey.server.web.visits import Visit

pages = Pages("/console")
_TOKENCODES, _PASSCODES = "/tokens/{serial}/emergency", "/users/{login}/emergency"


@pages.get(_TOKENCODES, Permission.EMERGENCY_VIEW)
def tokencodes(visit: Visit) -> Reply:
    """Manage Emergency Access Tokencodes."""
    return _page(visit, CodeKind.TOKENCODE)


@pages.get(_PASSCODES, Permission.EMERGENCY_VIEW)
def passcodes(visit: Visit) -> Reply:
    """Manage Emergency Access Passcodes."""
    return _page(visit, CodeKind.PASSCODE)


@pages.post(f"{_TOKENCODES}/show", SHOW_PERMISSIONS[CodeKind.TOKENCODE], again=tokencodes, fresh=True)
def show_tokencode(visit: Visit) -> Reply:
    return _shown(visit, CodeKind.TOKENCODE)


@pages.post(f"{_PASSCODES}/show", SHOW_PERMISSIONS[CodeKind.PASSCODE], again=passcodes, fresh=True)
def show_passcode(visit: Visit) -> Reply:
    return _shown(visit, CodeKind.PASSCODE)


@pages.post(f"{_TOKENCODES}/reset", Permission.EMERGENCY_RESET, again=tokencodes)
def reset_tokencode(visit: Visit) -> Reply:
    return _reset(visit, CodeKind.TOKENCODE)


@pages.post(f"{_PASSCODES}/reset", Permission.EMERGENCY_RESET, again=passcodes)
def reset_passcode(visit: Visit) -> Reply:
    return _reset(visit, CodeKind.PASSCODE)


def _page(visit: Visit, kind: CodeKind, **more: object) -> Reply:
    name = _name(visit)
    held = emergency.held_codes(visit.instance, visit.actor, kind, name)
    history = emergency.history(visit.instance, visit.actor, kind, name, limit=20)
    secret = bool(more)
    given = {"kind": kind, "name": name, "held": held, "history": history, "shown": None, "here": _address(visit, kind)}
    return visit.show("emergency/manage.html", secret=secret, **given | more)


def _shown(visit: Visit, kind: CodeKind) -> Reply:
    """The code is in this answer and nowhere else: loading the page again shows none."""
    form = visit.form
    showing = Showing(
        form.text("caller", "How the caller was identified", needed=True), form.text("note"), form.text("ticket")
    )
    device = form.text("device") or None
    code = emergency.show(visit.instance, visit.actor, kind, _name(visit), device, showing, now=visit.now)
    return _page(visit, kind, shown=code)


def _reset(visit: Visit, kind: CodeKind) -> Reply:
    emergency.reset(visit.instance, visit.actor, kind, _name(visit), now=visit.now)
    return SentOn(
        _address(visit, kind),
        "Reset. Each device fetches a new code at the next online sign-in; until then the old one goes on working.",
    )


def _name(visit: Visit) -> str:
    return visit.path.get("serial") or visit.path["login"]


def _address(visit: Visit, kind: CodeKind) -> str:
    noun = "tokens" if kind is CodeKind.TOKENCODE else "users"
    return f"/console/{noun}/{quote(_name(visit), safe='')}/emergency"
