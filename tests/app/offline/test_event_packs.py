"""Event packs at the server: units for a device, units that it may keep, and counters used offline."""

import pytest

from sparekey.app.instance import Instance
from sparekey.app.ports import KeyPurpose
from sparekey.core.audit_log.actions import Action
from sparekey.core.offline.event_packs import FEWEST, LOOK_AHEAD, PACK
from sparekey.core.reasons import Reason
from sparekey.sealed import Moment, SealedUnit, WrongPasscode, open_unit, verify_unit
from sparekey.storage import tables
from sparekey.storage.tokens import tokens
from sparekey.wire.events import EventKind
from tests.builders import (
    DAY,
    NOW,
    Device,
    a_user,
    denied,
    edit_policy,
    granted,
    submit,
    token_row,
)
from tests.event_tokens import Presser, a_holder_of_a_pack


def pack_of(device: Device) -> SealedUnit:
    (unit,) = (unit for held, unit in device.held.values() if held.kind == "events")
    return verify_unit(unit, [device.instance.keystore.public_key(KeyPurpose.OFFLINE)], device.device_id, 0)


def wanted_kinds(device: Device, presser: Presser, now: int) -> list[str]:
    return [unit.kind for unit in device.sync_of(presser.user, now).wanted]


def test_a_device_is_given_a_pack_and_no_days(any_server: Instance) -> None:
    presser, device = a_holder_of_a_pack(any_server)
    header = pack_of(device).header
    assert (header.first, header.count, header.window, header.interval, header.drift) == (1, PACK, LOOK_AHEAD, 0, 0)
    assert header.not_after == (NOW // DAY + 2) * DAY
    assert sorted(held.kind for held, _ in device.held.values()) == [
        "emergency-passcode",
        "emergency-tokencode",
        "events",
    ]
    assert wanted_kinds(device, presser, NOW + 60) == []


def test_s21_the_pack_opens_with_pin_and_code_of_the_next_counters_alone(server: Instance) -> None:
    presser, device = a_holder_of_a_pack(server)
    unit, moment = pack_of(device), Moment(NOW, next_counter=1)
    for counter in (1, 1 + LOOK_AHEAD):
        assert open_unit(unit, presser.typed(counter).reveal(), moment).i == counter
    for typed in ("4711ABCD" + presser.otp.code(1), presser.typed(2 + LOOK_AHEAD).reveal()):
        with pytest.raises(WrongPasscode):
            open_unit(unit, typed, moment)


def test_the_pack_may_stay_and_the_device_learns_the_used_counters(server: Instance) -> None:
    presser, device = a_holder_of_a_pack(server)
    granted(submit(server, presser.user, NOW + 60, presser.typed(3)))
    said = device.sync_of(presser.user, NOW + 90)
    assert ("events", presser.user.token_id) in [(keep.kind, keep.token) for keep in said.keep]
    assert [(used.token, used.step) for used in said.used] == [(presser.user.token_id, 3)]


def test_a_pack_is_replaced_when_half_used_and_at_half_its_lifetime(server: Instance) -> None:
    presser, device = a_holder_of_a_pack(server)
    with server.database.write() as connection:
        tokens.use_up_by_report(connection, presser.user.token_id, PACK - FEWEST)
    assert wanted_kinds(device, presser, NOW + 60) == []
    with server.database.write() as connection:
        tokens.use_up_by_report(connection, presser.user.token_id, PACK - FEWEST + 1)
    assert wanted_kinds(device, presser, NOW + 60) == ["events"]
    device.contact(presser.user, NOW + 60)
    assert pack_of(device).header.first == PACK - FEWEST + 2
    assert wanted_kinds(device, presser, NOW + 120) == []
    assert wanted_kinds(device, presser, NOW + DAY) == ["events"]


def test_a_missing_receipt_replaces_the_pack(server: Instance) -> None:
    presser, device = a_holder_of_a_pack(server)
    with server.database.write() as connection:
        connection.execute(tables.unit_receipt.delete().where(tables.unit_receipt.c.kind == "events"))
    assert wanted_kinds(device, presser, NOW + 60) == ["events"]


def test_a_pack_confirms_no_emergency_code(server: Instance) -> None:
    edit_policy(server, {"emergency_tokencode": "off", "emergency_passcode": "off"})
    presser, device = a_holder_of_a_pack(server)
    assert [held.kind for held, _ in device.held.values()] == ["events"]
    assert wanted_kinds(device, presser, NOW + 60) == []


# Offline use


def used_offline(device: Device, presser: Presser, *counters: int) -> None:
    for counter in counters:
        device.event(
            presser.user,
            at=NOW + 30,
            method="tokencode",
            token=presser.user.token_id,
            step=counter,
            check=device.check[presser.user.account_id].hex(),
        )
    device.upload(NOW + 60)


def test_s23_counters_used_offline_are_used_up_here(any_server: Instance) -> None:
    presser, device = a_holder_of_a_pack(any_server)
    used_offline(device, presser, 1, 2, 4)
    assert token_row(any_server, presser.user.serial).last_step == 4
    denied(submit(any_server, presser.user, NOW + 90, presser.typed(3)))
    assert denied(submit(any_server, presser.user, NOW + 95, presser.typed(4))).reason is Reason.USED_ON_DEVICE
    granted(submit(any_server, presser.user, NOW + 100, presser.typed(5)))


def test_s23_events_move_the_counter_to_the_end_of_the_pack_at_most(server: Instance) -> None:
    presser, device = a_holder_of_a_pack(server)
    used_offline(device, presser, PACK)  # the last one of the pack
    assert token_row(server, presser.user.serial).last_step == PACK
    used_offline(device, presser, PACK + 1, 10**9)
    assert token_row(server, presser.user.serial).last_step == PACK


def test_without_known_data_events_move_the_counter_by_the_look_ahead_at_most(server: Instance) -> None:
    edit_policy(server, {"users_per_device": "1"})
    presser, device = a_holder_of_a_pack(server)
    granted(device.sign_in(a_user(server), NOW + 30).outcome)
    used_offline(device, presser, 2 + LOOK_AHEAD)
    assert token_row(server, presser.user.serial).last_step == 1 + LOOK_AHEAD


def test_a_counter_used_in_both_worlds_is_an_alarm(server: Instance) -> None:
    presser, device = a_holder_of_a_pack(server)
    granted(submit(server, presser.user, NOW + 20, presser.typed(2)))
    used_offline(device, presser, 2)
    with server.database.read() as connection:
        rows = connection.execute(tables.audit.select().where(tables.audit.c.action == Action.ALARM_STEP_USED_TWICE))
        assert len(rows.all()) == 1


def test_a_refusal_uses_no_counter_up(server: Instance) -> None:
    presser, device = a_holder_of_a_pack(server)
    device.event(presser.user, EventKind.DENIED, method="tokencode", token=presser.user.token_id, step=3)
    device.upload(NOW + 60)
    assert token_row(server, presser.user.serial).last_step == 0
