"""The notices that offline data run low: their time, text and place."""

from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.store.notices import keep_message, message_of_the_day, notice_for
from sparekey.agent.store.status import status_of
from tests.agent.devices import World, an_offline_world

DAY = 86400


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = an_offline_world(tmp_path / "store")
    world.device.store.change(
        lambda state: state.with_user(replace(world.held, policy=replace(world.held.policy, warn_days=1)))
    )
    return world


def notice(world: World) -> str:
    return notice_for(world.held, world.device.state, world.device.store.trusted_time().time)


def motd(world: World) -> str:
    return message_of_the_day(world.device.state, world.device.store.trusted_time().time)


def test_low_data_are_reported_until_they_are_renewed(world: World) -> None:
    assert (notice(world), motd(world)) == ("", "")  # in contact just now
    long_ago = replace(world.device.state, time=replace(world.device.state.time, contact=0))
    now = world.device.store.trusted_time().time - DAY
    assert notice_for(world.held, long_ago, now) == (
        "1 day of offline data left. Connect this computer to the network soon."
    )
    assert message_of_the_day(long_ago, now) == (
        "Sparekey: 1 day of offline data left for an account on this computer: connect it to the network soon.\n"
    )
    world.pass_time(DAY)
    assert notice(world) == "No whole day of offline data is left. Connect this computer to the network soon."
    assert status_of(world.device)["users"][0]["notice"] == notice(world)
    world.go_online()
    world.signed_in_online()
    assert (notice(world), motd(world)) == ("", "")


def test_expired_data_are_reported(world: World) -> None:
    world.pass_time(4 * DAY)
    world.device.store.change(lambda state: state)  # erases expired records
    assert not any(unit.kind == "day" for unit in world.held.units)
    assert notice(world) == "No whole day of offline data is left. Connect this computer to the network soon."


def test_online_the_server_s_reason_is_shown(world: World) -> None:
    world.pass_time(DAY)
    contact = replace(world.device.state.time, contact=world.device.store.trusted_time().time)
    held = replace(world.held, obstacles=["The token is lost."])
    state = replace(world.device.state, time=contact)
    assert notice_for(held, state, contact.contact) == "No whole day of offline data is left. The token is lost."


def test_a_desktop_may_be_left_alone(world: World) -> None:
    world.pass_time(DAY)
    quiet = replace(world.device, desktop_notices=False)
    assert status_of(quiet)["users"][0]["notice"] == ""


def test_the_message_of_the_day_exists_only_while_it_applies(tmp_path: Path) -> None:
    path = tmp_path / "sparekey"
    keep_message(path, "low\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("low\n", 0o644)
    written = path.stat().st_mtime_ns
    keep_message(path, "low\n")
    assert path.stat().st_mtime_ns == written
    keep_message(path, "lower\n")
    assert path.read_text() == "lower\n"
    for _ in range(2):
        keep_message(path, "")
        assert list(tmp_path.iterdir()) == []


def test_a_message_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    keep_message(tmp_path / "nowhere" / "sparekey", "low\n")
    keep_message(tmp_path, "")


def test_s26_the_message_is_not_written_through_a_link(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / ".sparekey.new").symlink_to(other)
    (tmp_path / "sparekey").symlink_to(other)
    keep_message(tmp_path / "sparekey", "low\n")
    assert (other.read_text(), (tmp_path / "sparekey").is_symlink()) == ("kept", False)
