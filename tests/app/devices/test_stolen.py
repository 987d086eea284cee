"""S28: one report of a stolen device ends what its thief could find on it, for everyone, on every device."""

import json
from dataclasses import replace as replace_fields

import pytest

from sparekey.app.devices.contents import GoneDevice, HeldThen, look_into
from sparekey.app.devices.devices import revoke, tell_revoked
from sparekey.app.devices.stolen import EarlierReport, StolenFrom, look_at_stolen, report_stolen
from sparekey.app.emergency.offline import set_online
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.offline.device_sign_in import sign_in_on_device
from sparekey.app.tokens.life_cycle import replace, unassign
from sparekey.app.tokens.tokens import NewToken
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, NotAllowed, NotFound
from sparekey.core.offline.units import Obstacle
from sparekey.core.permissions import PREDEFINED, Actor, Grant
from sparekey.core.reasons import ChallengeKind, Reason
from sparekey.core.sign_in.outcome import Asked, Granted
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.devices import devices, receipts
from sparekey.storage.tokens import tokens
from tests.app.administrators import add_tree, an_administrator
from tests.builders import (
    NOW,
    PIN,
    ROOT,
    Device,
    User,
    a_device,
    a_filled_device,
    a_user,
    denied,
    edit_policy,
    granted,
    logged_events,
    set_mail,
    shown_code,
    submit,
    token_row,
)
from tests.event_tokens import Presser, a_presser

LATER = NOW + 60
PEOPLE = (("alice", "Sales"), ("bob", "Support"))


def used_by(server: Instance, *users: User) -> Device:
    """A device on which each of these users has signed in online."""
    device = a_device(server)
    for user in users:
        granted(device.sign_in(user, NOW).outcome)
    return device


def with_pin_less(server: Instance) -> User:
    edit_policy(server, {"allow_tokens_without_pin": "on", "protection_level": "balanced"})
    return a_user(server, token=NewToken(digits=8))


def pressed_on(server: Instance, device: Device) -> Presser:
    presser = a_presser(server)
    granted(device.sign_in(presser.user, NOW, presser.typed(0)).outcome)
    return presser


def generation(server: Instance, device: Device, user: User) -> int:
    with server.database.read() as connection:
        row = devices.find_device_account(connection, device.device_id, user.account_id)
    assert row is not None
    return int(row.generation)


def force_new_pin(server: Instance, user: User) -> None:
    with server.database.write() as connection:
        tokens.update_token(connection, user.token_id, pin_must_change=True)


def test_s28_a_theft_forces_new_pins_and_disables_app_tokens(any_server: Instance) -> None:
    alice, bob = a_user(any_server, pin=PIN), with_pin_less(any_server)
    stolen = used_by(any_server, alice, bob)
    carol = pressed_on(any_server, stolen).user
    report = report_stolen(any_server, ROOT, stolen.device_id, now=LATER)
    assert {user.login: (user.new_pin, user.disabled) for user in report.users} == {
        alice.login: ((alice.serial,), ()),
        bob.login: ((), (bob.serial,)),
        carol.login: ((carol.serial,), (carol.serial,)),
    }
    rows = {user.login: token_row(any_server, user.serial) for user in (alice, bob, carol)}
    assert [rows[user.login].enabled for user in (alice, bob, carol)] == [True, False, False]
    assert [rows[user.login].pin_must_change for user in (alice, bob, carol)] == [True, False, True]
    asked = submit(any_server, alice, LATER)
    assert isinstance(asked, Asked)
    assert asked.ask is ChallengeKind.NEW_PIN
    assert denied(submit(any_server, bob, LATER)).reason is Reason.TOKEN_DISABLED


def test_s28_a_pin_that_moved_to_another_token_must_be_changed(any_server: Instance) -> None:
    alice, other = a_user(any_server, pin=PIN), a_user(any_server, pin=PIN)
    stolen = used_by(any_server, alice)
    unassign(any_server, ROOT, other.serial, now=NOW + 10)
    assert replace(any_server, ROOT, alice.serial, other.serial, now=NOW + 20).pin_kept
    report = report_stolen(any_server, ROOT, stolen.device_id, now=LATER)
    assert [(user.login, user.new_pin) for user in report.users] == [(alice.login, (other.serial,))]
    assert token_row(any_server, other.serial).pin_must_change


