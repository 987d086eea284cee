"""The self-service console: the objects of a user, and the user's actions."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from sparekey.app.devices.stolen import users_of
from sparekey.app.people.domains import add_domain
from sparekey.app.policies.policies import add_policy, assign_policy
from sparekey.app.sessions import users as user_sessions
from sparekey.app.sessions.administrators import FRESH_SECONDS, IDLE_SECONDS, find_session
from sparekey.app.tokens import tokens
from sparekey.core.audit_log.actions import Action
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.sign_in.outcome import Denied, Granted
from sparekey.secret import Secret
from sparekey.server.application import create_application
from sparekey.server.web import cookies
from sparekey.storage.unit_of_work import Database
from tests.builders import (
    LIGHT,
    LIMIT,
    NOW,
    PIN,
    ROOT,
    User,
    a_device,
    a_filled_device,
    a_token,
    a_user,
    account_row,
    an_instance,
    edit_policy,
    logged_events,
    set_mail,
    submit,
    token_row,
)
from tests.server.interfaces import Interfaces, interfaces_of, is_granted, make_administrator, run
from tests.server.operation_world import session_of
from tests.server.self_service_visitor import HOME, SIGN_IN, Visitor, said, signed_in, text_of

NEW_PIN = "93kd71"


@pytest.fixture
def interfaces(memory_database: Database) -> Iterator[Interfaces]:
    """Yield interfaces of a server that seals cheaply."""
    with interfaces_of(an_instance(memory_database, policy=LIGHT)) as interfaces:
        yield interfaces


@pytest.fixture
def alice(interfaces: Interfaces) -> User:
    return a_user(interfaces.instance, "alice", pin=PIN)


def test_the_servers_name_leads_to_self_service_and_that_to_the_consoles(interfaces: Interfaces) -> None:
    nobody = Visitor(interfaces, None)
    assert said(nobody.get("/")) == HOME
    assert said(nobody.get(HOME)) == SIGN_IN
    assert b'href="/console"' in nobody.get(SIGN_IN).body
    assert b'href="/self-service"' in nobody.get("/console/sign-in").body


def test_home_lists_ways_that_work_without_the_network(interfaces: Interfaces, alice: User) -> None:
    a_filled_device(interfaces.instance, alice, "laptop")
    interfaces.now[0] = NOW + 60
    a_device(interfaces.instance, "tablet").sign_in(alice, interfaces.now[0])
    interfaces.now[0] += 60
    page = text_of(signed_in(interfaces, alice).get(HOME))
    assert "You could sign in with your token on 1 of 2 devices." in page
    assert "laptop you can sign in with your token" in page
    assert "tablet you cannot sign in This device has not downloaded your data yet." in page
    assert f"{alice.serial} works" in page
    assert "Signed in on laptop" in page


def test_a_session_ends_when_it_is_left_alone_and_by_signing_out(interfaces: Interfaces, alice: User) -> None:
    visitor = signed_in(interfaces, alice)
    assert said(visitor.post(f"{HOME}/sign-out")) == SIGN_IN
    assert said(visitor.get(HOME)) == SIGN_IN
    interfaces.now[0] = NOW + 60
    another = signed_in(interfaces, alice)
    interfaces.now[0] += IDLE_SECONDS
    assert said(another.get(HOME)) == SIGN_IN


def test_a_passcode_is_tried_out_like_any_sign_in(interfaces: Interfaces, alice: User) -> None:
    visitor = signed_in(interfaces, alice)
    used = visitor.post(f"{HOME}/passcode", {"passcode": alice.typed(NOW).reveal()})
    assert "This code was already used." in text_of(
        visitor.post(f"{HOME}/passcode", {"passcode": alice.typed(NOW).reveal()})
    )
    assert "already used" in text_of(used)
    later = interfaces.now[0] = NOW + 60
    right = text_of(visitor.post(f"{HOME}/passcode", {"passcode": alice.typed(later, ahead=30).reveal()}))
    assert "Passcode correct." in right
    assert "about 30 seconds fast" in right
    assert isinstance(submit(interfaces.instance, alice, later + 30), Denied)  # the code was used up


def test_s06_a_passcode_that_is_tried_out_counts(interfaces: Interfaces, alice: User) -> None:
    visitor = signed_in(interfaces, alice)
    interfaces.now[0] = NOW + 30
    for _ in range(LIMIT):
        assert "Passcode not accepted." in text_of(
            visitor.post(f"{HOME}/passcode", {"passcode": alice.wrong(interfaces.now[0]).reveal()})
        )
    assert account_row(interfaces.instance, "alice").locked_at == NOW + 30
    assert said(visitor.post(f"{HOME}/passcode", {"passcode": "1"})) == SIGN_IN
    assert not is_granted(run(interfaces.rest("alice", alice.typed(NOW + 30).reveal())))


def test_a_new_pin_is_chosen_and_only_this_session_goes_on(interfaces: Interfaces, alice: User) -> None:
    make_administrator(interfaces.instance, "alice")
    console = session_of(interfaces.instance, alice)
    interfaces.now[0] = NOW + 30
    other = signed_in(interfaces, alice)
    interfaces.now[0] = NOW + 60
    visitor = signed_in(interfaces, alice)
    page = f"{HOME}/tokens/{alice.serial}/pin"
    assert "A PIN has 4 to 8 letters or digits" in text_of(visitor.get(page))
    for new, again, why in (
        (NEW_PIN, "other", "The two PINs are different"),
        ("1234", "1234", "too easy"),
        (PIN, PIN, "used"),
    ):
        refused = visitor.post(page, {"new": new, "again": again})
        assert (refused.status, why in text_of(refused)) == (400, True)
        assert new.encode() not in refused.body.replace(alice.serial.encode(), b"")
    assert said(visitor.post(page, {"new": NEW_PIN, "again": NEW_PIN})) == HOME
    assert visitor.get(HOME).status == 200
    assert said(other.get(HOME)) == SIGN_IN
    assert find_session(interfaces.instance, console, interfaces.now[0]) is None
    interfaces.now[0] += 30
    assert is_granted(run(interfaces.rest("alice", NEW_PIN + alice.totp.code(alice.step(interfaces.now[0])))))
    (row,) = [row for row in logged_events(interfaces.instance, Action.TOKEN_PIN_SET) if row.actor.startswith("user:")]
    assert (row.account_id, row.token_id) == (alice.account_id, alice.token_id)


def test_s62_a_pin_is_changed_with_a_fresh_second_factor_only(interfaces: Interfaces, alice: User) -> None:
    visitor = signed_in(interfaces, alice)
    page, form = f"{HOME}/tokens/{alice.serial}/pin", {"new": NEW_PIN, "again": NEW_PIN}
    later = interfaces.now[0] = NOW + FRESH_SECONDS
    for more in ({}, {"second-factor": alice.wrong(later).reveal()}):
        assert b'name="second-factor"' in visitor.post(page, form | more).body
    assert is_granted(run(interfaces.rest("alice", alice.typed(later).reveal())))
    interfaces.now[0] = later + 30
    assert said(visitor.post(page, form | {"second-factor": alice.typed(later + 30).reveal()})) == HOME
    interfaces.now[0] = later + 60
    assert not is_granted(run(interfaces.rest("alice", alice.typed(later + 60).reveal())))


def test_a_token_is_set_right_by_two_codes(interfaces: Interfaces, alice: User) -> None:
    visitor, step = signed_in(interfaces, alice), alice.step(NOW) + 100
    page = f"{HOME}/tokens/{alice.serial}/resynchronise"
    wrong = visitor.post(page, {"first": "000000", "second": "000000"})
    assert (wrong.status, "counts as a failed sign-in" in text_of(wrong)) == (400, True)
    assert account_row(interfaces.instance, "alice").failures == 1
    assert "has 6 digits" in text_of(visitor.post(page, {"first": "1", "second": "2"}))
    right = visitor.post(page, {"first": alice.totp.code(step), "second": alice.totp.code(step + 1)})
    assert said(right) == HOME
    assert token_row(interfaces.instance, alice.serial).drift == 101


def test_a_token_is_reported_lost_and_every_session_ends(interfaces: Interfaces, alice: User) -> None:
    set_mail(interfaces.instance, alice, "alice@example.org")
    make_administrator(interfaces.instance, "alice")
    console = session_of(interfaces.instance, alice)
    later = interfaces.now[0] = NOW + 30
    visitor = signed_in(interfaces, alice)
    page = f"{HOME}/tokens/{alice.serial}/lost"
    assert visitor.get(page).status == 200
    assert not token_row(interfaces.instance, alice.serial).lost  # looking reports nothing
    reply = visitor.post(page)
    assert said(reply) == SIGN_IN
    assert token_row(interfaces.instance, alice.serial).lost
    assert said(visitor.get(HOME)) == SIGN_IN
    assert find_session(interfaces.instance, console, later) is None
    (row,) = logged_events(interfaces.instance, Action.TOKEN_LOST)
    assert (row.actor, row.account_id, row.token_id) == (f"user:{alice.account_id}", alice.account_id, alice.token_id)


def test_reporting_a_lost_token_shows_what_still_works_and_whom_to_call(interfaces: Interfaces, alice: User) -> None:
    other, off = (a_token(interfaces.instance, "alice", alice.account_id) for _ in range(2))
    tokens.set_enabled(interfaces.instance, ROOT, off.serial, enabled=False, now=NOW)
    edit_policy(interfaces.instance, {"help_text": "555 0100"})
    visitor = signed_in(interfaces, alice)
    reply = visitor.post(f"{HOME}/tokens/{alice.serial}/lost")
    (kept,) = [value for name, value in reply.headers if value.startswith(f"{cookies.SAID}=".encode())]
    told = json.loads(urlsafe_b64decode(kept.decode().partition("=")[2].partition(";")[0]))
    assert f"Your token {other.serial} still works" in told
    assert off.serial not in told
    assert "call the help desk (555 0100)" in told


def test_a_mail_is_promised_only_where_one_can_be_sent(interfaces: Interfaces, alice: User) -> None:
    visitor = signed_in(interfaces, alice)
    set_mail(interfaces.instance, alice, "alice@example.org")
    without = text_of(visitor.get(f"{HOME}/emergency"))
    assert "This server does not send mail." in without
    assert "alice@example.org" not in without
    sends = replace(interfaces.service.settings, smtp_host="mail.example.org", mail_from="sparekey@example.org")
    interfaces.app = create_application(replace(interfaces.service, settings=sends))
    assert "a mail is sent to alice@example.org" in text_of(visitor.get(f"{HOME}/emergency"))
    set_mail(interfaces.instance, alice, "")
    assert "no mail address is known for you" in text_of(visitor.get(f"{HOME}/emergency"))


def test_a_stolen_device_is_shut_out_unless_others_use_it(interfaces: Interfaces, alice: User) -> None:
    bob, laptop = a_user(interfaces.instance, "bob", pin=PIN), a_filled_device(interfaces.instance, alice, "laptop")
    shared = a_device(interfaces.instance, "shared")
    interfaces.now[0] = NOW + 30
    shared.sign_in(bob, interfaces.now[0])
    shared.sign_in(alice, interfaces.now[0])
    interfaces.now[0] = NOW + 60
    visitor = signed_in(interfaces, alice)
    refused = visitor.post(f"{HOME}/devices/{shared.device_id}/stolen")
    assert (refused.status, "Other people also use this device" in text_of(refused)) == (409, True)
    assert "bob" not in refused.body.decode()
    assert shared.row.revoked_at is None
    assert said(visitor.post(f"{HOME}/devices/{laptop.device_id}/stolen")) == SIGN_IN
    assert laptop.row.revoked_at == NOW + 60
    assert token_row(interfaces.instance, alice.serial).pin_must_change
    assert not token_row(interfaces.instance, bob.serial).pin_must_change
    assert said(visitor.get(HOME)) == SIGN_IN
    rows = logged_events(interfaces.instance, Action.DEVICE_STOLEN)
    assert {row.actor for row in rows} == {f"user:{alice.account_id}"}
    assert [row.account_id for row in rows] == [alice.account_id, None]


def test_s63_a_device_that_others_signed_in_on_is_not_shut_out_by_one_of_them(
    interfaces: Interfaces, alice: User
) -> None:
    """Users of a domain without offline sign-in leave no data on the device, but still count as its users."""
    add_domain(interfaces.instance, ROOT, "Online", now=NOW)
    add_policy(interfaces.instance, ROOT, PolicyKind.OFFLINE, "Online", {"enabled": "off"}, now=NOW)
    assign_policy(interfaces.instance, ROOT, PolicyKind.OFFLINE, "Online", "Online", now=NOW)
    bob, shared = a_user(interfaces.instance, "bob", pin=PIN, domain="Online"), a_device(interfaces.instance, "shared")
    interfaces.now[0] = NOW + 30
    assert isinstance(shared.sign_in(bob, interfaces.now[0]).outcome, Granted)
    shared.sign_in(alice, interfaces.now[0])
    with interfaces.instance.database.read() as connection:
        assert users_of(connection, shared.device_id) == {alice.account_id}
    interfaces.now[0] = NOW + 60
    visitor = signed_in(interfaces, alice)
    refused = visitor.post(f"{HOME}/devices/{shared.device_id}/stolen")
    assert (refused.status, "Other people also use this device" in text_of(refused)) == (409, True)
    assert "bob" not in refused.body.decode()
    assert shared.row.revoked_at is None


def test_a_wrong_guess_makes_no_user_of_a_device(interfaces: Interfaces, alice: User) -> None:
    bob, laptop = a_user(interfaces.instance, "bob", pin=PIN), a_filled_device(interfaces.instance, alice, "laptop")
    laptop.sign_in(bob, NOW, bob.wrong(NOW))
    interfaces.now[0] = NOW + 60
    assert said(signed_in(interfaces, alice).post(f"{HOME}/devices/{laptop.device_id}/stolen")) == SIGN_IN
    assert laptop.row.revoked_at == NOW + 60


def test_s62_a_device_is_reported_stolen_with_a_fresh_second_factor_only(interfaces: Interfaces, alice: User) -> None:
    laptop = a_filled_device(interfaces.instance, alice, "laptop")
    interfaces.now[0] = NOW + 60
    visitor, page = signed_in(interfaces, alice), f"{HOME}/devices/{laptop.device_id}/stolen"
    later = interfaces.now[0] = NOW + 60 + FRESH_SECONDS
    assert visitor.get(page).status == 200
    for form in ({}, {"second-factor": alice.wrong(later).reveal()}):
        assert b'name="second-factor"' in visitor.post(page, form).body
    assert laptop.row.revoked_at is None
    assert said(visitor.post(page, {"second-factor": alice.typed(later).reveal()})) == SIGN_IN
    assert laptop.row.revoked_at == later


def test_s05_one_factor_opens_no_self_service_for_role_holders(any_interfaces: Interfaces) -> None:
    """Else it would set the PIN of the other token, and so become two (ADR 17)."""
    chief = a_user(any_interfaces.instance, "chief", pin=PIN)
    user = a_user(any_interfaces.instance, "user", pin=PIN)
    apps = {each.login: a_token(any_interfaces.instance, each.login, each.account_id) for each in (chief, user)}
    make_administrator(any_interfaces.instance, "chief")
    wrong, right = apps["chief"].wrong(NOW).reveal(), apps["chief"].typed(NOW).reveal()
    refused = [run(any_interfaces.self_service("chief", typed)) for typed in (wrong, right)]
    assert refused[0].json["result"] == "denied"
    assert refused[0].body == refused[1].body
    assert "one-factor" in {row.result for row in logged_events(any_interfaces.instance, Action.SIGN_IN_DENIED)}
    assert is_granted(run(any_interfaces.self_service("chief", chief.typed(NOW).reveal())))
    assert is_granted(run(any_interfaces.self_service("user", apps["user"].typed(NOW).reveal())))


def test_s05_one_factor_is_no_fresh_second_factor_for_role_holders(interfaces: Interfaces, alice: User) -> None:
    app = a_token(interfaces.instance, "alice", alice.account_id)
    make_administrator(interfaces.instance, "alice")
    visitor = signed_in(interfaces, alice)
    page, form = f"{HOME}/tokens/{alice.serial}/pin", {"new": NEW_PIN, "again": NEW_PIN}
    later = interfaces.now[0] = NOW + FRESH_SECONDS
    refused = visitor.post(page, form | {"second-factor": app.typed(later).reveal()})
    assert b'name="second-factor"' in refused.body
    assert is_granted(run(interfaces.session("alice", alice.typed(later).reveal())))
    interfaces.now[0] = later + 30
    assert said(visitor.post(page, form | {"second-factor": alice.typed(later + 30).reveal()})) == HOME


def test_the_emergency_page_lists_what_opens_each_device(interfaces: Interfaces, alice: User) -> None:
    a_filled_device(interfaces.instance, alice, "laptop")
    interfaces.now[0] = NOW + 60
    a_device(interfaces.instance, "tablet").sign_in(alice, interfaces.now[0])
    interfaces.now[0] += 60
    page = text_of(signed_in(interfaces, alice).get(f"{HOME}/emergency"))
    assert "laptop help desk can read you a code" in page
    assert "tablet you cannot sign in" in page


def test_activity_is_shown_in_words_and_page_by_page(interfaces: Interfaces, alice: User) -> None:
    run(interfaces.rest("alice", alice.wrong(NOW).reveal()))
    for number in range(60):
        tokens.set_enabled(interfaces.instance, ROOT, alice.serial, enabled=bool(number % 2), now=NOW)
    visitor = signed_in(interfaces, alice)
    first = visitor.get(f"{HOME}/activity")
    assert "Token enabled by the help desk" in text_of(first)
    before = first.body.decode().split("?after=")[1].split('"')[0]
    second = text_of(visitor.get(f"{HOME}/activity?after={before}"))
    assert "Sign-in refused: wrong passcode through web" in second
    assert visitor.get(f"{HOME}/activity?after=x").status == 400


def test_a_page_makes_few_queries(interfaces: Interfaces, alice: User) -> None:
    for number in range(3):
        a_filled_device(interfaces.instance, alice, f"laptop{number}", now=interfaces.now[0])
        interfaces.now[0] += 60
    visitor, engine, asked = signed_in(interfaces, alice), interfaces.instance.database.engine, []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    own = f"/tokens/{alice.serial}"
    for page in ("", "/activity", "/emergency", "/passkeys", f"{own}/pin", f"{own}/emergency"):
        asked.clear()
        assert visitor.get(HOME + page).status == 200
        assert len([each for each in asked if not each.startswith(("BEGIN", "PRAGMA"))]) <= 10, page
    event.remove(engine, "before_cursor_execute", note)


def test_a_user_of_two_tokens_sees_both(interfaces: Interfaces, alice: User) -> None:
    second = a_token(interfaces.instance, "alice", alice.account_id)
    page = text_of(signed_in(interfaces, alice).get(HOME))
    assert f"{second.serial} works PIN not needed" in page
    assert f"{alice.serial} works PIN set" in page


def test_s06_role_holders_are_not_tried_from_other_networks_at_self_service(memory_database: Database) -> None:
    with interfaces_of(an_instance(memory_database), admin_networks=("192.0.2.0/24",)) as interfaces:
        chief, user = a_user(interfaces.instance, "chief", pin=PIN), a_user(interfaces.instance, "user", pin=PIN)
        make_administrator(interfaces.instance, "chief")
        for login in ("chief", "user"):
            run(interfaces.self_service(login, chief.wrong(NOW).reveal(), address="198.51.100.7"))
        assert account_row(interfaces.instance, "chief").failures == 0
        assert account_row(interfaces.instance, "user").failures == 1
        refused = run(interfaces.self_service("chief", chief.typed(NOW).reveal(), address="198.51.100.7"))
        assert refused.json["result"] == "denied"
        assert is_granted(run(interfaces.self_service("chief", chief.typed(NOW).reveal())))
        assert is_granted(run(interfaces.self_service("user", user.typed(NOW).reveal(), address="198.51.100.7")))


def test_s06_a_role_holder_s_session_is_refused_from_other_networks(memory_database: Database) -> None:
    """Not for guesses: neither a passcode, nor two codes, nor a second factor is tried there."""
    with interfaces_of(an_instance(memory_database), admin_networks=("192.0.2.0/24",)) as interfaces:
        chief, user = (a_user(interfaces.instance, login, pin=PIN) for login in ("chief", "user"))
        make_administrator(interfaces.instance, "chief")
        inside = {each.login: signed_in(interfaces, each) for each in (chief, user)}
        for login, token in (("chief", chief), ("user", user)):
            outside = replace(inside[login], address="198.51.100.7")
            wrong = token.wrong(NOW).reveal()
            outside.post(f"{HOME}/passcode", {"passcode": wrong})
            outside.post(f"{HOME}/tokens/{token.serial}/resynchronise", {"first": wrong[-6:], "second": wrong[-6:]})
        interfaces.now[0] = NOW + FRESH_SECONDS
        form = {"new": NEW_PIN, "again": NEW_PIN, "second-factor": chief.wrong(NOW).reveal()}
        refused = replace(inside["chief"], address="198.51.100.7").post(f"{HOME}/tokens/{chief.serial}/pin", form)
        assert (said(refused), account_row(interfaces.instance, "chief").failures) == (SIGN_IN, 0)
        assert account_row(interfaces.instance, "user").failures == 2
        assert inside["chief"].get(HOME).status == 200


def test_s06_other_networks_cannot_add_failures_to_a_user(interfaces: Interfaces, alice: User) -> None:
    settings = replace(interfaces.service.settings, self_service_networks=("192.0.2.0/24",))
    service = replace(interfaces.service, settings=settings)
    inside = replace(interfaces, service=service, app=create_application(service))
    for _ in range(2 * LIMIT):
        refused = run(inside.self_service("alice", alice.wrong(NOW).reveal(), address="198.51.100.7"))
        assert (refused.status, "does not answer to this address" in refused.body.decode()) == (403, True)
    assert account_row(interfaces.instance, "alice").failures == 0
    assert is_granted(run(inside.self_service("alice", alice.typed(NOW).reveal())))


def test_the_session_of_a_user_is_kept_as_a_hash(interfaces: Interfaces, alice: User) -> None:
    visitor = signed_in(interfaces, alice)
    assert visitor.token is not None
    assert visitor.token.reveal().startswith(user_sessions.TOKEN_PREFIX)
    assert visitor.token.reveal() not in repr(logged_events(interfaces.instance))
    assert user_sessions.find_session(interfaces.instance, Secret(visitor.token.reveal() + "x"), NOW) is None


def test_codes_for_a_while_are_not_promised_to_work_offline(interfaces: Interfaces, alice: User) -> None:
    page = text_of(signed_in(interfaces, alice).get(f"{HOME}/emergency"))
    assert "They never work on a device that is offline." in page
    assert "work everywhere" not in page
