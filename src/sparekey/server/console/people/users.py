"""Identity > Users: the list, and changes to one user or several."""

from typing import Final
from urllib.parse import quote

from sparekey.app.people import users
from sparekey.app.people.users import NEVER, UserEdit, UserSearch, UserView
from sparekey.app.reports import dashboard as user_dashboard
from sparekey.core.errors import BadInput
from sparekey.core.permissions import Permission
from sparekey.core.plurals import counted
from sparekey.server.console.forms.choices import domain_options
from sparekey.server.console.forms.confirming import ask_first
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit
from sparekey.server.web.words import day_field

pages = Pages("/console/users")
new_pages = Pages("/console/new-user")  # not below the page of users, because a login may be `new`
_LIST: Final = "/console/users"
_PAGE: Final = 50
_DISABLED: Final = (
    "A disabled user can no longer sign in anywhere online.",
    "Devices accept the offline data of the user until their next contact, and then erase it.",
    "Tokens, PINs and devices do not change. If you enable the user again, devices download new offline data.",
)


@pages.get("", Permission.USER_VIEW)
def manage(visit: Visit) -> Reply:
    """Return the list (Manage Existing)."""
    asked = visit.query
    wanted = UserSearch(asked.text("text"), asked.get("domain", ""), asked.get("state", ""), asked.get("order", ""))
    rows = users.search_users(visit.instance, visit.actor, wanted, _PAGE + 1, asked.get("after", ""))
    shown = rows[:_PAGE]
    places = domain_options(visit, Permission.USER_VIEW)
    next_one = shown[-1].login if len(rows) > _PAGE else None
    return visit.show("users/manage.html", rows=shown, next=next_one, places=places)


@pages.post("/enabled", Permission.USER_EDIT, again=manage)
def set_enabled_at_once(visit: Visit) -> Reply:
    """Enable or disable all selected users; disabling asks for confirmation."""
    chosen, enabled = _chosen(visit), visit.form.flag("on")
    if not enabled and not visit.form.flag("sure"):
        these = f"These {counted(len(chosen), 'user')}" if len(chosen) > 1 else "This user"
        return ask_first(
            visit,
            f"Disable {counted(len(chosen), 'user')}",
            "Disable",
            visit.url,
            f"{these}: {', '.join(chosen)}.",
            *_DISABLED,
            crumbs=[(_list(visit), "Users")],
            fields={"logins": " ".join(chosen), "sure": "yes"},
        )
    changed = users.set_enabled_at_once(visit.instance, visit.actor, chosen, enabled=enabled, now=visit.now)
    return _done_at_once(visit, chosen, changed, "enabled" if enabled else "disabled")


@pages.post("/unlock", Permission.USER_UNLOCK, again=manage)
def unlock_at_once(visit: Visit) -> Reply:
    """Unlock all selected users."""
    chosen = _chosen(visit)
    changed = users.unlock_at_once(visit.instance, visit.actor, chosen, now=visit.now)
    return _done_at_once(visit, chosen, changed, "unlocked")


@pages.get("/{login}", Permission.USER_VIEW)
def dashboard(visit: Visit) -> Reply:
    """Return the page of one user."""
    found = user_dashboard.show_dashboard(visit.instance, visit.actor, visit.path["login"], now=visit.now)
    return visit.show("users/dashboard.html", it=found, user=found.user, here=address_of(found.user.login))


@pages.get("/{login}/activity", Permission.USER_VIEW)
def activity(visit: Visit) -> Reply:
    """Return older activity."""
    before = visit.query.number("after", "The place to go on from", 0, 2**53, 0) or None
    user = _user(visit)
    rows = user_dashboard.list_activity(visit.instance, visit.actor, user.login, _PAGE + 1, before)
    shown = rows[:_PAGE]
    next_one = str(shown[-1].id) if len(rows) > _PAGE else None
    return visit.show("users/activity.html", user=user, here=address_of(user.login), rows=shown, next=next_one)


@new_pages.get("", Permission.USER_ADD)
def new_user(visit: Visit) -> Reply:
    """Return the form for a new user."""
    return visit.show("users/new.html", asked=visit.form, places=domain_options(visit, Permission.USER_ADD))