def test_s28_the_device_has_no_data_and_no_key_any_more(any_server: Instance) -> None:
    alice = a_user(any_server, pin=PIN)
    stolen = a_filled_device(any_server, alice)
    report_stolen(any_server, ROOT, stolen.device_id, now=LATER)
    assert stolen.row.revoked_at == LATER
    with any_server.database.read() as connection:
        assert devices.users_of_device(connection, stolen.device_id) == frozenset()
        assert receipts.list_receipts(connection, stolen.device_id) == []
    assert stolen.report(LATER) == []


def test_s28_its_users_begin_another_generation_on_every_other_device(any_server: Instance) -> None:
    alice = a_user(any_server, pin=PIN)
    stolen, other = a_filled_device(any_server, alice), a_device(any_server)
    granted(other.sign_in(alice, NOW + 30).outcome)
    before, key = generation(any_server, other, alice), other.check[alice.account_id]
    report_stolen(any_server, ROOT, stolen.device_id, now=LATER)
    said = other.sync_of(alice, LATER)
    assert said.generation > before
    assert bytes.fromhex(said.check) != key
    # Until she has chosen another PIN there is nothing that one who knows the old PIN could use.
    assert [keep.kind for keep in said.keep] == ["emergency-passcode"]
    assert said.obstacles == [Obstacle.PIN_MUST_CHANGE]


def test_s28_every_version_of_their_emergency_codes_ends_and_others_are_made(any_server: Instance) -> None:
    alice = a_user(any_server, pin=PIN)
    stolen, other = a_filled_device(any_server, alice), a_filled_device(any_server, alice, now=NOW + 30)
    code = shown_code(any_server, alice, stolen.device_id, now=NOW + 40)
    set_online(any_server, ROOT, alice.serial, allowed=True, now=NOW + 40)
    granted(submit(any_server, alice, NOW + 50, Secret(PIN + code)))
    report = report_stolen(any_server, ROOT, stolen.device_id, now=LATER)
    assert [user.codes for user in report.users] == [2]
    assert denied(submit(any_server, alice, LATER, Secret(PIN + code))).reason is Reason.EMERGENCY_CODE_EXPIRED
    wanted = [name.kind for name in other.sync_of(alice, LATER + 1).wanted]
    assert "emergency-passcode" in wanted
    with any_server.database.read() as connection:
        owners = connection.execute(tables.device_code.select()).all()
    assert {row.device_id for row in owners} == {other.device_id}


def test_s28_a_theft_affects_no_other_users(server: Instance) -> None:
    alice, dave = a_user(server, pin=PIN), a_user(server, pin=PIN)
    stolen, other = used_by(server, alice), used_by(server, dave)
    before = generation(server, other, dave)
    report_stolen(server, ROOT, stolen.device_id, now=LATER)
    assert (generation(server, other, dave), other.row.revoked_at) == (before, None)
    assert not token_row(server, dave.serial).pin_must_change
    granted(submit(server, dave, LATER))


def test_s28_a_theft_counts_for_a_device_that_was_revoked_before(server: Instance) -> None:
    alice = a_user(server, pin=PIN)
    stolen = used_by(server, alice)
    revoke(server, ROOT, stolen.device_id, now=NOW + 30)
    report = report_stolen(server, ROOT, stolen.device_id, now=LATER)
    assert report.users == (StolenFrom(alice.login, new_pin=(alice.serial,), disabled=(), codes=2),)
    assert token_row(server, alice.serial).pin_must_change
    assert stolen.row.revoked_at == NOW + 30


