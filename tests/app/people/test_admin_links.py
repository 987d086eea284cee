"""Links for super administrators: one use, one hour, two factors at the end of it, and nothing half done."""

import pytest

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import admin_links, roles, users
from sparekey.app.people.admin_links import (
    LIFETIME,
    AdminLink,
    look_at_link,
    make_link,
    use_with_passkey,
    use_with_token,
)
from sparekey.app.sessions.administrators import open_session
from sparekey.app.tokens import tokens
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict, NotAllowed, NotFound
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.core.sign_in.outcome import Granted
from sparekey.core.tokens import Totp
from sparekey.secret import Secret
from tests.app.administrators import an_administrator
from tests.app.sessions.test_passkeys import signed_in
from tests.authenticators import PLACE, Authenticator
from tests.builders import NOW, PIN, ROOT, a_user, logged_events, submit

LATER = NOW + 60
GONE = "not valid, was already used, or has expired"


def with_passkey(server: Instance, link: AdminLink, login: str = "", now: int = LATER) -> Authenticator:
    made = Authenticator()
    answer = made.create(admin_links.ask_for_passkey(server, PLACE, link.code, login, now))
    use_with_passkey(server, PLACE, link.code, login, "key", answer, now)
    return made


def test_a_new_user_with_a_passkey_becomes_the_first_super_administrator(any_server: Instance) -> None:
    link = make_link(any_server, ROOT, now=NOW)
    key = with_passkey(any_server, link, "carol")
    opened = signed_in(any_server, key)
    assert isinstance(opened.outcome, Granted)
    assert opened.outcome.login == "carol"
    (held,) = roles.list_grants(any_server, ROOT).items
    assert (held.role, held.holder, held.domain) == (SUPER_ADMINISTRATOR, "carol", TOP_DOMAIN)
    made, used = logged_events(any_server, Action.ADMIN_LINK_MADE, Action.ADMIN_LINK_USED)
    assert (made.actor, used.actor.partition(":")[0], used.account_id) == (
        "os:root",
        "link",
        opened.outcome.account_id,
    )


def test_a_token_with_a_pin_signs_in_too(any_server: Instance) -> None:
    link = make_link(any_server, ROOT, now=NOW)
    login, added = use_with_token(any_server, link.code, "carol", Secret(PIN), LATER)
    assert login == "carol"
    totp = added.otp
    assert isinstance(totp, Totp)
    typed = Secret(PIN + totp.code(LATER // 30))
    opened = open_session(any_server, "192.0.2.7", "carol", typed, Secret(""), LATER)
    assert isinstance(opened.outcome, Granted)
    assert tokens.show_token(any_server, ROOT, added.serial).pin_set


def test_an_existing_user_keeps_roles_and_tokens(server: Instance) -> None:
    alice = a_user(server, "alice")
    key = with_passkey(server, make_link(server, ROOT, "alice", now=NOW), "somebody-else")
    opened = signed_in(server, key)
    assert isinstance(opened.outcome, Granted)
    assert opened.outcome.account_id == alice.account_id
    assert isinstance(submit(server, alice, LATER), Granted)
    key = with_passkey(
        server, make_link(server, ROOT, "alice", now=LATER)
    )  # a role holder gets an additional way to sign in
    assert signed_in(server, key).token.reveal()


def test_a_link_is_good_once_within_an_hour(any_server: Instance) -> None:
    used, late = make_link(any_server, ROOT, now=NOW), make_link(any_server, ROOT, now=NOW)
    with_passkey(any_server, used, "carol")
    tries = ((used.code, LATER), (late.code, NOW + LIFETIME), (Secret("guessed"), NOW))
    for code, at in tries:
        with pytest.raises(NotAllowed, match=GONE):
            look_at_link(any_server, code, at)
        with pytest.raises(NotAllowed, match=GONE):
            use_with_token(any_server, code, "dora", Secret(PIN), at)
        with pytest.raises(NotAllowed, match=GONE):
            admin_links.ask_for_passkey(any_server, PLACE, code, "dora", at)
    assert [view.login for view in users.list_users(any_server, ROOT)] == ["carol"]


def test_the_code_is_kept_as_a_hash(server: Instance) -> None:
    link = make_link(server, ROOT, now=NOW)
    raw = server.database.engine.raw_connection()
    dump = "".join(raw.driver_connection.iterdump())  # type: ignore[union-attr] # of sqlite3
    raw.close()
    assert link.code.reveal() not in dump


def test_a_mistake_does_not_use_up_the_link(any_server: Instance) -> None:
    a_user(any_server, "alice")
    link = make_link(any_server, ROOT, now=NOW)
    for login, pin, error in (("alice", PIN, Conflict), ("", PIN, BadInput), ("carol", "12", BadInput)):
        with pytest.raises(error):
            use_with_token(any_server, link.code, login, Secret(pin), LATER)
    answer = Authenticator().create(admin_links.ask_for_passkey(any_server, PLACE, link.code, "carol", LATER))
    with pytest.raises(BadInput, match="two minutes"):
        use_with_passkey(any_server, PLACE, link.code, "carol", "key", answer, LATER + 120)
    assert roles.list_grants(any_server, ROOT).items == ()
    with_passkey(any_server, link, "carol")


def test_a_challenge_for_one_link_serves_no_other(server: Instance) -> None:
    one, other = make_link(server, ROOT, now=NOW), make_link(server, ROOT, now=NOW)
    answer = Authenticator().create(admin_links.ask_for_passkey(server, PLACE, one.code, "carol", LATER))
    with pytest.raises(BadInput, match="two minutes"):
        use_with_passkey(server, PLACE, other.code, "carol", "key", answer, LATER)


def test_a_link_does_not_admit_users_who_may_not_sign_in(server: Instance) -> None:
    alice = a_user(server, "alice")
    link = make_link(server, ROOT, "alice", now=NOW)
    users.set_enabled(server, ROOT, alice.login, enabled=False, now=NOW)
    with pytest.raises(Conflict, match="is disabled"):
        use_with_token(server, link.code, "", Secret(PIN), LATER)
    with pytest.raises(Conflict, match="is disabled"):
        make_link(server, ROOT, "alice", now=LATER)
    with pytest.raises(NotFound):
        make_link(server, ROOT, "nobody", now=LATER)


def test_s63_making_a_link_needs_rights_over_all_roles(server: Instance) -> None:
    _, desk = an_administrator(server, ("help desk", TOP_DOMAIN))
    with pytest.raises(NotAllowed):
        make_link(server, desk, now=NOW)
