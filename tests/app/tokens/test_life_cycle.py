"""Owners of tokens: assignment, removal, replacement; and the access that each of these ends."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace as with_values

import pytest
from sqlalchemy import func, select

from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.offline import set_online
from sparekey.app.emergency.online import Terms
from sparekey.app.instance import Instance
from sparekey.app.people.domains import add_domain
from sparekey.app.people.users import add_user
from sparekey.app.tokens.life_cycle import MOST_TOKENS, assign, remove, replace, unassign
from sparekey.app.tokens.tokens import NewToken, add_token, set_enabled, set_expiry, set_lost, set_pin, show_token
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.online import EmergencyKind
from sparekey.core.errors import Conflict, NotFound, SparekeyError
from sparekey.core.reasons import ChallengeKind, Method, Reason
from sparekey.core.sign_in.outcome import Granted
from sparekey.core.tokens import Hotp, Totp
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.tokens import tokens
from sparekey.wire.agent_api import UserSync
from tests.builders import (
    CALLED_BACK,
    NOW,
    PIN,
    ROOT,
    User,
    a_device,
    a_filled_device,
    a_token,
    a_user,
    account_row,
    denied,
    granted,
    logged_events,
    set_end,
    shown_code,
    submit,
    token_row,
)
from tests.challenges import NEW_PIN, asked, begin, make_suspicious, reply
from tests.token_stock import Stocked, a_stocked_token

NEXT = NOW + 30


def owner_of(server: Instance, login: str, token: Stocked, pin: str = "") -> User:
    """The user as seen from a token that was in the drawer."""
    assert isinstance(token.otp, Totp)
    token_id = token_row(server, token.serial).id
    return User(login, account_row(server, login).id, token.serial, token_id, token.otp, pin)


def reason(server: Instance, user: User, now: int, typed: Secret[str] | None = None) -> Reason:
    return denied(submit(server, user, now, typed)).reason


# Assign


def test_an_imported_token_works_for_its_new_owner(any_server: Instance) -> None:
    token = a_stocked_token(any_server, pin=False)
    add_user(any_server, ROOT, "alice", "SystemDomain", now=NOW)
    assert show_token(any_server, ROOT, token.serial).enabled is False
    assign(any_server, ROOT, token.serial, "alice", now=NOW)
    view = show_token(any_server, ROOT, token.serial)
    assert (view.login, view.enabled, view.domain) == ("alice", True, "SystemDomain")
    granted(submit(any_server, owner_of(any_server, "alice", token), NOW))
    (row,) = logged_events(any_server, Action.TOKEN_ASSIGNED)
    assert row.token_id == token_row(any_server, token.serial).id


def test_a_new_owner_chooses_a_pin_at_the_first_sign_in(server: Instance) -> None:
    token = a_stocked_token(server)
    add_user(server, ROOT, "alice", "SystemDomain", now=NOW)
    assign(server, ROOT, token.serial, "alice", now=NOW)
    alice = owner_of(server, "alice", token)
    first = begin(server, alice)
    asked(first, ChallengeKind.NEW_PIN)
    granted(reply(server, alice, reply(server, alice, first, NEW_PIN), NEW_PIN).outcome)


def test_a_token_can_be_assigned_and_stay_disabled(server: Instance) -> None:
    token = a_stocked_token(server, pin=False)
    add_user(server, ROOT, "alice", "SystemDomain", now=NOW)
    assign(server, ROOT, token.serial, "alice", enable=False, now=NOW)
    assert reason(server, owner_of(server, "alice", token), NOW) is Reason.TOKEN_DISABLED


def test_an_impossible_assignment_is_refused(server: Instance) -> None:
    user, lost, expired = a_user(server), a_stocked_token(server), a_stocked_token(server)
    set_lost(server, ROOT, lost.serial, lost=True, now=NOW)
    expired_id = token_row(server, expired.serial).id
    with server.database.write() as connection:
        tokens.update_token(connection, expired_id, expires_at=NOW)
    for serial in (user.serial, lost.serial, expired.serial):
        with pytest.raises(Conflict):
            assign(server, ROOT, serial, user.login, now=NOW)
    with pytest.raises(NotFound):
        assign(server, ROOT, "NONE", user.login, now=NOW)
    with pytest.raises(NotFound):
        assign(server, ROOT, a_stocked_token(server).serial, "nobody", now=NOW)


def test_of_two_administrators_one_assigns_it(any_server: Instance) -> None:
    token, users = a_stocked_token(any_server, pin=False), [a_user(any_server) for _ in range(8)]

    def one(user: User) -> bool:
        try:
            assign(any_server, ROOT, token.serial, user.login, now=NOW)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = [user for user, done in zip(users, pool.map(one, users), strict=True) if done]
    assert [user.login for user in won] == [show_token(any_server, ROOT, token.serial).login]
    # The seed opens for the new owner, whichever user it is.
    granted(submit(any_server, owner_of(any_server, won[0].login, token), NOW))


def test_a_user_has_a_few_tokens_and_signs_in_with_each(server: Instance) -> None:
    user = a_user(server)
    more = [a_token(server, user.login, user.account_id) for _ in range(MOST_TOKENS - 1)]
    for each in (user, *more):
        granted(submit(server, each, NOW))
    with pytest.raises(Conflict, match=f"{MOST_TOKENS} tokens"):
        a_token(server, user.login, user.account_id)
    with pytest.raises(Conflict, match=f"{MOST_TOKENS} tokens"):
        assign(server, ROOT, a_stocked_token(server).serial, user.login, now=NOW)


# Unassign


def test_an_unassigned_token_signs_no_user_in(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    granted(submit(any_server, user, NOW))
    assert unassign(any_server, ROOT, user.serial, now=NOW) == user.login
    assert reason(any_server, user, NEXT) is Reason.NO_TOKEN
    row = token_row(any_server, user.serial)
    assert (row.account_id, row.enabled, row.pin_sealed, row.pin_history_sealed) == (None, False, None, None)
    assert row.last_step == user.step(NOW)
    with pytest.raises(NotFound):
        unassign(any_server, ROOT, user.serial, now=NOW)


def test_s01_codes_that_were_used_stay_used_for_the_next_user(any_server: Instance) -> None:
    user = a_user(any_server)
    granted(submit(any_server, user, NOW))
    unassign(any_server, ROOT, user.serial, now=NOW)
    bob = add_user(any_server, ROOT, "bob", "SystemDomain", now=NOW)
    assign(any_server, ROOT, user.serial, "bob", now=NOW)
    heir = with_values(user, login="bob", account_id=bob)
    assert reason(any_server, heir, NOW) is Reason.ALREADY_USED
    granted(submit(any_server, heir, NEXT))


def test_an_unassigned_token_stays_in_its_user_s_domain(server: Instance) -> None:
    add_domain(server, ROOT, "Sales", now=NOW)
    user = a_user(server, domain="Sales")
    unassign(server, ROOT, user.serial, now=NOW)
    assert show_token(server, ROOT, user.serial).domain == "Sales"


def test_devices_erase_units_of_an_unassigned_token(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, user)
    unassign(any_server, ROOT, user.serial, now=NOW)
    said = device.sync_of(user, NOW + 60)
    assert [kept for kept in said.keep if kept.token] == []
    assert [name for name in said.wanted if name.token] == []


def test_emergency_codes_end_with_the_assignment(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, user)
    code = shown_code(any_server, user)
    set_online(any_server, ROOT, user.serial, allowed=True, now=NOW)
    granted(submit(any_server, user, NEXT, Secret(PIN + code)))
    unassign(any_server, ROOT, user.serial, now=NEXT)
    assign(any_server, ROOT, user.serial, user.login, now=NEXT)
    set_pin(any_server, ROOT, user.serial, Secret(NEW_PIN), now=NEXT)
    again = with_values(user, pin=NEW_PIN)
    assert reason(any_server, again, NEXT, Secret(NEW_PIN + code)) is Reason.WRONG_PASSCODE
    granted(device.sign_in(again, NEXT).outcome)
    device.contact(again, NEXT)
    assert shown_code(any_server, again, now=NEXT) != code


def test_online_emergency_access_ends_with_the_assignment(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    given = online_emergency.give_fixed(any_server, ROOT, user.serial, Terms(), CALLED_BACK, now=NOW)
    code = Secret(PIN + given.codes[0].reveal())
    assert granted(submit(any_server, user, NOW, code)).method is Method.ONLINE_EMERGENCY
    unassign(any_server, ROOT, user.serial, now=NOW)
    assign(any_server, ROOT, user.serial, user.login, now=NOW)
    set_pin(any_server, ROOT, user.serial, Secret(PIN), now=NOW)
    denied(submit(any_server, user, NOW, code))
    assert logged_events(any_server, Action.EMERGENCY_ENDED)
    assert given.kind is EmergencyKind.FIXED


# Replace


def generation(said: UserSync) -> int:
    return said.generation


def test_another_token_takes_its_place_and_the_pin_stays(any_server: Instance) -> None:
    user, token = a_user(any_server, pin=PIN), a_stocked_token(any_server)
    device = a_filled_device(any_server, user)
    before = generation(device.sync_of(user, NOW))
    done = replace(any_server, ROOT, user.serial, token.serial, now=NOW)
    assert (done.new, done.login, done.pin_kept) == (token.serial, user.login, True)
    heir = owner_of(any_server, user.login, token, PIN)
    assert reason(any_server, user, NEXT) is Reason.WRONG_PASSCODE
    granted(device.sign_in(heir, NEXT).outcome)
    said = device.sync_of(heir, NEXT)
    assert generation(said) > before
    assert {kept.token for kept in said.keep if kept.token} == {heir.token_id}
    assert show_token(any_server, ROOT, user.serial).login is None
    (row,) = logged_events(any_server, Action.TOKEN_REPLACED)
    assert f'"by":"{token.serial}"' in row.detail


def test_the_history_of_the_pin_moves_with_it(server: Instance) -> None:
    user, token = a_user(server, pin="first11"), a_stocked_token(server)
    set_pin(server, ROOT, user.serial, Secret(PIN), now=NOW)
    replace(server, ROOT, user.serial, token.serial, now=NOW)
    for pin in (PIN, "first11"):
        with pytest.raises(SparekeyError, match="used before"):
            set_pin(server, ROOT, token.serial, Secret(pin), now=NOW)


def test_a_new_pin_can_be_wanted(server: Instance) -> None:
    user, token = a_user(server, pin=PIN), a_stocked_token(server)
    replace(server, ROOT, user.serial, token.serial, keep_pin=False, now=NOW)
    heir = owner_of(server, user.login, token)
    assert reason(server, with_values(heir, pin=PIN), NOW) is Reason.NO_PIN
    asked(begin(server, heir, NEXT), ChallengeKind.NEW_PIN)


def test_s05_a_token_without_a_pin_cannot_replace_one_with_a_pin(server: Instance) -> None:
    user, bare = a_user(server, pin=PIN), a_stocked_token(server, pin=False)
    with pytest.raises(Conflict, match="without a PIN"):
        replace(server, ROOT, user.serial, bare.serial, now=NOW)
    with pytest.raises(NotFound):
        replace(server, ROOT, user.serial, None, now=NOW)
    granted(submit(server, user, NOW))


def test_a_replacement_token_has_the_same_kind_and_a_near_domain(server: Instance) -> None:
    for domain, parent in (("Sales", "SystemDomain"), ("North", "Sales"), ("South", "SystemDomain")):
        add_domain(server, ROOT, domain, parent, now=NOW)
    user = a_user(server, pin=PIN, domain="North")
    a_stocked_token(server, "A1", domain="South")
    a_stocked_token(server, "A2", domain="North", digits=8)
    a_stocked_token(server, "A3", domain="Sales", pin=False)
    a_stocked_token(server, "A4", domain="Sales")
    lost = a_stocked_token(server, "A0", domain="North")
    set_lost(server, ROOT, lost.serial, lost=True, now=NOW)
    assert replace(server, ROOT, user.serial, None, now=NOW).new == "A4"
    assert replace(server, ROOT, "A4", None, now=NOW).new == user.serial  # which is in North now
    assert replace(server, ROOT, user.serial, None, now=NOW).new == "A4"


def test_a_lost_token_is_replaced_and_stays_lost(server: Instance) -> None:
    user, token = a_user(server, pin=PIN), a_stocked_token(server)
    set_lost(server, ROOT, user.serial, lost=True, now=NOW)
    replace(server, ROOT, user.serial, token.serial, now=NOW)
    granted(submit(server, owner_of(server, user.login, token, PIN), NOW))
    assert show_token(server, ROOT, user.serial).lost


# Remove


def test_an_unassigned_token_is_removed_completely(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, user)
    shown_code(any_server, user)
    online_emergency.give_fixed(any_server, ROOT, user.serial, Terms(), CALLED_BACK, now=NOW)
    make_suspicious(any_server, user)
    begin(any_server, user, NEXT)
    with pytest.raises(Conflict, match="assigned"):
        remove(any_server, ROOT, user.serial, now=NOW)
    remove(any_server, ROOT, user.serial, assigned_too=True, now=NOW)
    with pytest.raises(NotFound):
        show_token(any_server, ROOT, user.serial)
    with any_server.database.read() as connection:
        for table in tables.metadata.sorted_tables:
            if "token_id" in table.c and table.name != "audit":
                query = select(func.count()).select_from(table).where(table.c.token_id == user.token_id)
                assert connection.execute(query).scalar_one() == 0, table.name
    assert reason(any_server, user, NEXT) is Reason.NO_TOKEN
    assert [kept for kept in device.sync_of(user, NEXT).keep if kept.token] == []
    (row,) = logged_events(any_server, Action.TOKEN_REMOVED)
    assert row.token_id == user.token_id


def test_an_unassigned_token_is_removed(server: Instance) -> None:
    token = a_stocked_token(server)
    remove(server, ROOT, token.serial, now=NOW)
    with pytest.raises(NotFound):
        show_token(server, ROOT, token.serial)


# Expiry


def test_s05_a_token_that_was_given_an_end_is_refused_from_then_on(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, user)
    code = shown_code(any_server, user)
    set_online(any_server, ROOT, user.serial, allowed=True, now=NOW)
    before = device.sync_of(user, NOW).generation
    set_expiry(any_server, ROOT, user.serial, expires_at=NOW + 60, now=NOW)
    assert device.sync_of(user, NOW).generation > before
    granted(submit(any_server, user, NOW + 59))
    for typed in (user.typed(NOW + 90), Secret(PIN + code)):
        assert reason(any_server, user, NOW + 90, typed) is Reason.TOKEN_EXPIRED
    set_expiry(any_server, ROOT, user.serial, expires_at=None, now=NOW + 90)
    granted(submit(any_server, user, NOW + 90))
    assert len(logged_events(any_server, Action.TOKEN_EXPIRY_SET)) == 2


# Event-based tokens, and descriptions of tokens


def test_an_event_based_token_is_made_at_any_counter(any_server: Instance) -> None:
    login = a_user(any_server).login
    made = add_token(any_server, ROOT, login, NewToken(type="hotp", counter=7, with_pin=False), now=NOW)
    assert isinstance(made.otp, Hotp)
    row = token_row(any_server, made.serial)
    assert (row.interval, row.last_step, row.replay_step) == (0, 6, 6)
    user = with_values(a_user(any_server), login=login)
    for counter, right in ((6, False), (7, True), (7, False), (8, True)):
        outcome = submit(any_server, user, NOW, Secret(made.otp.code(counter)))
        assert isinstance(outcome, Granted) is right
    assert f"counter={made.counter}" in made.otpauth(login, "Sparekey").reveal()


@pytest.mark.parametrize(
    "wish",
    [
        NewToken(type="hotp", algorithm="sha256"),
        NewToken(type="securid"),
        NewToken(type="hotp", counter=-1),
        NewToken(counter=1),
        NewToken(type="hotp", counter=2**31 + 1),
        NewToken(type="x"),
        NewToken(interval=0),
    ],
)
def test_a_token_that_cannot_be_is_not_made(server: Instance, wish: NewToken) -> None:
    with pytest.raises(SparekeyError):
        add_token(server, ROOT, a_user(server).login, wish, now=NOW)


def test_a_token_is_shown_in_full_without_its_secrets(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    device = a_filled_device(server, user, "laptop")
    set_pin(server, ROOT, user.serial, Secret(NEW_PIN), must_change=True, now=NEXT)
    online_emergency.give_fixed(server, ROOT, user.serial, Terms(days=1), CALLED_BACK, now=NOW)
    set_end(server, user, token=NOW + 1_000_000)
    set_enabled(server, ROOT, user.serial, enabled=False, now=NOW)
    view = show_token(server, ROOT, user.serial)
    assert (view.pin_set, view.pin_set_at, view.pin_must_change) == (True, NEXT, True)
    assert (view.enabled, view.expires_at, view.devices) == (False, NOW + 1_000_000, ("laptop",))
    assert (view.online_emergency, view.online_emergency_expires is None) == ("fixed", False)
    assert device.device_id not in repr(view)


def test_a_removed_user_s_device_gets_nothing_about_the_next_one(server: Instance) -> None:
    """A token that went from one user to another: a device where both sign in keeps the two apart."""
    alice, device = a_user(server, "alice", pin=PIN), a_device(server)
    granted(device.sign_in(alice, NOW).outcome)
    device.contact(alice, NOW)
    unassign(server, ROOT, alice.serial, now=NOW)
    bob_id = add_user(server, ROOT, "bob", "SystemDomain", now=NOW)
    assign(server, ROOT, alice.serial, "bob", now=NOW)
    set_pin(server, ROOT, alice.serial, Secret(NEW_PIN), now=NOW)
    bob = with_values(alice, login="bob", account_id=bob_id, pin=NEW_PIN)
    granted(device.sign_in(bob, NEXT).outcome)
    device.contact(bob, NEXT)
    assert shown_code(server, bob, now=NEXT)
    assert [kept for kept in device.sync_of(alice, NEXT).keep if kept.token] == []
    assert {kept.token for kept in device.sync_of(bob, NEXT).keep if kept.token} == {bob.token_id}
