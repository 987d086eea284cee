"""S61: a session of the console ends when it is idle, after half a day, and at once when it must."""

from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import users
from sparekey.app.sessions import lists as session_lists
from sparekey.app.sessions import passkeys
from sparekey.app.sessions.administrators import IDLE_SECONDS, LONGEST_SECONDS, find_session, name_of
from sparekey.app.tokens import tokens
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import NotAllowed, NotFound
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.web import cookies
from sparekey.server.web.rendering import MARK_FIELD
from sparekey.storage.people import accounts
from tests.app.administrators import add_tree, an_administrator
from tests.authenticators import PLACE, Authenticator
from tests.builders import LIMIT, NOW, ROOT, User, a_user, logged_events
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, make_administrator, run
from tests.server.operation_world import session_of
from tests.server.self_service_visitor import said, signed_in


def open_home(interfaces: Interfaces, token: Secret[str]) -> Reply:
    headers = {"host": "localhost", "cookie": f"{cookies.SESSION}={token.reveal()}"}
    return run(ask(interfaces.app, "GET", CONSOLE.account, headers=headers))


def sends(interfaces: Interfaces, token: Secret[str], path: str) -> Reply:
    headers = {
        "host": "localhost",
        "origin": "https://localhost",
        "content-type": "application/x-www-form-urlencoded",
        "cookie": f"{cookies.SESSION}={token.reveal()}",
    }
    return run(ask(interfaces.app, "POST", path, urlencode({MARK_FIELD: cookies.new_mark(token)}).encode(), headers))


def is_sent_to_the_sign_in(reply: Reply) -> bool:
    return reply.status == 303 and dict(reply.headers)[b"location"].startswith(CONSOLE.sign_in.encode())


@pytest.fixture
def carol(interfaces: Interfaces) -> User:
    user = a_user(interfaces.instance)
    make_administrator(interfaces.instance, user.login)
    return user


def test_s61_an_idle_session_ends(interfaces: Interfaces, carol: User) -> None:
    token = session_of(interfaces.instance, carol)
    interfaces.now[0] = NOW + IDLE_SECONDS - 1
    assert open_home(interfaces, token).status == 200
    interfaces.now[0] += IDLE_SECONDS
    assert is_sent_to_the_sign_in(open_home(interfaces, token))


def test_s61_a_session_ends_after_half_a_day_however_it_is_used(interfaces: Interfaces, carol: User) -> None:
    token = session_of(interfaces.instance, carol)
    for at in range(0, LONGEST_SECONDS, IDLE_SECONDS - 60):
        interfaces.now[0] = NOW + at
        assert open_home(interfaces, token).status == 200
    interfaces.now[0] = NOW + LONGEST_SECONDS
    assert is_sent_to_the_sign_in(open_home(interfaces, token))


def _signs_out(interfaces: Interfaces, carol: User, token: Secret[str]) -> None:
    assert is_sent_to_the_sign_in(sends(interfaces, token, CONSOLE.sign_out))


def _disabled(interfaces: Interfaces, carol: User, token: Secret[str]) -> None:
    users.set_enabled(interfaces.instance, ROOT, carol.login, enabled=False, now=NOW)


def _token_lost(interfaces: Interfaces, carol: User, token: Secret[str]) -> None:
    tokens.set_lost(interfaces.instance, ROOT, carol.serial, lost=True, now=NOW)


def _ended_from_another_one(interfaces: Interfaces, carol: User, token: Secret[str]) -> None:
    other = session_of(interfaces.instance, carol)
    assert sends(interfaces, other, f"{CONSOLE.account}/sessions/end-others").status == 303
    assert open_home(interfaces, other).status == 200


def _ended_by_name(interfaces: Interfaces, carol: User, token: Secret[str]) -> None:
    session, other = find_session(interfaces.instance, token, NOW), session_of(interfaces.instance, carol)
    assert session is not None
    assert sends(interfaces, other, f"{CONSOLE.account}/sessions/{name_of(session.id)}/end").status == 303


def _ended_by_an_administrator_above(interfaces: Interfaces, carol: User, token: Secret[str]) -> None:
    session = find_session(interfaces.instance, token, NOW)
    assert session is not None
    session_lists.end_session_of(interfaces.instance, ROOT, name_of(session.id), now=NOW)


def _passkey_removed(interfaces: Interfaces, carol: User, token: Secret[str]) -> None:
    session = find_session(interfaces.instance, token, NOW)
    assert session is not None
    answer = Authenticator().create(passkeys.ask_for_registration(interfaces.instance, PLACE, session, NOW))
    added = passkeys.add_passkey(interfaces.instance, PLACE, session, "key", answer, NOW)
    passkeys.remove_passkey(interfaces.instance, ROOT, carol.login, added.passkey, now=NOW)


ENDS: list[Callable[[Interfaces, User, Secret[str]], None]] = [
    _signs_out,
    _disabled,
    _token_lost,
    _ended_from_another_one,
    _ended_by_name,
    _ended_by_an_administrator_above,
    _passkey_removed,
]


@pytest.mark.parametrize("end", ENDS, ids=[each.__name__[1:] for each in ENDS])
def test_s61_the_old_cookie_is_refused_at_once(
    interfaces: Interfaces, carol: User, end: Callable[[Interfaces, User, Secret[str]], None]
) -> None:
    token = session_of(interfaces.instance, carol)
    assert open_home(interfaces, token).status == 200
    end(interfaces, carol, token)
    assert is_sent_to_the_sign_in(open_home(interfaces, token))


