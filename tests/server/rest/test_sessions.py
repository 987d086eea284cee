"""Sessions of administrators over REST: begun, used, refreshed, ended, and refused as soon as the right is revoked."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles, users
from sparekey.app.people.roles import HolderKind
from sparekey.app.sessions.administrators import FRESH_SECONDS, IDLE_SECONDS, LONGEST_SECONDS, TOKEN_PREFIX
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from sparekey.storage.unit_of_work import Database
from tests.builders import (
    LIMIT,
    NOW,
    PIN,
    ROOT,
    User,
    a_device,
    a_user,
    account_row,
    an_instance,
    logged_events,
    set_end,
)
from tests.challenges import make_suspicious
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, interfaces_of, make_administrator, run
from tests.server.operation_world import session_of

SECOND_FACTOR = "/v1/sessions/second-factor"


def a_super_administrator(instance: Instance) -> User:
    user = a_user(instance, pin=PIN)
    roles.grant(instance, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, user.login, TOP_DOMAIN, now=NOW)
    return user


def asked(
    interfaces: Interfaces,
    token: str | Secret[str],
    method: str = "GET",
    path: str = "/v1/users",
    body: Any = None,
    **more: Any,
) -> Reply:
    token = token if isinstance(token, str) else token.reveal()
    content = b"" if body is None else json.dumps(body).encode()
    return run(ask(interfaces.app, method, path, content, {"Authorization": f"Bearer {token}"}, **more))


def test_a_passcode_begins_a_session_and_logging_out_ends_it(any_interfaces: Interfaces) -> None:
    carol = a_super_administrator(any_interfaces.instance)
    begun = run(any_interfaces.session(carol.login, carol.typed(NOW).reveal()))
    assert (begun.status, begun.json["result"], begun.json["expires_at"]) == (200, "granted", NOW + LONGEST_SECONDS)
    assert (b"cache-control", b"no-store") in begun.headers
    token = begun.json["session"]
    assert token.startswith(TOKEN_PREFIX)
    assert asked(any_interfaces, token).json["items"][0]["login"] == carol.login
    assert asked(any_interfaces, token, "DELETE", "/v1/sessions").status == 204
    assert asked(any_interfaces, token).status == 401
    assert asked(any_interfaces, token, "DELETE", "/v1/sessions").status == 401
    events = logged_events(any_interfaces.instance, Action.SESSION_BEGUN, Action.SESSION_ENDED)
    assert [(row.action, row.account_id) for row in events] == [
        ("session.begun", carol.account_id),
        ("session.ended", carol.account_id),
    ]


def test_the_token_is_kept_as_a_hash(interfaces: Interfaces) -> None:
    carol = a_super_administrator(interfaces.instance)
    token = session_of(interfaces.instance, carol).reveal()
    with interfaces.instance.database.read() as connection:
        rows = connection.execute(text("SELECT * FROM admin_session")).all()
    assert len(rows) == 1
    assert token not in repr(rows)
    assert token not in repr(logged_events(interfaces.instance))


def test_s05_a_token_without_a_pin_opens_no_administrators_interface(any_interfaces: Interfaces) -> None:
    carol = a_user(any_interfaces.instance)
    make_administrator(any_interfaces.instance, carol.login)
    wrong, right = carol.wrong(NOW).reveal(), carol.typed(NOW).reveal()
    for interface in (any_interfaces.session, any_interfaces.console):
        refused = [run(interface(carol.login, typed)) for typed in (wrong, right)]
        assert refused[0].json["result"] == "denied"
        assert refused[0].body == refused[1].body
    denials = logged_events(any_interfaces.instance, Action.SIGN_IN_DENIED)
    assert {row.result for row in denials} == {"one-factor"}
    users.unlock(any_interfaces.instance, ROOT, carol.login, now=NOW)
    assert run(any_interfaces.rest(carol.login, right)).json["result"] == "granted"  # everywhere else it does


def test_a_session_that_is_not_used_ends(any_interfaces: Interfaces) -> None:
    carol = a_super_administrator(any_interfaces.instance)
    token = session_of(any_interfaces.instance, carol)
    for at in range(0, 3 * IDLE_SECONDS, IDLE_SECONDS - 1):
        any_interfaces.now[0] = NOW + at
        assert asked(any_interfaces, token).status == 200
    any_interfaces.now[0] += IDLE_SECONDS
    assert asked(any_interfaces, token).status == 401


def test_a_session_ends_after_half_a_day_however_it_is_used(interfaces: Interfaces) -> None:
    carol = a_super_administrator(interfaces.instance)
    token = session_of(interfaces.instance, carol)
    for at in range(0, LONGEST_SECONDS, IDLE_SECONDS - 60):
        interfaces.now[0] = NOW + at
        assert asked(interfaces, token).status == 200
    interfaces.now[0] = NOW + LONGEST_SECONDS
    assert asked(interfaces, token).status == 401


def _locked(interfaces: Interfaces, carol: User) -> None:
    for _ in range(5):
        run(interfaces.session(carol.login, carol.wrong(NOW).reveal()))


def _disabled(interfaces: Interfaces, carol: User) -> None:
    users.set_enabled(interfaces.instance, ROOT, carol.login, enabled=False, now=NOW)


def _without_role(interfaces: Interfaces, carol: User) -> None:
    roles.revoke(interfaces.instance, ROOT, "auditor", HolderKind.USER, carol.login, TOP_DOMAIN, now=NOW)


@pytest.mark.parametrize(
    "ends",
    [_locked, _disabled, _without_role, lambda interfaces, carol: set_end(interfaces.instance, carol, account=NOW)],
    ids=["locked", "disabled", "without role", "expired"],
)
def test_a_revoked_right_counts_at_once(interfaces: Interfaces, ends: Callable[[Interfaces, User], None]) -> None:
    carol = a_user(interfaces.instance, pin=PIN)
    make_administrator(interfaces.instance, carol.login)
    token = session_of(interfaces.instance, carol)
    assert asked(interfaces, token).status == 200
    ends(interfaces, carol)
    assert (asked(interfaces, token).status, asked(interfaces, token).error) == (401, "unknown-caller")


def test_a_session_survives_a_lock_that_a_person_ends(interfaces: Interfaces) -> None:
    carol = a_user(interfaces.instance, pin=PIN)
    make_administrator(interfaces.instance, carol.login)
    token = session_of(interfaces.instance, carol)
    _locked(interfaces, carol)
    interfaces.now[0] = NOW + 301
    assert asked(interfaces, token).status == 401
    assert users.unlock(interfaces.instance, ROOT, carol.login, now=NOW)
    assert asked(interfaces, token).status == 200


def test_s06_failures_of_programs_and_devices_end_no_session(interfaces: Interfaces) -> None:
    carol, device = a_user(interfaces.instance, pin=PIN), a_device(interfaces.instance)
    make_administrator(interfaces.instance, carol.login)
    token = session_of(interfaces.instance, carol)
    for _ in range(LIMIT):
        run(interfaces.rest(carol.login, carol.wrong(NOW).reveal()))
        run(interfaces.sign_in(device, carol.login, carol.wrong(NOW).reveal()))
        run(interfaces.self_service(carol.login, carol.wrong(NOW).reveal()))
    assert account_row(interfaces.instance, carol.login).locked_at == NOW
    assert asked(interfaces, token).status == 200
    later = interfaces.now[0] = NOW + 60
    assert run(interfaces.session(carol.login, carol.typed(later).reveal())).json["result"] == "granted"


def test_a_second_passcode_refreshes_the_second_factor(any_interfaces: Interfaces) -> None:
    carol, other = a_super_administrator(any_interfaces.instance), a_user(any_interfaces.instance, pin=PIN)
    token = session_of(any_interfaces.instance, carol)
    clear = ("DELETE", f"/v1/tokens/{other.serial}/pin")
    later = any_interfaces.now[0] = NOW + FRESH_SECONDS
    assert asked(any_interfaces, token, *clear).error == "second-factor-needed"
    wrong = asked(any_interfaces, token, "POST", SECOND_FACTOR, {"passcode": carol.wrong(later).reveal()})
    assert (wrong.status, wrong.json["result"]) == (200, "denied")
    assert asked(any_interfaces, token, *clear).error == "second-factor-needed"
    right = asked(any_interfaces, token, "POST", SECOND_FACTOR, {"passcode": carol.typed(later).reveal()})
    assert (right.json["result"], right.json["session"]) == ("granted", "")
    assert asked(any_interfaces, token, *clear).status == 204
    assert logged_events(any_interfaces.instance, Action.SESSION_REFRESHED)[0].actor == f"user:{carol.account_id}"


def test_another_user_s_passcode_refreshes_nothing(interfaces: Interfaces) -> None:
    carol, dora = a_super_administrator(interfaces.instance), a_super_administrator(interfaces.instance)
    token = session_of(interfaces.instance, carol)
    later = interfaces.now[0] = NOW + FRESH_SECONDS
    reply = asked(interfaces, token, "POST", SECOND_FACTOR, {"passcode": dora.typed(later).reveal()})
    assert reply.json["result"] == "denied"


def test_a_challenge_is_answered_from_its_own_address_only(interfaces: Interfaces) -> None:
    carol = a_user(interfaces.instance, pin=PIN)
    make_administrator(interfaces.instance, carol.login)
    make_suspicious(interfaces.instance, carol)
    challenge = run(interfaces.session(carol.login, carol.typed(NOW).reveal())).json
    assert (challenge["result"], challenge["ask"], challenge["session"]) == ("ask", "next-tokencode", "")
    interfaces.now[0] = NOW + 30
    answer = carol.totp.code(carol.step(NOW) + 1)
    elsewhere = run(interfaces.session(carol.login, answer, reply_to=challenge["reply_to"], address="192.0.2.99"))
    assert elsewhere.json["result"] == "denied"
    assert run(interfaces.session(carol.login, answer, reply_to=challenge["reply_to"])).json["session"]


def test_a_program_has_no_session(interfaces: Interfaces) -> None:
    for method, path in (("DELETE", "/v1/sessions"), ("POST", SECOND_FACTOR)):
        reply = asked(interfaces, interfaces.key, method, path, {"passcode": "1"} if method == "POST" else None)
        assert (reply.status, reply.error) == (401, "no-session")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"user":"a"}', b'{"user":"a","passcode":1}', b"\xff"])
def test_a_bad_body_begins_nothing(interfaces: Interfaces, body: bytes) -> None:
    reply = run(ask(interfaces.app, "POST", "/v1/sessions", body))
    assert (reply.status, reply.error) == (400, "bad-request")


def test_a_large_body_is_not_read(interfaces: Interfaces) -> None:
    assert run(ask(interfaces.app, "POST", "/v1/sessions", b"x" * 20_000)).status == 413


def test_s06_other_networks_cannot_add_failures_to_an_administrator(database: Database) -> None:
    instance = an_instance(database)
    carol = a_super_administrator(instance)
    with interfaces_of(instance, admin_networks=("192.0.2.0/24",)) as interfaces:
        for _ in range(2 * LIMIT):
            refused = run(interfaces.session(carol.login, "000000", address="198.51.100.7"))
            assert (refused.status, refused.json["error"]) == (403, "not-from-here")
        assert account_row(instance, carol.login).failures == 0
        begun = run(interfaces.session(carol.login, carol.typed(NOW).reveal(), address="192.0.2.8"))
        token = begun.json["session"]
        assert asked(interfaces, token, address="192.0.2.9").status == 200
        assert asked(interfaces, token, address="198.51.100.7").status == 401
