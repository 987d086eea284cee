"""Authentication > Tokens: the list, and changes to one token or several."""

from typing import Final
from urllib.parse import quote

from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens import resync as token_resync
from sparekey.app.tokens import tokens
from sparekey.app.tokens.tokens import TokenDetails, TokenSearch
from sparekey.core.errors import BadInput
from sparekey.core.permissions import Permission
from sparekey.core.plurals import counted
from sparekey.server.console.forms.choices import domain_options
from sparekey.server.console.forms.confirming import ask_first
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit
from sparekey.server.web.words import drift_of_clock

pages = Pages("/console/tokens")
_LIST: Final = "/console/tokens"
_PAGE: Final = 50
_ROWS: Final = 20  # of a token's history at a time
_PIN_TO_COME: Final = "Unless it is used without one, the user chooses a PIN at the first sign-in, or you set one here."


@pages.get("", Permission.TOKEN_VIEW)
def manage(visit: Visit) -> Reply:
    """Return the list (Manage Existing)."""
    asked = visit.query
    wanted = TokenSearch(asked.text("text"), *(asked.get(name, "") for name in ("domain", "type", "state", "order")))
    rows = tokens.search_tokens(visit.instance, visit.actor, wanted, _PAGE + 1, asked.get("after", ""), now=visit.now)
    shown = rows[:_PAGE]
    places = domain_options(visit, Permission.TOKEN_VIEW)
    next_one = shown[-1].serial if len(rows) > _PAGE else None
    return visit.show("tokens/manage.html", rows=shown, next=next_one, places=places)


@pages.post("/enabled", Permission.TOKEN_EDIT, again=manage)
def set_enabled_at_once(visit: Visit) -> Reply:
    """Enable or disable all selected tokens. Raises BadInput if no token is selected."""
    chosen, enabled = visit.form.all("serial"), visit.form.flag("on")
    if not chosen:
        raise BadInput("no token is selected", "select at least one")
    changed = tokens.set_enabled_at_once(visit.instance, visit.actor, chosen, enabled=enabled, now=visit.now)
    done, rest = "enabled" if enabled else "disabled", len(set(chosen)) - len(changed)
    said = f"{counted(len(changed), 'token')} {done}."
    if rest:
        said += f" Not changed: {counted(rest, 'token')}, already {done}."
    return Redirect(f"{_LIST}?{visit.query.but()}" if visit.query.but() else _LIST, said)


@pages.get("/{serial}", Permission.TOKEN_VIEW)
def token(visit: Visit) -> Reply:
    """Return the page of one token; `do` names the form that is open."""
    before = visit.query.number("before", "Older than", 1, 2**53, 2**53)
    found = tokens.show_token_with_events(visit.instance, visit.actor, visit.path["serial"], _ROWS + 1, before)
    rows, here = found.rows[:_ROWS], address_of(found.details.serial)
    return visit.show(
        "tokens/token.html",
        token=found.details,
        pin_rule=found.pin_rule,
        rows=rows,
        here=here,
        older=rows[-1].id if len(found.rows) > _ROWS else None,
        opened=visit.url.rpartition("/")[2] if visit.error else visit.query.get("do", ""),
    )


@pages.post("/{serial}/enabled", Permission.TOKEN_EDIT, again=token)
def set_enabled(visit: Visit) -> Reply:
    serial, enabled = visit.path["serial"], visit.form.flag("on")
    tokens.set_enabled(visit.instance, visit.actor, serial, enabled=enabled, now=visit.now)
    return _done(visit, f"{serial} is enabled." if enabled else f"{serial} is disabled. Its codes are rejected.")


@pages.post("/{serial}/lost", Permission.TOKEN_EDIT, again=token)
def set_lost(visit: Visit) -> Reply:
    serial, lost = visit.path["serial"], visit.form.flag("on")
    tokens.set_lost(visit.instance, visit.actor, serial, lost=lost, now=visit.now)
    if lost:
        return _done(
            visit,
            f"{serial} is marked as lost. The server rejects its codes. Devices reject them after their next "
            "contact. Its offline emergency tokencode still works.",
        )
    return _done(visit, f"{serial} is marked as found. Its codes are accepted again.")


@pages.post("/{serial}/expiry", Permission.TOKEN_EDIT, again=token)
def set_expiry(visit: Visit) -> Reply:
    serial = visit.path["serial"]
    until = visit.form.day("until", "Last day", visit.zone)
    expires_at = None if until is None else until + 1
    tokens.set_expiry(visit.instance, visit.actor, serial, expires_at=expires_at, now=visit.now)
    return _done(visit, f"{serial} does not expire." if until is None else f"{serial} expires at the end of that day.")


@pages.post("/{serial}/resync", Permission.TOKEN_EDIT, again=token)
def resync(visit: Visit) -> Reply:
    first, second = visit.form.secret("first"), visit.form.secret("second")
    found = _token(visit)
    done = token_resync.resync(visit.instance, visit.actor, found.serial, first, second, now=visit.now)
    done.verify_found()
    clock = drift_of_clock(done.drift, found.interval)
    said = f"{found.serial} is resynchronised."
    return _done(visit, f"{said} Its clock is {clock}." if clock else said)


