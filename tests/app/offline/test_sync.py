"""Units and states for a device: at a sign-in, at each contact, and after each change of token, user and policy."""

from dataclasses import replace

import pytest

from sparekey.app.devices.devices import revoke
from sparekey.app.instance import Instance
from sparekey.app.offline.sync import acknowledge
from sparekey.app.people.users import set_enabled as set_user_enabled
from sparekey.app.people.users import unlock
from sparekey.app.tokens.tokens import NewToken, clear_pin, set_enabled, set_lost, set_pin
from sparekey.core.offline.self_report import SelfReport
from sparekey.core.offline.units import Obstacle
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.reasons import Reason
from sparekey.secret import Secret
from sparekey.storage.devices import devices
from sparekey.storage.devices.devices import accounts_on_device
from sparekey.storage.devices.receipts import list_receipts
from sparekey.wire.agent_api import KeptKind, UserSync
from tests.builders import (
    DAY,
    LIMIT,
    MIDNIGHT,
    NOW,
    PIN,
    PIN_LESS,
    ROOT,
    Device,
    User,
    a_device,
    a_filled_device,
    a_token,
    a_user,
    denied,
    edit_policy,
    granted,
    set_end,
    submit,
)

TODAY = NOW // DAY


def signed_in(server: Instance) -> tuple[User, Device]:
    """A user who has signed in on a device, which holds nothing yet."""
    user, device = a_user(server, pin=PIN), a_device(server)
    granted(device.sign_in(user, NOW).outcome)
    return user, device


def names(said: UserSync) -> list[tuple[str, int]]:
    return [(unit.kind, unit.day) for unit in said.wanted]


def kept(said: UserSync) -> list[str]:
    return [keep.kind for keep in said.keep]


EVERYTHING = ["day", "emergency-tokencode", "emergency-passcode"]


def test_nothing_is_given_before_a_sign_in_with_the_token(any_server: Instance) -> None:
    device = a_device(any_server)
    a_user(any_server)
    assert device.sync(NOW) == []


def test_a_sign_in_settles_the_answer_to_the_next_contact(any_server: Instance) -> None:
    user, device = a_user(any_server, pin=PIN), a_device(any_server)
    signed = device.sign_in(user, NOW)
    assert signed.key.offline_key is not None
    said = device.sync_of(user, NOW)
    assert (said.user, said.login) == (user.account_id, user.login)
    assert said.check == signed.key.check.hex()
    assert names(said) == [("day", TODAY), ("day", TODAY + 1), ("emergency-tokencode", 0), ("emergency-passcode", 0)]
    assert said.keep == [
        KeptKind(kind="day", token=user.token_id),
        KeptKind(kind="emergency-tokencode", token=user.token_id),
        KeptKind(kind="emergency-passcode", token=""),
    ]
    assert [(used.token, used.step) for used in said.used] == [(user.token_id, user.step(NOW))]
    assert (said.last_day, said.tokencodes_blocked, said.obstacles) == (TODAY + 1, False, [])


def test_held_units_are_not_wanted_again(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, user)
    assert names(device.sync_of(user, NOW)) == [("day", TODAY + 1)]
    assert device.contact(user, NOW) == []
    # The other day comes in its turn.
    after = device.sync_of(user, MIDNIGHT + 60)
    assert names(after) == [("day", TODAY + 1), ("day", TODAY + 2)]


def test_a_wrong_passcode_opens_nothing(server: Instance) -> None:
    user, device = a_user(server, pin=PIN), a_device(server)
    refused = device.sign_in(user, NOW, user.wrong(NOW))
    assert denied(refused.outcome).reason is Reason.WRONG_PASSCODE
    assert (refused.key.offline_key, device.sync(NOW)) == (None, [])


@pytest.mark.parametrize("why", ["policy", "support", "tpm"])
def test_without_offline_data_a_sign_in_gives_no_units(server: Instance, why: str) -> None:
    user, device = a_user(server), a_device(server, supports_offline=why != "support")
    if why == "policy":
        edit_policy(server, {"enabled": "off"})
    elif why == "tpm":
        edit_policy(server, {"require_hardware_store": "on"})
    signed = device.sign_in(user, NOW)
    granted(signed.outcome)
    assert (signed.key.offline_key, device.sync(NOW)) == (None, [])


STATES = {
    "lost": (["emergency-tokencode", "emergency-passcode"], Obstacle.TOKEN_LOST),
    "disabled": (["emergency-passcode"], Obstacle.TOKEN_DISABLED),
    "expired": (["emergency-passcode"], Obstacle.TOKEN_EXPIRED),
    "PIN cleared": (["emergency-passcode"], Obstacle.NO_PIN),
    "too short": (["emergency-passcode"], Obstacle.PASSCODE_TOO_SHORT),
    "user disabled": ([], Obstacle.ACCOUNT_CLOSED),
    "user expired": ([], Obstacle.ACCOUNT_CLOSED),
    "policy off": ([], Obstacle.POLICY_OFF),
    "no TPM": ([], Obstacle.NO_HARDWARE_STORE),
}


