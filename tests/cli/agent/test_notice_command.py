"""The notice on a desktop: shown once a day, renewed in its place, taken away when the data are fresh."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparekey import clock
from sparekey.cli.agent.main import main
from tests.agent.devices import an_offline_world
from tests.agent.serving import Served, serving
from tests.cli.agent.desktop import a_desktop

pytestmark = pytest.mark.services

DAY = 86400
TITLE = "Signing in without the network"
LOW = f"{TITLE} / No whole day of offline data is left. Connect this computer to the network soon."


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    world = an_offline_world(tmp_path / "store")
    world.device.store.change(
        lambda state: state.with_user(replace(world.held, policy=replace(world.held.policy, warn_days=1)))
    )
    with serving(world) as served:
        yield served


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create the runtime directory of a user at the desktop."""
    directory = tmp_path / "session"
    directory.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={directory}/bus")
    return directory


def run(served: Served, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main(["notice", "--socket", str(served.path), "--json"]) == 0
    said: dict[str, object] = json.loads(capsys.readouterr().out)
    return said


def test_low_data_stand_on_the_desktop_until_they_are_fresh(
    served: Served, session: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_desktop(session) as desktop:
        run(served, capsys)
        assert desktop.shown == 0
        served.world.pass_time(DAY)
        for _ in range(2):
            assert run(served, capsys)["shown"] is True
        assert (desktop.shown, list(desktop.standing.values())) == (1, [LOW])
        tomorrow = clock.now() + DAY
        monkeypatch.setattr(clock, "now", lambda: tomorrow)
        run(served, capsys)
        assert (desktop.shown, list(desktop.standing.values())) == (2, [LOW])  # in place of yesterday's
        served.world.go_online()
        served.world.signed_in_online()
        assert run(served, capsys)["shown"] is False
        assert desktop.standing == {}


def test_where_nothing_shows_notices_nothing_fails(
    served: Served, session: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.world.pass_time(DAY)
    assert run(served, capsys)["shown"] is False  # no bus
    with a_desktop(session, shows_notices=False):
        assert run(served, capsys)["shown"] is False
    assert main(["notice", "--socket", str(session / "nothing"), "--json"]) == 0  # no agent
