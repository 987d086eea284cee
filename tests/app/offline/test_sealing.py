"""Sealed data open on the device with the right passcode, and with the key that the server named."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sparekey.app.instance import Instance
from sparekey.app.ports import KeyPurpose
from sparekey.app.tokens.tokens import NewToken, set_lost, set_pin
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.errors import Conflict, NotAllowed
from sparekey.sealed import (
    LEVELS,
    Moment,
    OpenedRecord,
    SealedUnit,
    Superseded,
    Unopened,
    check_of,
    one_by_one,
    open_previous,
    open_unit,
    verify_unit,
)
from sparekey.secret import Secret
from sparekey.storage.devices import receipts
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.wire.agent_api import UnitName
from tests.builders import (
    DAY,
    MIDNIGHT,
    NOW,
    PIN,
    PIN_LESS,
    ROOT,
    Device,
    User,
    a_device,
    a_filled_device,
    a_user,
    edit_policy,
    granted,
    set_end,
    show,
    shown_code,
    submit,
)

LATE = MIDNIGHT - 90  # three intervals are left of the day
TODAY = LATE // DAY


def a_holder(server: Instance, pin: str = PIN, token: NewToken = NewToken()) -> tuple[User, Device]:
    """A user who signed in on a device, late in the day."""
    user, device = a_user(server, pin=pin, token=token), a_device(server)
    granted(device.sign_in(user, LATE).outcome)
    return user, device


def received(device: Device, unit: bytes, generation: int) -> SealedUnit:
    """The unit as the device examines it at receipt."""
    keys = [device.instance.keystore.public_key(KeyPurpose.OFFLINE)]
    return verify_unit(unit, keys, device.device_id, generation)


def fetched(device: Device, user: User, kind: str, day: int = 0, now: int = LATE) -> SealedUnit:
    """A unit that the device asked for and examined."""
    token = "" if kind == "emergency-passcode" else user.token_id
    generation = device.sync_of(user, now).generation
    return received(device, device.fetch(user, UnitName(kind=kind, token=token, day=day), generation, now), generation)


def held(device: Device, user: User, kind: str) -> SealedUnit:
    """A unit that the device has fetched and keeps, examined."""
    unit = next(unit for name, (_, unit) in device.held.items() if name[:2] == (user.account_id, kind))
    return received(device, unit, device.sync_of(user, NOW).generation)


def opened(unit: SealedUnit, typed: Secret[str] | str, now: int = LATE) -> OpenedRecord:
    return open_unit(unit, typed if isinstance(typed, str) else typed.reveal(), Moment(now))


def key_of(device: Device, user: User) -> bytes:
    return device.check[user.account_id]


def test_a_day_opens_with_pin_and_tokencode_to_the_key_that_the_sign_in_named(any_server: Instance) -> None:
    user, device = a_holder(any_server)
    day = fetched(device, user, "day", TODAY)
    header = day.header
    assert (header.kind, header.user, header.login, header.token) == ("day", user.account_id, user.login, user.token_id)
    assert (header.interval, header.drift, header.window, header.digits) == (30, 0, 1, 6)
    assert header.not_after == MIDNIGHT + 600
    # The step that signed in online is not in it, nor any before it.
    assert (header.first, header.count) == (user.step(LATE) + 1, 2)
    then = LATE + 30
    found = opened(day, user.typed(then), then)
    assert found.i == user.step(then)
    assert check_of(found.offline_key) == key_of(device, user)
    for wrong in (user.wrong(then), Secret("4712" + user.totp.code(user.step(then))), user.typed(LATE)):
        with pytest.raises(Unopened):
            opened(day, wrong, then)


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_is_that_of_the_policy(server: Instance, level: str) -> None:
    edit_policy(server, {"protection_level": level})
    user, device = a_holder(server)
    header, meant = fetched(device, user, "day", TODAY).header, LEVELS[level]
    assert (header.argon_m, header.argon_t, header.pepper_bits) == (meant.argon_m, meant.argon_t, meant.pepper_bits)


def test_a_token_without_a_pin_is_sealed_without_one(server: Instance) -> None:
    edit_policy(server, {**PIN_LESS, "protection_level": "balanced"})
    user, device = a_holder(server, pin="", token=NewToken(digits=8))
    day, code = fetched(device, user, "day", TODAY), fetched(device, user, "emergency-tokencode")
    assert (day.header.pin_salt, code.header.pin_salt) == (b"", b"")
    assert opened(day, user.typed(LATE + 30), LATE + 30).i == user.step(LATE + 30)
    device.contact(user, LATE)
    assert opened(code, shown_code(server, user, now=LATE)).i == 0


def test_s41_emergency_units_open_only_with_the_whole_code(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    device = a_filled_device(server, user)
    tokencode, passcode = (held(device, user, kind) for kind in ("emergency-tokencode", "emergency-passcode"))
    shown = show(server, user)
    whole = show(server, user, kind=CodeKind.PASSCODE).code.reveal()
    code = shown.code.reveal()
    assert (tokencode.header.version, tokencode.header.not_after) == (shown.version, shown.not_after)
    assert check_of(opened(tokencode, PIN + code).offline_key) == key_of(device, user)
    assert check_of(opened(passcode, whole).offline_key) == key_of(device, user)
    for wrong in (code, "4712" + code, PIN + whole):
        with pytest.raises(Unopened):
            opened(tokencode, wrong)
    # An Argon2id record of 64 MiB and three passes is all that the device has of the code.
    for unit in (tokencode, passcode):
        assert (unit.header.argon_m, unit.header.argon_t) == (65_536, 3)


def test_after_a_pin_change_only_the_new_pin_opens_and_the_old_units_are_superseded(server: Instance) -> None:
    user, device = a_holder(server)
    name = UnitName(kind="day", token=user.token_id, day=TODAY)
    before = device.fetch(user, name, device.sync_of(user, LATE).generation, LATE)
    set_pin(server, ROOT, user.serial, Secret("other1"), now=LATE)
    generation = device.sync_of(user, LATE).generation
    with pytest.raises(Superseded):
        received(device, before, generation)
    day, then = fetched(device, user, "day", TODAY), LATE + 30
    with pytest.raises(Unopened):
        opened(day, user.typed(then), then)
    found = opened(day, replace(user, pin="other1").typed(then), then)
    # `previous` leads from the new key to the one under which the device's secrets are wrapped.
    assert check_of(found.offline_key) != key_of(device, user)
    old = open_previous(found.offline_key, key_of(device, user), day.header.previous)
    assert check_of(old) == key_of(device, user)


def test_a_level_change_seals_again_in_a_new_generation(server: Instance) -> None:
    user, device = a_holder(server)
    light = fetched(device, user, "day", TODAY).header
    edit_policy(server, {"protection_level": "balanced"})
    balanced = fetched(device, user, "day", TODAY).header
    assert balanced.generation == light.generation + 1
    assert (light.argon_m, balanced.argon_m) == (1024, 8192)


def test_a_lifetime_edit_replaces_the_emergency_units_only(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    device = a_filled_device(server, user)
    before = device.sync_of(user, NOW)
    edit_policy(server, {"emergency_lifetime": "5"})
    said = device.sync_of(user, NOW)
    assert (said.generation, said.check) == (before.generation, before.check)
    names = [(name.kind, name.day) for name in said.wanted if name not in before.wanted]
    assert names == [("emergency-tokencode", 0), ("emergency-passcode", 0)]
    code = fetched(device, user, "emergency-tokencode", now=NOW)
    assert (code.header.version, code.header.not_after) == (1, NOW + 5 * DAY)
    device.contact(user, NOW)
    assert device.sync_of(user, NOW).wanted == before.wanted


def test_nothing_is_sealed_past_the_end_of_token_or_account(server: Instance) -> None:
    user, device = a_holder(server)
    set_end(server, user, token=MIDNIGHT - 30)
    day = fetched(device, user, "day", TODAY)
    assert (day.header.first, day.header.count) == (user.step(LATE) + 1, 1)
    assert fetched(device, user, "emergency-tokencode").header.not_after == MIDNIGHT - 30
    set_end(server, user, account=MIDNIGHT - 60)
    said = device.sync_of(user, LATE)
    assert [(name.kind, name.day) for name in said.wanted] == [("emergency-tokencode", 0), ("emergency-passcode", 0)]
    assert fetched(device, user, "emergency-passcode").header.not_after == MIDNIGHT - 60


def test_a_drifted_token_is_sealed_as_it_counts(server: Instance) -> None:
    user, device = a_user(server, pin=PIN), a_device(server)
    granted(device.sign_in(user, LATE, user.typed(LATE, 30)).outcome)
    day = fetched(device, user, "day", TODAY)
    assert (day.header.drift, day.header.first) == (1, user.step(LATE) + 2)
    assert opened(day, user.typed(LATE + 30, 30), LATE + 30).i == user.step(LATE) + 2


def test_steps_that_were_used_elsewhere_are_left_out(server: Instance) -> None:
    user, device = a_holder(server)
    granted(submit(server, user, LATE + 30))
    assert fetched(device, user, "day", TODAY).header.first == user.step(LATE) + 2


@pytest.mark.parametrize(
    ("name", "generation"),
    [
        (UnitName(kind="day", token="", day=TODAY), 0),
        (UnitName(kind="day", token="other", day=TODAY), 0),
        (UnitName(kind="day", token="", day=TODAY - 1), 0),
        (UnitName(kind="emergency-passcode", token="other", day=0), 0),
        (UnitName(kind="events", token="", day=0), 0),
    ],
)
def test_units_of_other_devices_are_not_sealed(server: Instance, name: UnitName, generation: int) -> None:
    user, device = a_holder(server)
    with pytest.raises(NotAllowed):
        device.fetch(user, name, device.sync_of(user, LATE).generation + generation, LATE)


def test_a_device_gets_nothing_of_a_user_who_never_signed_in_on_it(server: Instance) -> None:
    user, device = a_holder(server)
    stranger = a_device(server)
    generation = device.sync_of(user, LATE).generation
    with pytest.raises(NotAllowed, match="no offline data on this device"):
        stranger.fetch(user, UnitName(kind="day", token=user.token_id, day=TODAY), generation, LATE)


@pytest.mark.parametrize("off", [-1, 1])
def test_another_generation_is_a_reason_to_sync_again(server: Instance, off: int) -> None:
    user, device = a_holder(server)
    generation = device.sync_of(user, LATE).generation
    with pytest.raises(Conflict, match="being regenerated"):
        device.fetch(user, UnitName(kind="day", token=user.token_id, day=TODAY), generation + off, LATE)


def receipts_of(device: Device) -> int:
    with device.instance.database.read() as connection:
        return len(receipts.list_receipts(connection, device.device_id))


def interrupted(server: Instance, happens: Callable[[], None]) -> Instance:
    """An instance on which something happens while it hashes: between the snapshot and the handing over."""

    def run(function, items):  # type: ignore[no-untyped-def] # the built-in map's own signature
        happens()
        return one_by_one(function, items)

    return replace(server, run=run)


def test_a_unit_that_was_overtaken_while_it_was_sealed_is_thrown_away(any_server: Instance) -> None:
    user, device = a_holder(any_server)
    generation = device.sync_of(user, LATE).generation
    slow = interrupted(any_server, lambda: set_lost(any_server, ROOT, user.serial, lost=True, now=LATE))
    with pytest.raises(Conflict, match="being regenerated"):
        replace(device, instance=slow).fetch(
            user, UnitName(kind="day", token=user.token_id, day=TODAY), generation, LATE
        )
    assert receipts_of(device) == 0


def test_a_code_replaced_during_sealing_is_discarded(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, user)
    shown_code(any_server, user)
    granted(device.sign_in(user, NOW + 30).outcome)  # the emergency is over: version 2 is on its way
    said = device.sync_of(user, NOW + 30)

    def show_again() -> None:
        show(any_server, user, now=NOW + 31)  # the device holds version 1, and the caller is on the phone

    before = receipts_of(device)
    slow = replace(device, instance=interrupted(any_server, show_again))
    with pytest.raises(Conflict, match="a newer version"):
        slow.fetch(user, UnitName(kind="emergency-tokencode", token=user.token_id), said.generation, NOW + 31)
    assert receipts_of(device) == before
    with any_server.database.read() as connection:
        row = emergency_codes.find_device_code(connection, device.device_id, user.token_id)
        assert row
        assert row.code_id == row.held_code_id


def generations(device: Device, user: User, now: int) -> tuple[int, str]:
    said = device.sync_of(user, now)
    return said.generation, said.check


def test_each_generation_has_a_new_key_once_the_last_one_was_confirmed(server: Instance) -> None:
    user, device = a_holder(server)
    first = generations(device, user, LATE)
    set_pin(server, ROOT, user.serial, Secret("1357"), now=LATE)
    second = generations(device, user, LATE)
    assert second[0] == first[0] + 1
    assert second[1] != first[1]
    # The second key was never opened: the next generation keeps it, so that data wrapped under it are not lost.
    set_pin(server, ROOT, user.serial, Secret("2468"), now=LATE)
    set_pin(server, ROOT, user.serial, Secret("3571"), now=LATE)
    third = generations(device, user, LATE)
    assert third == (second[0] + 2, second[1])
    # An offline sign-in opened it: that is its confirmation.
    device.check[user.account_id] = bytes.fromhex(second[1])
    device.offline_success(user, LATE + 30)
    device.upload(LATE + 60)
    assert generations(device, user, LATE + 60) == third
    set_pin(server, ROOT, user.serial, Secret("4680"), now=LATE)
    fourth = generations(device, user, LATE + 60)
    assert fourth[0] == third[0] + 1
    assert fourth[1] not in (first[1], second[1])


def test_an_online_sign_in_carries_the_key_under_which_the_device_s_secrets_are_wrapped(server: Instance) -> None:
    user, device = a_holder(server)
    first = key_of(device, user)
    set_pin(server, ROOT, user.serial, Secret("other1"), now=LATE)
    user = replace(user, pin="other1")
    assert device.sync_of(user, LATE).check != first.hex()
    signed = device.sign_in(user, LATE + 30)
    assert signed.key.check == first
    assert signed.key.offline_key is not None
    assert check_of(signed.key.offline_key) == first
    # A device that keeps nothing, or names a key that was never confirmed, is given the current one.
    for known in (b"", bytes(32)):
        device.check[user.account_id] = known
        now = LATE + 90 if known else LATE + 60
        assert device.sign_in(user, now).key.check.hex() == device.sync_of(user, now).check


def test_previous_is_empty_where_the_confirmed_key_is_the_current_one(server: Instance) -> None:
    user, device = a_holder(server)
    assert fetched(device, user, "day", TODAY).header.previous == b""