def test_s28_a_sign_in_that_was_under_way_brings_the_device_nothing(server: Instance) -> None:
    alice = a_user(server, pin=PIN)
    stolen = a_device(server)
    as_it_was = stolen.row
    report_stolen(server, ROOT, stolen.device_id, now=LATER)
    late = sign_in_on_device(server, as_it_was, alice.login, alice.typed(LATER), b"", LATER)
    assert isinstance(late.outcome, Granted)  # a right passcode is right; what the device is given for it is nothing
    assert (late.key.check, late.key.offline_key) == (b"", None)
    with server.database.read() as connection:
        assert devices.users_of_device(connection, stolen.device_id) == frozenset()


def test_s28_an_open_challenge_of_a_stolen_device_ends(server: Instance) -> None:
    alice = a_user(server, pin=PIN)
    stolen, other = used_by(server, alice), a_device(server)
    force_new_pin(server, alice)
    asked = other.sign_in(alice, NOW + 30)
    assert isinstance(asked.outcome, Asked)
    report_stolen(server, ROOT, stolen.device_id, now=LATER)
    answered = sign_in_on_device(server, other.row, alice.login, Secret("97531"), b"", LATER, asked.reply_to)
    assert denied(answered.outcome).reason is Reason.NO_SUCH_CHALLENGE


def test_a_preview_of_a_theft_changes_nothing_and_agrees(server: Instance) -> None:
    alice, bob = a_user(server, pin=PIN), with_pin_less(server)
    stolen = used_by(server, alice, bob)
    seen = look_at_stolen(server, ROOT, stolen.device_id, now=LATER)
    assert (stolen.row.revoked_at, token_row(server, bob.serial).enabled) == (None, True)
    assert logged_events(server, Action.DEVICE_STOLEN) == []
    assert report_stolen(server, ROOT, stolen.device_id, now=LATER) == seen
    assert seen.before is None


def test_a_second_report_finds_nothing_left(server: Instance) -> None:
    alice = a_user(server, pin=PIN)
    stolen = used_by(server, alice)
    report_stolen(server, ROOT, stolen.device_id, now=LATER)
    at_first = token_row(server, alice.serial)
    again = report_stolen(server, ROOT, stolen.device_id, now=LATER + 60)
    assert again.users == ()
    assert again.before == EarlierReport(LATER, ROOT.name, (alice.login,))
    # by then there are two reports, and the first one is still shown
    assert look_at_stolen(server, ROOT, stolen.device_id, now=LATER + 90).before == again.before
    assert token_row(server, alice.serial) == at_first
    assert stolen.row.revoked_at == LATER


def test_a_second_report_names_the_first_reporter(server: Instance) -> None:
    add_tree(server)
    helen, desk = an_administrator(server, ("domain administrator", TOP_DOMAIN))
    _, chief = an_administrator(server, ("domain administrator", "Sales"))
    stolen = a_device(server, domain="Sales")
    report_stolen(server, desk, stolen.device_id, now=LATER)
    before = look_at_stolen(server, ROOT, stolen.device_id, now=LATER).before
    assert before == EarlierReport(LATER, helen.login, ())
    # an administrator who may revoke the device, but not know one of another domain, reads no name
    seen = look_at_stolen(server, chief, stolen.device_id, now=LATER).before
    assert seen == EarlierReport(LATER, desk.name, ())


def test_s63_users_elsewhere_are_counted_and_not_named(any_server: Instance) -> None:
    add_tree(any_server)
    stolen = a_device(any_server, "shared", domain="Sales")
    alice, bob = (a_user(any_server, login, pin=PIN, domain=domain) for login, domain in PEOPLE)
    for user in (alice, bob):
        granted(stolen.sign_in(user, NOW).outcome)
    _, sales = an_administrator(any_server, ("domain administrator", "Sales"))
    _, chief = an_administrator(any_server, ("domain administrator", TOP_DOMAIN))
    for reader, logins in ((ROOT, ["alice", "bob"]), (chief, ["alice", "bob"]), (sales, ["alice"])):
        found = look_at_stolen(any_server, reader, "shared", now=LATER)
        assert ([each.login for each in found.users], found.elsewhere) == (logins, 2 - len(logins))
    seen = look_at_stolen(any_server, sales, "shared", now=LATER)
    report = report_stolen(any_server, sales, "shared", now=LATER)
    assert report == seen
    assert bob.login not in repr(report)
    assert bob.serial not in repr(report)
    # it ended nevertheless
    assert token_row(any_server, bob.serial).pin_must_change
    again = report_stolen(any_server, sales, "shared", now=LATER + 60)
    assert (again.users, again.elsewhere) == ((), 0)
    assert again.before is not None
    assert (again.before.at, again.before.users, again.before.elsewhere) == (LATER, ("alice",), 1)
    before = look_at_stolen(any_server, ROOT, "shared", now=LATER + 90).before
    assert before is not None
    assert (before.users, before.elsewhere) == (("alice", "bob"), 0)


