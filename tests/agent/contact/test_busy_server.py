"""A server that is busy: the agent waits as long as the server says, gives up after a while, and forgets no unit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparekey.agent.contact.contact import LONGEST_PAUSE, MOST_WAITS, make_contact, never, silent
from sparekey.agent.contact.scheduler import ContactScheduler
from sparekey.agent.ground.ports import Refused
from sparekey.wire.agent_api import ErrorReply
from tests.agent.devices import World, a_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world in which Alice has signed in and nothing is fetched yet."""
    world = a_world(tmp_path / "store")
    assert world.login(world.passcode()).answer.message == "Signed in."
    return world


def turned_away(world: World, call: str, times: int, wait: int = 7) -> None:
    """Let the server be busy at the first `times` calls."""
    served: Callable[[Any], Any] = getattr(world.server, call)
    left = [times]

    def busy(request: object) -> object:
        if left[0]:
            left[0] -= 1
            raise Refused(ErrorReply(error="busy", message="busy", do="try again", retry_after=wait))
        return served(request)

    setattr(world.server, call, busy)


@pytest.mark.parametrize("call", ["sync", "unit"])
def test_a_busy_server_is_asked_again_after_the_time_that_it_names(world: World, call: str) -> None:
    turned_away(world, call, 2)
    waited: list[float] = []
    result = make_contact(world.device, silent, never, waited.append)
    assert (result.fetched, result.failures) == (4, ())
    assert len(waited) == 2
    assert all(7 <= seconds <= 7 * 1.5 for seconds in waited)


def test_a_server_that_stays_busy_is_left_alone_until_the_next_contact(world: World) -> None:
    turned_away(world, "unit", MOST_WAITS + 1)
    waited: list[float] = []
    result = make_contact(world.device, silent, never, waited.append)
    assert (result.fetched, len(waited)) == (0, MOST_WAITS)
    (failure,) = result.failures  # the other units are not tried: they would be turned away, too
    assert "busy" in failure.why
    assert make_contact(world.device, silent, never, waited.append).fetched == 4


def test_a_unit_that_must_wait_long_is_left_out_and_the_others_are_fetched(world: World) -> None:
    turned_away(world, "unit", 1, LONGEST_PAUSE + 1)
    waited: list[float] = []
    result = make_contact(world.device, silent, never, waited.append)
    assert (result.fetched, len(result.failures), waited) == (3, 1, [])
    assert make_contact(world.device, silent, never, waited.append).fetched == 1


def test_a_new_generation_waits_for_a_unit_of_a_busy_server(world: World) -> None:
    """Otherwise it would replace the old units without it."""
    make_contact(world.device)
    user = world.server.users["alice"]
    user.renew()
    turned_away(world, "unit", 1, LONGEST_PAUSE + 1)
    make_contact(world.device, silent, never, lambda _: None)
    assert world.device.state.get_user(user.user).generation == 1
    make_contact(world.device, silent, never, lambda _: None)
    assert world.device.state.get_user(user.user).generation == 2


def test_a_stopping_agent_does_not_wait_for_a_busy_server(world: World) -> None:
    turned_away(world, "sync", 1, LONGEST_PAUSE)
    background = ContactScheduler(world.device)
    number = background.request()
    background.stop()
    background._contact()
    assert background.follow(number, silent).result is not None
