"""S63: a console session has the current roles of its user, and does not revive once the user has none."""

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.sessions.administrators import Session, begin_session, find_session, new_token, open_session
from sparekey.core.permissions import PREDEFINED, SUPER_ADMINISTRATOR, Permission
from sparekey.core.reasons import Method
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from sparekey.storage.sessions import sessions as admin_sessions
from tests.app.administrators import add_tree, an_administrator
from tests.builders import NOW, ROOT, User

LATER = NOW + 60
ADDRESS = "192.0.2.7"


def a_session(server: Instance, user: User) -> Secret[str]:
    opened = open_session(server, ADDRESS, user.login, user.typed(NOW), Secret(""), NOW)
    assert held(server, opened.token) is not None, opened
    return opened.token


def held(server: Instance, token: Secret[str]) -> Session | None:
    return find_session(server, token, LATER)


def grant(server: Instance, user: User, role: str, domain: str = TOP_DOMAIN) -> None:
    roles.grant(server, ROOT, role, HolderKind.USER, user.login, domain, now=LATER)


def revoke(server: Instance, user: User, role: str, domain: str = TOP_DOMAIN) -> None:
    roles.revoke(server, ROOT, role, HolderKind.USER, user.login, domain, now=LATER)


def kept(server: Instance, user: User) -> int:
    """Return the number of stored sessions of the user."""
    with server.database.read() as connection:
        return len(admin_sessions.list_of_account(connection, user.account_id, NOW, 0))


def test_s63_a_session_ends_with_the_last_role(any_server: Instance) -> None:
    alice, _ = an_administrator(any_server, ("auditor", TOP_DOMAIN), ("help desk", TOP_DOMAIN))
    bob, _ = an_administrator(any_server, ("auditor", TOP_DOMAIN))
    token, other = a_session(any_server, alice), a_session(any_server, bob)
    revoke(any_server, alice, "auditor")
    session = held(any_server, token)
    assert session is not None
    assert not session.actor.may(Permission.AUDIT_VIEW, None)
    revoke(any_server, alice, "help desk")
    assert (held(any_server, token), kept(any_server, alice)) == (None, 0)
    grant(any_server, alice, SUPER_ADMINISTRATOR)
    assert held(any_server, token) is None
    assert held(any_server, other) is not None


def test_s63_a_session_begun_after_the_last_role_was_revoked_is_not_held(server: Instance) -> None:
    alice, _ = an_administrator(server, ("auditor", TOP_DOMAIN))
    revoke(server, alice, "auditor")
    token = new_token()
    with server.database.write() as connection:  # as a sign-in ends that was decided before
        begin_session(connection, token, Granted(alice.account_id, alice.login, Method.TOKENCODE), ADDRESS, NOW)
    assert held(server, token) is None
    grant(server, alice, SUPER_ADMINISTRATOR)
    assert held(server, token) is None


def test_a_session_survives_an_additional_role(server: Instance) -> None:
    add_tree(server)
    alice, _ = an_administrator(server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    session = held(server, token := a_session(server, alice))
    assert session is not None
    roles.grant(server, session.actor, "help desk", HolderKind.USER, alice.login, "Sales", now=LATER)
    assert held(server, token) is not None


def test_s63_a_role_in_a_removed_domain_gives_no_rights(server: Instance) -> None:
    """No database lets it be gone: what it keeps apart is not believed, either."""
    add_tree(server)
    alice, _ = an_administrator(server, ("domain administrator", "Bern"))
    bob, _ = an_administrator(server, ("domain administrator", "Bern"), ("help desk", "Sales"))
    token, other = a_session(server, alice), a_session(server, bob)
    raw = server.database.engine.raw_connection()
    for statement in ("PRAGMA foreign_keys = off", "DELETE FROM security_domain WHERE name = 'Bern'"):
        raw.cursor().execute(statement)
    raw.commit()
    raw.close()
    assert held(server, token) is None
    session = held(server, other)
    assert session is not None
    assert not session.actor.may(Permission.USER_VIEW, None)
    assert not session.actor.may(Permission.ROLE_MANAGE, None)
    assert [len(each.permissions) for each in session.actor.grants] == [len(PREDEFINED["help desk"])]