def test_s63_a_report_about_users_out_of_scope_only_counts_as_the_first(server: Instance) -> None:
    add_tree(server)
    stolen = a_device(server, "shared", domain="Sales")
    granted(stolen.sign_in(a_user(server, "bob", pin=PIN, domain="Support"), NOW).outcome)
    _, sales = an_administrator(server, ("domain administrator", "Sales"))
    report_stolen(server, sales, "shared", now=LATER)
    before = look_at_stolen(server, sales, "shared", now=LATER).before
    assert before is not None
    assert (before.users, before.elsewhere) == ((), 1)


def test_s63_the_event_of_a_theft_names_only_users_in_scope(server: Instance) -> None:
    add_tree(server)
    stolen = a_device(server, "shared", domain="Sales")
    users = {login: a_user(server, login, pin=PIN, domain=domain) for login, domain in PEOPLE}
    for user in users.values():
        granted(stolen.sign_in(user, NOW).outcome)
    _, sales = an_administrator(server, ("domain administrator", "Sales"))
    report_stolen(server, ROOT, "shared", now=LATER)
    happened = look_into(server, sales, "shared", now=LATER).happened
    row, of_alice = [each for each in happened if each.action == Action.DEVICE_STOLEN]
    assert (row.account_id, of_alice.user) == (None, "alice")  # and no row of bob's
    assert "bob" not in row.detail
    bob = f"user:{users['bob'].account_id}"
    assert sorted(row.people["users"].split(", ")) == sorted(["alice", bob])


def test_a_theft_is_logged_in_full(server: Instance) -> None:
    alice, bob = a_user(server, pin=PIN), with_pin_less(server)
    stolen = used_by(server, alice, bob)
    report_stolen(server, ROOT, stolen.device_id, now=LATER)
    rows = logged_events(server, Action.DEVICE_STOLEN)
    (report,) = [row for row in rows if row.account_id is None]
    # the explanation of the user says why the PIN must be new
    assert {row.account_id for row in rows if row is not report} == {alice.account_id, bob.account_id}
    assert not any(stolen.row.name in row.detail for row in rows if row is not report)
    assert (report.actor, report.device_id) == (ROOT.name, stolen.device_id)
    named = sorted(f"user:{user.account_id}" for user in (alice, bob))
    assert json.loads(report.detail)["users"] == ",".join(named)
    (forced,) = logged_events(server, Action.TOKEN_PIN_FORCED)
    (disabled,) = logged_events(server, Action.TOKEN_DISABLED)
    assert (forced.token_id, disabled.token_id) == (alice.token_id, bob.token_id)
    assert len(logged_events(server, Action.EMERGENCY_VOIDED)) == 4
    assert {row.device_id for row in (forced, disabled)} == {stolen.device_id}


def test_the_reporter_is_logged_with_a_note_and_a_ticket(server: Instance) -> None:
    stolen = used_by(server, a_user(server, pin=PIN))
    with pytest.raises(BadInput, match="who reported it"):
        report_stolen(server, ROOT, stolen.device_id, reported_by="two\nlines", now=LATER)
    assert logged_events(server, Action.DEVICE_STOLEN) == []
    said = {"reported_by": "alice, called back", "note": "on a train", "ticket": "T-7"}
    report_stolen(server, ROOT, stolen.device_id, **said, now=LATER)
    row = next(each for each in logged_events(server, Action.DEVICE_STOLEN) if each.account_id is None)
    assert json.loads(row.detail).items() >= said.items()


