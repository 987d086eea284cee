"""S27, the device's part: offline events are numbered, chained and signed, kept until the server has them."""

from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.ports import Distance
from sparekey.wire.events import NO_EVENT, EventKind, OfflineEvent
from sparekey.wire.signing import BadSignature, verify_signature
from tests.agent.devices import World, an_offline_world


def five_events(directory: Path) -> tuple[World, list[OfflineEvent]]:
    world = an_offline_world(directory)
    world.login(world.alice.pin + "000000")
    for _ in range(3):
        world.next_code()
        assert world.login(world.passcode()).answer.result == "granted"
    world.login(world.alice.passcode)
    return world, world.device.state.events


def verify_chain(events: list[OfflineEvent], public_key: bytes) -> None:
    """Verify the chain as a server does: each number follows, each event names the one before, each is signed."""
    previous, number = NO_EVENT, 0
    for event in events:
        verify_signature(public_key, bytes.fromhex(event.signature), event.signed_bytes())
        assert (event.number, event.previous) == (number + 1, previous.hex())
        previous, number = event.hash(), event.number


def test_s27_events_are_numbered_chained_and_signed(tmp_path: Path) -> None:
    world, events = five_events(tmp_path / "store")
    assert [event.kind for event in events] == ["denied", "granted", "granted", "granted", "granted"]
    assert (events[-1].method, events[-1].version) == ("emergency-passcode", 1)
    public_key = world.device.store.keys.public_key()
    verify_chain(events, public_key)
    with pytest.raises(AssertionError):
        verify_chain(events[:2] + events[3:], public_key)
    renumbered = [*events[:2], *(replace(event, number=event.number - 1) for event in events[3:])]
    with pytest.raises(BadSignature):
        verify_chain(renumbered, public_key)


def test_s27_events_are_uploaded_before_the_next_online_attempt_and_then_deleted(tmp_path: Path) -> None:
    world, events = five_events(tmp_path / "store")
    world.go_online()
    world.next_code()
    calls = len(world.server.calls)
    assert world.login(world.passcode()).answer.mode == "online"
    assert world.server.calls[calls : calls + 2] == ["events", "sign_in"]
    assert world.server.events_taken == events
    assert world.device.state.events == []
    world.go_offline()
    world.next_code()
    world.login(world.passcode())
    assert [event.number for event in world.device.state.events] == [6]
    assert world.device.state.events[0].previous == events[-1].hash().hex()


def test_s27_events_outlive_restarts_and_losing_every_user(tmp_path: Path) -> None:
    world, events = five_events(tmp_path / "store")
    world.reopen()
    assert world.device.state.events == events
    world.go_online()
    world.server.names_nobody = True
    make_contact(world.device)
    assert world.device.state.users == []
    assert world.server.events_taken == events


def test_an_answer_of_an_impostor_is_logged_once(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    world.go_offline(Distance.TLS)
    for _ in range(2):
        world.login(world.alice.passcode)
    kinds = [event.kind for event in world.device.state.events]
    assert kinds == [EventKind.TLS_FAILURE, EventKind.GRANTED, EventKind.GRANTED]


def test_a_wrong_clock_and_a_damaged_store_are_logged_once(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    for unit in world.held.units:
        if unit.kind == "day":
            (tmp_path / "store" / "units" / unit.file).unlink()
    for _ in range(2):
        world.login(world.passcode())
    world.clock.reboot(off_for=-9999)
    for _ in range(2):
        world.login(world.passcode())
    kinds = [event.kind for event in world.device.state.events]
    assert kinds == [EventKind.STORE_DAMAGED, EventKind.CLOCK_SUSPECT]
