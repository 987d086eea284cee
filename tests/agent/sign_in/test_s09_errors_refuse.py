"""S09 on the device: every error refuses."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sparekey.agent.ground.outcome import Result
from sparekey.agent.platform.posix import PosixFiles
from tests.agent.devices import World, a_world, an_offline_world


class FailingFiles(PosixFiles):
    """Files that work until `broken` names an operation."""

    broken = ""

    def __getattribute__(self, name: str) -> Any:
        if name != "broken" and name == object.__getattribute__(self, "broken"):
            raise OSError(28, "no space left on device")
        return object.__getattribute__(self, name)


def breaks(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("broken on purpose")


class BrokenClock:
    def reading(self) -> NoReturn:
        breaks()


@pytest.mark.parametrize("operation", ["write_new", "sync", "rename", "remove"])
@pytest.mark.parametrize("online", [True, False])
def test_s09_a_failing_disk_grants_nothing(tmp_path: Path, operation: str, *, online: bool) -> None:
    files = FailingFiles()
    world = a_world(tmp_path / "store", files=files).signed_in_online()
    if not online:
        world.go_offline()
    typed = world.passcode()
    files.broken = operation
    assert world.login(typed).answer.result not in (Result.GRANTED, Result.ASK)
    assert world.login(typed).session is None
    files.broken = ""
    world.next_code()
    assert world.login(world.passcode()).answer.result == Result.GRANTED


def test_s09_a_success_without_changes_needs_the_disk_too(tmp_path: Path) -> None:
    files = FailingFiles()
    world = a_world(tmp_path / "store", files=files)
    typed = world.passcode()
    assert world.login(typed).answer.result == Result.GRANTED
    world.alice.token.last_step = -1  # the server grants once more, in the same second
    files.broken = "write_new"
    assert world.login(typed).answer.result not in (Result.GRANTED, Result.ASK)


def test_s09_an_unreadable_disk_grants_nothing(tmp_path: Path) -> None:
    files = FailingFiles()
    world = an_offline_world(tmp_path / "store", files=files)
    files.broken = "read"
    assert world.login(world.passcode()).answer.result != Result.GRANTED


@pytest.mark.parametrize(
    "part",
    [
        lambda world: replace(world.device, run=breaks),
        lambda world: replace(world.device, connect=breaks),
        lambda world: replace(world.device, clock=BrokenClock()),
    ],
)
def test_s09_a_failing_part_grants_nothing(tmp_path: Path, part: Callable[[World], Any]) -> None:
    world = an_offline_world(tmp_path / "store")
    world.device = part(world)
    login = world.login(world.passcode())
    assert (login.answer.result, login.session) == (Result.DENIED, None)


@pytest.mark.parametrize("call", ["events", "sign_in", "sync"])
def test_s09_a_failing_server_client_grants_nothing(tmp_path: Path, call: str) -> None:
    world = an_offline_world(tmp_path / "store")
    world.login(world.passcode())  # leaves an event to upload
    world.go_online()
    world.next_code()
    world.server.breaks_at = call
    login = world.login(world.passcode())
    assert (login.answer.result, login.session) == (Result.DENIED, None)