def test_the_users_of_a_stolen_device_get_notices(server: Instance) -> None:
    alice, dave = a_user(server, pin=PIN), a_user(server, pin=PIN)
    stolen = used_by(server, alice)
    for user in (alice, dave):
        set_mail(server, user, f"{user.login}@example.org")
    report_stolen(server, ROOT, stolen.device_id, now=LATER)
    with server.database.read() as connection:
        (letter,) = connection.execute(tables.outbox.select()).all()
    assert letter.recipient == f"{alice.login}@example.org"
    assert letter.subject == "A device that you use was reported stolen"


@pytest.mark.parametrize("role", sorted(PREDEFINED))
def test_the_permission_to_revoke_covers_reporting(server: Instance, role: str) -> None:
    stolen = used_by(server, a_user(server, pin=PIN))
    actor = Actor("user:x", (Grant(PREDEFINED[role], None),))
    if "device.revoke" in PREDEFINED[role]:
        report_stolen(server, actor, stolen.device_id, now=LATER)
        return
    for use_case in (look_at_stolen, report_stolen):
        with pytest.raises(NotAllowed, match=r"device\.revoke"):
            use_case(server, actor, stolen.device_id, now=LATER)
    assert stolen.row.revoked_at is None


def test_a_device_of_another_domain_does_not_exist(server: Instance) -> None:
    stolen = a_device(server)
    elsewhere = Actor("user:x", (Grant(PREDEFINED["domain administrator"], frozenset({"other"})),))
    with pytest.raises(NotFound):
        report_stolen(server, elsewhere, stolen.device_id, now=LATER)


def test_a_stolen_device_holds_its_data_until_its_next_contact(any_server: Instance) -> None:
    """The server forgets at once, the device at its next contact. The audit log keeps the units' expiry."""
    alice = a_user(any_server, "alice", pin=PIN)
    stolen = a_filled_device(any_server, alice)
    (before,) = look_into(any_server, ROOT, stolen.device_id, now=LATER).users
    report_stolen(any_server, ROOT, stolen.device_id, now=LATER)
    gone = look_into(any_server, ROOT, stolen.device_id, now=LATER).gone
    assert gone is not None
    held = HeldThen("alice", before.ends_at, before.codes_end_at)
    assert gone == GoneDevice(LATER, ROOT.name, True, None, (held,), 0)
    assert None not in (held.data_until, held.codes_until)
    tell_revoked(any_server, stolen.row, now=LATER + 60)
    tell_revoked(any_server, stolen.row, now=LATER + 90)  # once is enough
    told = look_into(any_server, ROOT, stolen.device_id, now=LATER + 90).gone
    assert told is not None
    assert told.told_at == LATER + 60


def test_a_device_shows_its_revocation_and_its_theft(server: Instance) -> None:
    alice = a_user(server, "alice", pin=PIN)
    stolen = a_filled_device(server, alice)
    revoke(server, ROOT, stolen.device_id, now=NOW + 30)
    revoked = look_into(server, ROOT, stolen.device_id, now=LATER).gone
    assert revoked is not None
    assert (revoked.at, revoked.stolen, revoked.told_at) == (NOW + 30, False, None)
    report_stolen(server, ROOT, stolen.device_id, now=LATER)
    gone = look_into(server, ROOT, stolen.device_id, now=LATER).gone
    assert gone == replace_fields(revoked, at=LATER, stolen=True)  # its data are known from the revocation


def test_s63_users_out_of_scope_are_only_counted(server: Instance) -> None:
    add_tree(server)
    stolen = a_device(server, "shared", domain="Sales")
    for login, domain in PEOPLE:
        granted(stolen.sign_in(a_user(server, login, pin=PIN, domain=domain), NOW).outcome)
    _, sales = an_administrator(server, ("domain administrator", "Sales"))
    report_stolen(server, ROOT, "shared", now=LATER)
    gone = look_into(server, sales, "shared", now=LATER).gone
    assert gone is not None
    assert ([each.login for each in gone.held], gone.elsewhere) == (["alice"], 1)
    assert "bob" not in repr(gone)