@pages.post("/{serial}/pin", Permission.PIN_SET, again=token, fresh=True)
def set_pin(visit: Visit) -> Reply:
    serial, pin, must_change = visit.path["serial"], visit.form.secret("new-pin"), visit.form.flag("must-change")
    if pin != visit.form.secret("again"):
        raise BadInput("the two PINs are different", "type the same PIN twice")
    tokens.set_pin(visit.instance, visit.actor, serial, pin, must_change=must_change, now=visit.now)
    return _done(
        visit, "The PIN is set. The user must change it at the next sign-in." if must_change else "The PIN is set."
    )


@pages.get("/{serial}/clear-pin", Permission.PIN_SET)
def ask_clear_pin(visit: Visit) -> Reply:
    found = _token(visit)
    return _ask(
        visit,
        "clear-pin",
        f"Clear the PIN of {found.serial}",
        "Clear the PIN",
        f"At the next sign-in, {found.login} types only the code of the token and must choose a new PIN.",
        "Until then, anyone who has the token can choose that PIN.",
        "At their next contact, devices erase the offline data of this user, except the emergency passcode.",
    )


@pages.post("/{serial}/clear-pin", Permission.PIN_SET, again=token, fresh=True)
def clear_pin(visit: Visit) -> Reply:
    tokens.clear_pin(visit.instance, visit.actor, visit.path["serial"], now=visit.now)
    return _done(visit, "The PIN is cleared: the user chooses another one at the next sign-in.")


@pages.post("/{serial}/assign", Permission.TOKEN_ASSIGN, again=token, fresh=True)
def assign(visit: Visit) -> Reply:
    serial, login = visit.path["serial"], visit.form.text("user", "User name", needed=True)
    enable = visit.form.flag("enable")
    token_lifecycle.assign(visit.instance, visit.actor, serial, login, enable=enable, now=visit.now)
    return _done(visit, f"{serial} is assigned to {login}. {_PIN_TO_COME}")


@pages.get("/{serial}/unassign", Permission.TOKEN_ASSIGN)
def ask_unassign(visit: Visit) -> Reply:
    found = _token(visit)
    return _ask(
        visit,
        "unassign",
        f"Unassign {found.serial}",
        "Unassign",
        f"{found.login or 'No user'} has this token. Its PIN and its emergency codes end, and the token is disabled.",
        "Devices still accept the token offline until their next contact. You can assign the token again later.",
    )


@pages.post("/{serial}/unassign", Permission.TOKEN_ASSIGN, again=token, fresh=True)
def unassign(visit: Visit) -> Reply:
    serial = visit.path["serial"]
    login = token_lifecycle.unassign(visit.instance, visit.actor, serial, now=visit.now)
    return _done(visit, f"{serial} was unassigned from {login}. Devices erase its offline data at their next contact.")


@pages.post("/{serial}/replace", Permission.TOKEN_ASSIGN, again=token, fresh=True)
def replace(visit: Visit) -> Reply:
    serial, new = visit.path["serial"], visit.form.text("new", "Serial number of the new token") or None
    keep_pin = visit.form.get("which-pin") != "new"
    done = token_lifecycle.replace(visit.instance, visit.actor, serial, new, keep_pin=keep_pin, now=visit.now)
    pin = "The PIN is unchanged." if done.pin_kept else _PIN_TO_COME
    return Redirect(address_of(done.new), f"{done.new} replaced {done.old} for {done.login}. {pin}")


@pages.get("/{serial}/remove", Permission.TOKEN_REMOVE)
def ask_remove(visit: Visit) -> Reply:
    found = _token(visit)
    holder = f"{found.login} has this token. It will be unassigned. " if found.login else ""
    return _ask(
        visit,
        "remove",
        f"Remove {found.serial}",
        "Remove permanently",
        f"{holder}The token is deleted and cannot be restored. Its events stay in the audit log.",
        fields={"from-user": found.login or ""},
    )


@pages.post("/{serial}/remove", Permission.TOKEN_REMOVE, again=token, fresh=True)
def remove(visit: Visit) -> Reply:
    serial, assigned_too = visit.path["serial"], visit.form.flag("from-user")
    token_lifecycle.remove(visit.instance, visit.actor, serial, assigned_too=assigned_too, now=visit.now)
    return Redirect(_LIST, f"{serial} was removed.")


def address_of(serial: str) -> str:
    """Return the address of a token's page."""
    return f"{_LIST}/{quote(serial, safe='')}"


def _token(visit: Visit) -> TokenDetails:
    return tokens.show_token(visit.instance, visit.actor, visit.path["serial"])


def _done(visit: Visit, said: str) -> Redirect:
    return Redirect(address_of(visit.path["serial"]), said)


def _ask(
    visit: Visit, act: str, title: str, button: str, *sentences: str, fields: dict[str, str] | None = None
) -> Reply:
    here = address_of(visit.path["serial"])
    crumbs = ((_LIST, "Tokens"), (here, visit.path["serial"]))
    return ask_first(visit, title, button, f"{here}/{act}", *sentences, crumbs=crumbs, fields=fields)