def bring_about(server: Instance, user: User, state: str) -> None:
    match state:
        case "lost":
            set_lost(server, ROOT, user.serial, lost=True, now=NOW)
        case "disabled":
            set_enabled(server, ROOT, user.serial, enabled=False, now=NOW)
        case "expired":
            set_end(server, user, token=NOW)
        case "PIN cleared":
            clear_pin(server, ROOT, user.serial, now=NOW)
        case "too short":
            edit_policy(server, {"minimum_passcode_length": "16"})
        case "user disabled":
            set_user_enabled(server, ROOT, user.login, enabled=False, now=NOW)
        case "user expired":
            set_end(server, user, account=NOW)
        case "policy off":
            edit_policy(server, {"enabled": "off"})
        case "no TPM":
            edit_policy(server, {"require_hardware_store": "on"})


@pytest.mark.parametrize("state", STATES)
def test_each_state_keeps_units_for_its_reason(server: Instance, state: str) -> None:
    user, device = signed_in(server)
    assert kept(device.sync_of(user, NOW)) == EVERYTHING
    bring_about(server, user, state)
    stays, why = STATES[state]
    said = device.sync_of(user, NOW)
    assert kept(said) == stays
    assert {unit.kind for unit in said.wanted} <= set(stays)
    assert said.obstacles == [why]


@pytest.mark.parametrize(("days", "warn", "told"), [("14", "7", 7), ("3", "7", 2), ("1", "30", 0), ("10", "0", 0)])
def test_a_user_with_all_days_is_not_warned(server: Instance, days: str, warn: str, told: int) -> None:
    edit_policy(server, {"days": days, "warn_days": warn})
    user, device = signed_in(server)
    assert device.sync_of(user, NOW).policy.warn_days == told


def test_wrong_passcodes_stop_new_units_until_a_complete_sign_in(server: Instance) -> None:
    user, device = signed_in(server)
    for _ in range(TokenPolicy().next_tokencode_after):
        submit(server, user, NOW, user.wrong(NOW))
    said = device.sync_of(user, NOW)
    assert (kept(said), said.tokencodes_blocked) == (EVERYTHING, False)
    assert {unit.kind for unit in said.wanted} == {"emergency-passcode"}
    assert said.obstacles == [Obstacle.NEXT_TOKENCODE]
    unlock(server, ROOT, user.login, now=NOW)
    assert "day" in {unit.kind for unit in device.sync_of(user, NOW).wanted}


def test_a_lockout_stops_new_units_and_voids_none(server: Instance) -> None:
    user, device = signed_in(server)
    for _ in range(LIMIT):
        submit(server, user, NOW, user.wrong(NOW))
    said = device.sync_of(user, NOW)
    assert said.tokencodes_blocked
    assert (kept(said), said.wanted, said.obstacles) == (EVERYTHING, [], [Obstacle.ACCOUNT_LOCKED])
    unlock(server, ROOT, user.login, now=NOW)
    said = device.sync_of(user, NOW)
    assert not said.tokencodes_blocked
    assert len(said.wanted) == 4


def test_a_revoked_device_gets_no_users(server: Instance) -> None:
    user, device = signed_in(server)
    revoke(server, ROOT, device.device_id, now=NOW)
    assert device.sync(NOW) == []
    assert user.login not in repr(device.row)


def test_tokens_without_a_pin_need_their_policy_level_and_digits(server: Instance) -> None:
    short, device = a_user(server), a_device(server)
    long = a_user(server, token=NewToken(digits=8))
    for user in (short, long):
        granted(device.sign_in(user, NOW).outcome)
    said = {each.user: each for each in device.sync(NOW)}
    for user in (short, long):
        assert said[user.account_id].obstacles == [Obstacle.PIN_LESS_NOT_ALLOWED]
    edit_policy(server, {**PIN_LESS, "protection_level": "balanced"})
    said = {each.user: each for each in device.sync(NOW)}
    assert said[short.account_id].obstacles == [Obstacle.PIN_LESS_TOO_WEAK]
    assert (said[long.account_id].obstacles, kept(said[long.account_id])) == ([], EVERYTHING)
    with server.database.write() as connection:
        devices.save_report(connection, device.device_id, SelfReport(hardware_bound=True), (), NOW)
    assert device.sync_of(short, NOW).obstacles == []


def test_the_least_recently_used_user_drops_out(server: Instance) -> None:
    edit_policy(server, {"users_per_device": "2"})
    device = a_device(server)
    first, second, third = (a_user(server) for _ in range(3))
    for number, user in enumerate((first, second, third)):
        granted(device.sign_in(user, NOW + number).outcome)
    assert {said.user for said in device.sync(NOW)} == {second.account_id, third.account_id}
    # A lower limit counts from the next sign-in, and never against the user who signs in.
    edit_policy(server, {"users_per_device": "1"})
    granted(device.sign_in(second, NOW + 30).outcome)
    assert [said.user for said in device.sync(NOW)] == [second.account_id]


