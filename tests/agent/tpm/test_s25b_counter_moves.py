"""S25b: each change of the state moves the counter of a TPM for good, so attempts without a right passcode cause
few."""

from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.contact.replies import SOON
from sparekey.agent.ground.outcome import Result
from sparekey.agent.ground.ports import Distance
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.sign_in.secret_access import SecretAccess, SecretRefused
from sparekey.agent.store.file_keys import FileKeys
from sparekey.secret import Secret
from sparekey.wire.events import EventKind
from tests.agent.devices import World, a_world


class CountedKeys(FileKeys):
    """Keys that count the states counted since then."""

    commits = 0

    def committed(self) -> None:
        super().committed()
        self.commits += 1


def a_counted_world(directory: Path) -> tuple[World, CountedKeys]:
    keys = CountedKeys.create(directory, PosixFiles())
    assert isinstance(keys, CountedKeys)
    return a_world(directory, keys=keys).signed_in_online(), keys


def test_s25b_wrong_passcodes_do_not_move_the_counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, keys = a_counted_world(tmp_path / "store")
    before, honest = keys.commits, world.server.sync
    for number in range(10):
        spread = world.device.state.next_sync * (95 + number) // 100  # as servers spread contacts, by chance
        monkeypatch.setattr(world.server, "sync", lambda asked, at=spread: replace(honest(asked), next_sync=at))
        assert world.login("0000000000").answer.result == "denied"
        assert world.login("0000000000", "nobody").answer.result == "denied"
        world.pass_time(1)
    assert keys.commits == before


@pytest.mark.parametrize(
    ("what", "user"),
    [(EventKind.TLS_FAILURE, "stranger"), (EventKind.CLOCK_SUSPECT, "alice"), (EventKind.STORE_DAMAGED, "alice")],
)
def test_s25b_events_without_a_change_do_not_move_the_counter(tmp_path: Path, what: EventKind, user: str) -> None:
    """Cases: an impostor of the server, a suspect clock, damaged days. Each is logged once."""
    world, keys = a_counted_world(tmp_path / "store")
    world.go_offline(Distance.TLS if what is EventKind.TLS_FAILURE else Distance.OFFLINE)
    if what is EventKind.CLOCK_SUSPECT:
        world.clock.reboot(400 * 86_400)
    if what is EventKind.STORE_DAMAGED:
        for unit in (tmp_path / "store" / "units").iterdir():
            unit.write_bytes(b"damaged")
    assert world.login(world.passcode(), user).answer.result is not Result.GRANTED
    before = keys.commits
    for _ in range(10):
        assert world.login(world.passcode(), user).answer.result is not Result.GRANTED
    assert keys.commits == before
    assert [event.kind for event in world.device.state.events] == [what]


def test_a_contact_is_written_down_after_a_while(tmp_path: Path) -> None:
    world, keys = a_counted_world(tmp_path / "store")
    before = keys.commits
    world.pass_time(SOON)
    world.login("0000000000")
    assert keys.commits == before + 1
    assert world.device.state.time.contact == world.server.now


def test_a_different_server_time_is_saved(tmp_path: Path) -> None:
    world, _ = a_counted_world(tmp_path / "store")
    world.server.now += 1_000
    world.login("0000000000")
    assert world.device.state.time.contact == world.server.now


def test_data_withheld_by_the_server_are_erased_at_once(tmp_path: Path) -> None:
    world, keys = a_counted_world(tmp_path / "store")
    before = keys.commits
    world.alice.enabled = False
    world.login("0000000000")
    assert keys.commits == before + 1
    assert world.held.units == []


def test_s25b_a_success_keeps_one_secret_for_each_purpose(tmp_path: Path) -> None:
    world, keys = a_counted_world(tmp_path / "store")
    world.next_code()
    device = replace(world.device, purposes=frozenset({"disk", "tape"}))
    key = SecretAccess(device, "alice", world.login(world.passcode()).session, by_root=True)
    before = keys.commits
    key.keep("disk", Secret(b"first"))
    for number in range(10):
        with pytest.raises(SecretRefused, match="sign in again") as refused:
            key.keep("disk", Secret(bytes([number])))
        assert refused.value.word == "not-kept"
    key.keep("tape", Secret(b"another"))
    assert keys.commits == before + 2
    assert key.open("disk").reveal() == b"first"
