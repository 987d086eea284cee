"""S29: a unit is sealed for a device as often as broken downloads need, and the receipts of a device stay few."""

import hashlib

import pytest

from sparekey.app.instance import Instance
from sparekey.app.offline.sealing import HOUR, MOST_FETCHES, FetchedTooOften
from sparekey.app.offline.sync import acknowledge
from sparekey.core.errors import Conflict
from sparekey.storage import tables
from sparekey.storage.devices import devices
from sparekey.storage.devices.receipts import list_receipts
from sparekey.wire.agent_api import UnitName, UserSync
from tests.builders import DAY, MIDNIGHT, PIN, Device, User, a_device, a_filled_device, a_user, granted
from tools.counts import Count

AFTER = MIDNIGHT - 1_000  # a few records of the day are left in the hour that follows


def a_signed_in_device(server: Instance) -> tuple[User, Device, UserSync, UnitName]:
    """Return a user and a device that holds nothing yet, with the first unit that it may fetch."""
    user, device = a_user(server, pin=PIN), a_device(server)
    granted(device.sign_in(user, AFTER).outcome)
    said = device.sync_of(user, AFTER)
    return user, device, said, UnitName(kind="emergency-passcode", token="")


def test_s29_the_same_unit_is_sealed_three_times_an_hour(server: Instance, count: Count) -> None:
    user, device, said, name = a_signed_in_device(server)
    for number in range(MOST_FETCHES):
        device.fetch(user, name, said.generation, AFTER + number)
    for second in range(4, count(small=6, full=1_000)):
        with pytest.raises(FetchedTooOften) as refused:
            device.fetch(user, name, said.generation, AFTER + second)
        assert refused.value.seconds == HOUR - second
    device.fetch(user, name, said.generation, AFTER + HOUR)
    other = UnitName(kind="emergency-tokencode", token=user.token_id)
    device.fetch(user, other, said.generation, AFTER + 5)


def test_s29_reporting_a_unit_as_lost_does_not_reset_its_count(server: Instance) -> None:
    user, device, said, name = a_signed_in_device(server)
    for _ in range(MOST_FETCHES):
        device.hold(user, name, said, AFTER)
        device.held.clear()
        device.sync(AFTER)
    with pytest.raises(FetchedTooOften):
        device.fetch(user, name, said.generation, AFTER)


def test_s29_an_acknowledged_unit_is_sealed_again_only_after_a_report_without_it(server: Instance) -> None:
    user, device, said, name = a_signed_in_device(server)
    device.hold(user, name, said, AFTER)
    with pytest.raises(Conflict, match="has confirmed"):
        device.fetch(user, name, said.generation, AFTER)
    assert name not in device.sync_of(user, AFTER).wanted
    with pytest.raises(Conflict):
        device.fetch(user, name, said.generation, AFTER + 2 * HOUR)
    device.held.clear()
    assert name in device.sync_of(user, AFTER).wanted
    device.hold(user, name, said, AFTER)


def test_s29_a_new_generation_is_fetched_although_the_old_one_is_held(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    device = a_filled_device(server, user, now=AFTER)
    old = device.sync_of(user, AFTER).generation
    with server.database.write() as connection:
        devices.raise_generation(connection, user.account_id)
    said = device.sync_of(user, AFTER)
    unit = device.fetch(user, said.wanted[0], said.generation, AFTER)
    with server.database.read() as connection:
        slot = [row for row in list_receipts(connection, device.device_id) if row.kind == said.wanted[0].kind]
    # The device uses the old unit until the new generation is complete, so the server still knows of it.
    assert [(row.generation, row.acknowledged_at is None) for row in slot] == [(old, False), (said.generation, True)]
    assert slot[1].unit_hash == hashlib.sha256(unit).digest()


def test_s29_receipts_do_not_grow(any_server: Instance, count: Count) -> None:
    """Neither by units that are never acknowledged, nor by generations, nor by units that are reported as lost."""
    user, device, said, _ = a_signed_in_device(any_server)
    names = [name for name in said.wanted if name.day in (0, AFTER // DAY)]
    for round_number in range(count(small=8, full=200)):
        now = AFTER + round_number
        with any_server.database.write() as connection:
            devices.raise_generation(connection, user.account_id)
        generation = device.sync_of(user, now).generation
        for name in names:
            unit = device.fetch(user, name, generation, now)
            if round_number % 3:
                with any_server.database.write() as connection:
                    acknowledge(connection, device.row, [hashlib.sha256(unit).digest()], now)
        with any_server.database.read() as connection:
            rows = connection.execute(tables.unit_receipt.select()).all()
        assert len(rows) <= 3 * len(names)