@new_pages.post("", Permission.USER_ADD, again=new_user)
def add_user(visit: Visit) -> Reply:
    form = visit.form
    login, end = form.text("user", "User name", needed=True), form.day("end", "Last day", visit.zone)
    users.add_user(
        visit.instance,
        visit.actor,
        login,
        form.text("domain", "Security domain", needed=True),
        form.text("name"),
        form.text("mail"),
        end,
        now=visit.now,
    )
    return Redirect(address_of(login), f"{login} was added. They need a token to sign in.")


@pages.get("/{login}/edit", Permission.USER_EDIT)
def edit(visit: Visit) -> Reply:
    """Return the form for name, mail address and last day."""
    user = _user(visit)
    end = day_field(user.expires_at, visit.zone)
    typed = visit.form if visit.error else {"name": user.name, "mail": user.mail, "end": end}
    return visit.show("users/edit.html", user=user, here=address_of(user.login), typed=typed)


@pages.post("/{login}/edit", Permission.USER_EDIT, again=edit)
def save(visit: Visit) -> Reply:
    user, form = _user(visit), visit.form
    end = form.day("end", "Last day", visit.zone)
    same_day = form.get("end", "").strip() == day_field(user.expires_at, visit.zone)
    changed = UserEdit(
        form.text("name", "Name", needed=True), form.text("mail"), None if same_day else NEVER if end is None else end
    )
    users.edit_user(visit.instance, visit.actor, user.login, changed, now=visit.now)
    return Redirect(address_of(user.login), "Saved.")


@pages.get("/{login}/move", Permission.USER_MOVE)
def ask_move(visit: Visit) -> Reply:
    """Return the form for another security domain."""
    user = _user(visit)
    places = domain_options(visit, Permission.USER_MOVE, but=user.domain)
    return visit.show("users/move.html", user=user, here=address_of(user.login), places=places)


@pages.post("/{login}/move", Permission.USER_MOVE, again=ask_move, fresh=True)
def move(visit: Visit) -> Reply:
    login, domain = visit.path["login"], visit.form.text("domain", "Security domain", needed=True)
    users.move_user(visit.instance, visit.actor, login, domain, now=visit.now)
    return Redirect(address_of(login), f"{login} was moved to {domain}. Its policies now apply.")


@pages.get("/{login}/disable", Permission.USER_EDIT)
def ask_disable(visit: Visit) -> Reply:
    user = _user(visit)
    here = address_of(user.login)
    crumbs = [(_LIST, "Users"), (here, user.login)]
    return ask_first(visit, f"Disable {user.login}", "Disable", f"{here}/enabled", *_DISABLED, crumbs=crumbs)


@pages.post("/{login}/enabled", Permission.USER_EDIT, again=dashboard)
def set_enabled(visit: Visit) -> Reply:
    login, enabled = visit.path["login"], visit.form.flag("on")
    users.set_enabled(visit.instance, visit.actor, login, enabled=enabled, now=visit.now)
    return Redirect(address_of(login), f"{login} is {'enabled' if enabled else 'disabled'}.")


@pages.post("/{login}/unlock", Permission.USER_UNLOCK, again=dashboard)
def unlock(visit: Visit) -> Reply:
    login = visit.path["login"]
    cleared = users.unlock(visit.instance, visit.actor, login, now=visit.now)
    if cleared:
        return Redirect(address_of(login), f"{login} was unlocked. Failures were reset.")
    return Redirect(address_of(login), f"{login} was not locked and had no failures. Nothing was changed.")


def address_of(login: str) -> str:
    """Return the address of a user's page."""
    return f"{_LIST}/{quote(login, safe='')}"


def _user(visit: Visit) -> UserView:
    return users.show_user(visit.instance, visit.actor, visit.path["login"])


def _chosen(visit: Visit) -> list[str]:
    """Return the selected users. Raises BadInput if there are none."""
    chosen = sorted({*visit.form.all("login"), *visit.form.get("logins", "").split()})
    if not chosen:
        raise BadInput("no user is selected", "select at least one")
    return chosen


def _done_at_once(visit: Visit, chosen: list[str], changed: list[str], done: str) -> Reply:
    rest = len(chosen) - len(changed)
    already = {"unlocked": "not locked"}.get(done, done)
    unchanged = f" Not changed: {counted(rest, 'user')}, already {already}." if rest else ""
    return Redirect(_list(visit), f"{counted(len(changed), 'user')} {done}.{unchanged}")


def _list(visit: Visit) -> str:
    """Return the address of the list with its current filters."""
    return f"{_LIST}?{visit.query.but()}" if visit.query.but() else _LIST
