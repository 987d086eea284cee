"""The account pages: the visitor's passkeys and sessions, and those of other administrators."""

from typing import Final
from urllib.parse import quote

from sparekey.app.people import users
from sparekey.app.sessions import lists as session_lists
from sparekey.app.sessions import passkey_sign_ins, passkeys
from sparekey.app.sessions.administrators import name_of
from sparekey.core.permissions import Permission
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.passkeys import challenge_file, get_place, get_session
from sparekey.server.web.visits import Visit

pages = Pages("/console")
ACCOUNT: Final = "/console/account"
SECOND_FACTOR_CHALLENGE: Final = f"{ACCOUNT}/second-factor/challenge"
SESSIONS: Final = "/console/sessions"
_PAGE: Final = 50


@pages.get("/account", None)
def account(visit: Visit) -> Reply:
    """Return the passkeys and sessions of the visitor."""
    session = get_session(visit)
    return visit.show(
        "account/account.html",
        passkeys=passkeys.own_passkeys(visit.instance, session),
        sessions=session_lists.own_sessions(visit.instance, session, visit.now),
        this=name_of(session.id),
    )


@pages.post("/account/passkeys:add", None, again=account, fresh=True)
def new_passkey(visit: Visit) -> Reply:
    """Return the form that creates a passkey. It asks for the second factor first, so that no new passkey is lost."""
    get_place(visit)
    passkeys.verify_may_begin(visit.instance, get_session(visit))
    return visit.show("account/new.html")


@pages.post("/account/passkeys/challenge", None, again=account)
def registration_challenge(visit: Visit) -> Reply:
    """Return the challenge for a new passkey, for passkey.js."""
    return challenge_file(
        passkeys.ask_for_registration(visit.instance, get_place(visit), get_session(visit), visit.now)
    )


@pages.post("/account/passkeys", None, again=new_passkey, fresh=True)
def add_passkey(visit: Visit) -> Reply:
    name, answer = visit.form.text("name", "Name", needed=True), visit.form.get("passkey", "")
    made = passkeys.add_passkey(visit.instance, get_place(visit), get_session(visit), name, answer, visit.now)
    return Redirect(ACCOUNT, f"The passkey {made.name} was added. You can now sign in with it.")


@pages.post("/account/passkeys/{passkey}/remove", None, again=account)
def remove_own_passkey(visit: Visit) -> Reply:
    name = passkeys.remove_own_passkey(visit.instance, get_session(visit), visit.path["passkey"], visit.now)
    return Redirect(ACCOUNT, f"The passkey {name} was removed. Your other sessions were ended, too.")


@pages.post("/account/sessions/{session}/end", None, again=account)
def end_own_session(visit: Visit) -> Reply:
    session_lists.end_own_session(visit.instance, get_session(visit), visit.path["session"], visit.now)
    return Redirect(ACCOUNT, "The session was ended.")


@pages.post("/account/sessions/end-others", None, again=account)
def end_other_sessions(visit: Visit) -> Reply:
    ended = session_lists.end_other_sessions(visit.instance, get_session(visit), visit.now)
    return Redirect(ACCOUNT, "Your other sessions were ended." if ended else "You have no other sessions.")


@pages.post("/account/second-factor/challenge", None, again=account)
def second_factor_challenge(visit: Visit) -> Reply:
    """Return the challenge for a second factor, for passkey.js on any page."""
    place, session = get_place(visit), get_session(visit)
    return challenge_file(passkey_sign_ins.ask_for_second_factor(visit.instance, place, session, visit.now))


@pages.get("/sessions", Permission.SESSION_VIEW)
def sessions(visit: Visit) -> Reply:
    """Return the sessions of all administrators, over the console or REST."""
    after = visit.query.get("after", "")
    rows = session_lists.list_sessions(visit.instance, visit.actor, _PAGE + 1, after, now=visit.now)
    following = rows[_PAGE - 1].cursor if len(rows) > _PAGE else None
    return visit.show("account/sessions.html", rows=rows[:_PAGE], next=following, this=name_of(get_session(visit).id))


@pages.post("/sessions/{session}/end", Permission.SESSION_END, again=sessions)
def end_session(visit: Visit) -> Reply:
    session_lists.end_session_of(visit.instance, visit.actor, visit.path["session"], now=visit.now)
    return Redirect(SESSIONS, "The session was ended.")


@pages.get("/users/{login}/passkeys", Permission.USER_VIEW)
def passkeys_of(visit: Visit) -> Reply:
    """Return the passkeys of another user."""
    login = visit.path["login"]
    return visit.show(
        "account/passkeys.html",
        login=login,
        here=_address(login),
        user=_user(login),
        rows=passkeys.list_passkeys(visit.instance, visit.actor, login),
        domain=users.show_user(visit.instance, visit.actor, login).domain,
    )


@pages.post("/users/{login}/passkeys/{passkey}/remove", Permission.TOKEN_EDIT, again=passkeys_of)
def remove_passkey(visit: Visit) -> Reply:
    login = visit.path["login"]
    passkeys.remove_passkey(visit.instance, visit.actor, login, visit.path["passkey"], now=visit.now)
    return Redirect(_address(login), f"The passkey was removed, and the sessions of {login} were ended.")


def _user(login: str) -> str:
    return f"/console/users/{quote(login, safe='')}"


def _address(login: str) -> str:
    return f"{_user(login)}/passkeys"
