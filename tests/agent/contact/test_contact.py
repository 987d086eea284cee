"""The order of a contact: the units that all users need first come before later days, also for users who join later."""

import threading
from pathlib import Path

import pytest

from sparekey.agent.contact.contact import Progress, make_contact, silent
from sparekey.agent.contact.scheduler import ContactScheduler
from sparekey.wire.agent_api import UnitRequest
from tests.agent.devices import World, a_world

NEEDED_FIRST = {"emergency-passcode", "emergency-tokencode", "today"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world in which Alice and Carol have several days, before any sign-in."""
    world = a_world(tmp_path / "store")
    world.server.add_user("carol", pin="1357")
    for user in world.server.users.values():
        user.days = 3
    return world


def fetched_in_order(world: World) -> list[tuple[str, str]]:
    """Record the user and the unit of each request to the server from now on."""
    asked: list[tuple[str, str]] = []
    honest, today = world.server.unit, world.server.now // 86_400

    def unit(request: UnitRequest) -> bytes:
        days = request.day - today
        what = request.kind if request.kind != "day" else f"{days} days ahead" if days else "today"
        asked.append((request.user.removeprefix("user-"), what))
        return honest(request)

    world.server.unit = unit  # type: ignore[method-assign] # listens, and hands on
    return asked


def sign_in(world: World, name: str) -> None:
    assert world.login(world.passcode(user=world.server.users[name]), name).answer.message == "Signed in."


def test_first_units_of_all_users_come_before_later_days(world: World) -> None:
    sign_in(world, "alice")
    sign_in(world, "carol")
    asked = fetched_in_order(world)
    make_contact(world.device)
    assert {what for _, what in asked[:6]} == NEEDED_FIRST
    assert [what for _, what in asked[6:]] == [f"{days} days ahead" for days in (1, 1, 2, 2, 3, 3)]


def test_a_sign_in_during_a_contact_waits_for_one_unit_at_most(world: World) -> None:
    sign_in(world, "alice")
    asked, seen = fetched_in_order(world), list[Progress]()

    def carol_comes() -> bool:
        if len(asked) != 4:
            return False
        sign_in(world, "carol")
        return True

    result = make_contact(world.device, seen.append, carol_comes)
    assert (result.fetched, result.failures) == (12, ())
    assert [who for who, _ in asked] == ["alice"] * 4 + ["carol"] * 3 + ["carol", "alice", "carol", "alice", "carol"]
    assert {what for _, what in asked[4:7]} == NEEDED_FIRST
    assert [(each.done, each.total) for each in seen if each.login == "alice"] == [(done, 6) for done in range(1, 7)]


def test_a_sign_in_decided_offline_during_a_contact_is_uploaded_before_its_next_sync(world: World) -> None:
    """The server holds a success for invented if a sync came after it and did not bring it."""
    sign_in(world, "alice")
    world.next_code()
    asked = fetched_in_order(world)

    def network_fails_for_a_moment() -> bool:
        if len(asked) != 4:
            return False
        world.go_offline()
        assert world.login(world.passcode()).answer.mode == "offline"
        world.go_online()
        return True

    make_contact(world.device, asked_again=network_fails_for_a_moment)
    assert [event.kind for event in world.server.events_taken] == ["granted"]
    assert [call for call in world.server.calls if call in ("events", "sync")][-2:] == ["events", "sync"]


def test_a_sync_request_to_the_daemon_joins_the_running_contact(world: World) -> None:
    sign_in(world, "alice")
    asked, background, requests = fetched_in_order(world), ContactScheduler(world.device), list[int]()
    listening = world.server.unit

    def carol_comes(request: UnitRequest) -> bytes:
        if not requests:
            sign_in(world, "carol")
            requests.append(background.request())
        return listening(request)

    world.server.unit = carol_comes  # type: ignore[method-assign] # something happens, and the unit comes
    before = world.server.calls.count("sync")
    thread = threading.Thread(target=background.run)
    thread.start()
    try:
        first = background.request()
        assert background.follow(first, silent).result == background.follow(first + 1, silent).result
    finally:
        background.stop()
        thread.join(20)
    assert requests == [first + 1]
    assert {what for _, what in asked[:6]} == NEEDED_FIRST
    assert world.server.calls.count("sync") == before + 3  # its first, Carol's sign-in's, and the one for her data