def test_of_two_sign_ins_in_one_second_the_later_one_stays(server: Instance) -> None:
    edit_policy(server, {"users_per_device": "1"})
    device = a_device(server)
    for user in (a_user(server) for _ in range(6)):  # ids are random: without the rule some would drop out
        granted(device.sign_in(user, NOW).outcome)
        assert [said.user for said in device.sync(NOW)] == [user.account_id]


def test_a_generation_does_not_begin_again_where_data_were_dropped(server: Instance) -> None:
    edit_policy(server, {"users_per_device": "1"})
    user, device = signed_in(server)
    for pin in ("1357", "2468", "3571"):
        set_pin(server, ROOT, user.serial, Secret(pin), now=NOW)
    known = device.sync_of(user, NOW).generation
    granted(device.sign_in(a_user(server), NOW + 30).outcome)
    now = NOW + 60
    granted(device.sign_in(replace(user, pin="3571"), now).outcome)
    assert device.sync_of(user, now).generation > known


def test_the_least_recently_used_token_drops_out(server: Instance) -> None:
    edit_policy(server, {"tokens_per_user": "1"})
    first = a_user(server, pin=PIN)
    second = a_token(server, first.login, first.account_id, pin="9753")
    device = a_device(server)
    granted(device.sign_in(first, NOW).outcome)
    granted(device.sign_in(second, NOW + 1).outcome)
    tokens = {keep.token for keep in device.sync_of(first, NOW).keep}
    assert tokens == {second.token_id, ""}
    edit_policy(server, {"tokens_per_user": "2"})
    tokens = {keep.token for keep in device.sync_of(first, NOW).keep}
    assert tokens == {first.token_id, second.token_id, ""}


def test_days_are_made_for_the_token_that_was_used_here(server: Instance) -> None:
    first = a_user(server, pin=PIN)
    a_token(server, first.login, first.account_id, pin="9753")
    device = a_device(server)
    granted(device.sign_in(first, NOW).outcome)
    assert {keep.token for keep in device.sync_of(first, NOW).keep} == {first.token_id, ""}


def receipts(server: Instance, device: Device) -> list[tuple[str, int | None]]:
    with server.database.read() as connection:
        return [(row.kind, row.acknowledged_at) for row in list_receipts(connection, device.device_id)]


def test_a_device_holds_the_units_that_it_acknowledged(any_server: Instance) -> None:
    user, device = signed_in(any_server)
    said = device.sync_of(user, NOW)
    device.fetch(user, said.wanted[0], said.generation, NOW)
    assert receipts(any_server, device) == [("day", None)]
    device.hold(user, said.wanted[0], said, NOW + 1)
    assert receipts(any_server, device) == [("day", NOW + 1)]


def test_reported_units_are_confirmed_and_lost_ones_wanted_again(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, user)
    lost = next(name for name in device.held if name[1] == "day")
    del device.held[lost]
    said = device.sync_of(user, NOW + 5)
    assert ("day", TODAY) in names(said)
    confirmed = sorted(kind for kind, at in receipts(any_server, device) if at is not None)
    assert confirmed == ["emergency-passcode", "emergency-tokencode"]
    assert ("day", TODAY) not in names(device_after(device, user))


def device_after(device: Device, user: User) -> UserSync:
    device.contact(user, NOW + 5)
    return device.sync_of(user, NOW + 5)


def test_a_receipt_that_was_never_confirmed_is_forgotten_after_a_day(server: Instance) -> None:
    user, device = signed_in(server)
    said = device.sync_of(user, NOW)
    device.fetch(user, said.wanted[0], said.generation, NOW)
    device.sync(NOW + DAY)
    assert len(receipts(server, device)) == 1
    device.sync(NOW + DAY + 1)
    assert receipts(server, device) == []


def test_an_unknown_acknowledgement_is_no_receipt(server: Instance) -> None:
    _, device = signed_in(server)
    row = device.row
    with server.database.write() as connection:
        assert acknowledge(connection, row, [bytes(32), b"", b"x"], NOW) == 0


def test_an_old_generation_is_replaced_and_erased_only_with_its_kind(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    device = a_filled_device(server, user)
    set_pin(server, ROOT, user.serial, Secret("other1"), now=NOW)
    said = device.sync_of(user, NOW)
    assert kept(said) == EVERYTHING
    assert len(said.wanted) == 4
    assert len(device.held) == 3


def test_two_users_of_one_device_are_separate(any_server: Instance) -> None:
    device = a_device(any_server)
    alice, bob = a_user(any_server, pin=PIN), a_user(any_server, pin=PIN)
    for user in (alice, bob):
        granted(device.sign_in(user, NOW).outcome)
        device.contact(user, NOW)
    clear_pin(any_server, ROOT, bob.serial, now=NOW)
    said = {each.user: each for each in device.sync(NOW)}
    assert (kept(said[alice.account_id]), kept(said[bob.account_id])) == (EVERYTHING, ["emergency-passcode"])
    with any_server.database.read() as connection:
        assert len(accounts_on_device(connection, device.device_id)) == 2