def test_s61_a_session_that_is_there_when_its_user_is_disabled_does_not_hold(
    interfaces: Interfaces, carol: User
) -> None:
    """Disabling ends sessions; one that begins in the very same moment is checked against its user, too."""
    token = session_of(interfaces.instance, carol)
    with interfaces.instance.database.write() as connection:
        accounts.set_enabled(connection, carol.account_id, enabled=False)
    assert is_sent_to_the_sign_in(open_home(interfaces, token))


def test_s63_ending_sessions_needs_the_permission_and_enough_rights(interfaces: Interfaces) -> None:
    instance: Instance = interfaces.instance
    add_tree(instance)
    chief, _ = an_administrator(instance, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    seller, _ = an_administrator(instance, ("help desk", "Sales"), domain="Sales")
    _, of_sales = an_administrator(instance, ("domain administrator", "Sales"), domain="Sales")
    _, of_support = an_administrator(instance, ("domain administrator", "Support"), domain="Support")
    _, desk = an_administrator(instance, ("help desk", TOP_DOMAIN))
    tokens_of = {user.login: session_of(instance, user) for user in (chief, seller)}
    names = {each.login: each.session for each in session_lists.list_sessions(instance, ROOT, now=NOW)}
    assert names.keys() == tokens_of.keys()
    assert [each.login for each in session_lists.list_sessions(instance, of_sales, now=NOW)] == [seller.login]
    assert session_lists.list_sessions(instance, of_support, now=NOW) == []
    for actor, login, error in (
        (of_support, seller.login, NotFound),
        (of_sales, chief.login, NotFound),
        (desk, seller.login, NotAllowed),
    ):
        with pytest.raises(error):
            session_lists.end_session_of(instance, actor, names[login], now=NOW)
    session_lists.end_session_of(instance, of_sales, names[seller.login], now=NOW)
    assert find_session(instance, tokens_of[seller.login], NOW) is None
    assert find_session(instance, tokens_of[chief.login], NOW) is not None


def test_sessions_are_listed_page_by_page(interfaces: Interfaces) -> None:
    people = [an_administrator(interfaces.instance, ("auditor", TOP_DOMAIN))[0] for _ in range(3)]
    for user in people:
        session_of(interfaces.instance, user)
        session_of(interfaces.instance, user)
    seen: list[str] = []
    after = ""
    while rows := session_lists.list_sessions(interfaces.instance, ROOT, 2, after, now=NOW):
        seen += [row.session for row in rows]
        after = rows[-1].cursor
    assert len(seen) == len(set(seen)) == 6


def _disabled_for_a_while(interfaces: Interfaces, carol: User, meanwhile: Callable[[], object]) -> None:
    users.set_enabled(interfaces.instance, ROOT, carol.login, enabled=False, now=NOW)
    meanwhile()
    users.set_enabled(interfaces.instance, ROOT, carol.login, enabled=True, now=NOW)


def _locked_for_a_while(interfaces: Interfaces, carol: User, meanwhile: Callable[[], object]) -> None:
    for _ in range(LIMIT):
        run(interfaces.session(carol.login, carol.wrong(NOW).reveal()))
    meanwhile()
    users.unlock(interfaces.instance, ROOT, carol.login, now=NOW)


def test_s61_signing_out_while_locked_is_final(interfaces: Interfaces, carol: User) -> None:
    token = session_of(interfaces.instance, carol)
    _locked_for_a_while(interfaces, carol, lambda: _signs_out(interfaces, carol, token))
    assert is_sent_to_the_sign_in(open_home(interfaces, token))
    (row,) = logged_events(interfaces.instance, Action.SESSION_ENDED)
    assert (row.actor, row.account_id) == (f"user:{carol.account_id}", carol.account_id)
    _signs_out(interfaces, carol, token)  # once more: nothing to end, and no audit event
    assert len(logged_events(interfaces.instance, Action.SESSION_ENDED)) == 1


def test_s61_logging_out_over_rest_while_locked_is_final(interfaces: Interfaces, carol: User) -> None:
    token = session_of(interfaces.instance, carol)
    bearer = {"Authorization": f"Bearer {token.reveal()}"}

    def logs_out() -> None:
        assert run(ask(interfaces.app, "DELETE", "/v1/sessions", headers=bearer)).status == 401

    _locked_for_a_while(interfaces, carol, logs_out)
    assert find_session(interfaces.instance, token, NOW) is None


def test_s61_signing_out_of_self_service_while_locked_is_final(interfaces: Interfaces) -> None:
    user = a_user(interfaces.instance)
    visitor = signed_in(interfaces, user)
    _locked_for_a_while(interfaces, user, lambda: visitor.post(SELF_SERVICE.sign_out))
    assert said(visitor.get(SELF_SERVICE.home)) == SELF_SERVICE.sign_in


def test_s61_a_user_who_is_enabled_again_must_sign_in_again(interfaces: Interfaces, carol: User) -> None:
    """Enable a user again, in the console as in self-service; other users' sessions stay."""
    token, user, other = (
        session_of(interfaces.instance, carol),
        a_user(interfaces.instance),
        a_user(interfaces.instance),
    )
    visitor, kept = signed_in(interfaces, user), signed_in(interfaces, other)
    for each in (carol, user):
        _disabled_for_a_while(interfaces, each, lambda: None)
    assert is_sent_to_the_sign_in(open_home(interfaces, token))
    assert said(visitor.get(SELF_SERVICE.home)) == SELF_SERVICE.sign_in
    assert kept.get(SELF_SERVICE.home).status == 200
