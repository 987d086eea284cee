"""The daemon as a service: configuration, notifications to its manager, names, the message of the day, `doctor`."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparekey.agent.platform.posix import account_of
from tests.cli.agent.commands_under_test import AGENT, Computer, a_computer

# as `MemoryDenyWriteExecute` in the unit has it (prctl(2), PR_SET_MDWE); a kernel before 6.3 does not know it
_REFUSE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
NO_WRITABLE_CODE = [sys.executable, "-c", _REFUSE]

pytestmark = pytest.mark.services


@dataclass
class Service:
    """A computer whose agent is started by a manager."""

    computer: Computer
    directory: Path

    @property
    def config(self) -> Path:
        return self.directory / "agent.toml"

    def configure(self, text: str) -> None:
        self.config.write_text(f"socket = '{self.directory}/run/agent.sock'\nmotd = '{self.directory}/motd'\n{text}")
        self.config.chmod(0o644)

    @contextlib.contextmanager
    def running(self) -> Iterator[list[str]]:
        """Yield the messages that the manager got when the daemon was ready, and at the end."""
        heard: list[str] = []
        name = str(self.directory / "notify")
        line = [*NO_WRITABLE_CODE, *AGENT, "run", "--state", str(self.computer.state), "--config", str(self.config)]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            Path(name).unlink(missing_ok=True)
            manager.bind(name)
            manager.settimeout(60)
            with subprocess.Popen(line, stderr=subprocess.DEVNULL, env=os.environ | {"NOTIFY_SOCKET": name}) as process:
                try:
                    while not any("READY=1" in each for each in heard):
                        heard.append(manager.recv(1000).decode())
                    yield heard
                finally:
                    process.terminate()
                    process.wait(20)
            manager.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard.append(manager.recv(1000).decode())

    def data(self, *command: str, typed: str = "", status: int = 0) -> dict[str, object]:
        return self.computer.data(*command, "--config", str(self.config), typed=typed, status=status)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with a_computer(tmp_path) as computer:
        computer.enroll()
        service = Service(computer, tmp_path)
        service.configure("")
        yield service


def findings(report: dict[str, object]) -> dict[str, dict[str, object]]:
    found: list[dict[str, object]] = json.loads(json.dumps(report["findings"]))
    return {str(each["name"]): each for each in found}


def test_the_manager_hears_when_logins_may_begin_and_how_things_stand(service: Service) -> None:
    (service.directory / "motd").write_text("Sparekey: of another day\n")
    with service.running() as heard:
        assert (service.directory / "run").stat().st_mode & 0o777 == 0o755
        assert service.data("status")["daemon"] is True
        service.data("login", "alice", typed=service.computer.passcode())
        looked = findings(service.data("doctor"))
        assert looked["configuration"]["words"] == str(service.config)
        assert looked["daemon"]["ok"]
        assert looked["server"]["ok"]
        assert "option socket=" in str(looked["socket"]["words"])
        assert looked["keys"]["ok"]
        service.configure("")
        assert "changed after the agent started" in str(findings(service.data("doctor"))["configuration"]["words"])
    assert heard[-1] == "STOPPING=1\nSTATUS="
    assert any("1 user can sign in without the network, the last until 2" in each for each in heard)
    assert not (service.directory / "motd").exists()  # the data are fresh


def test_names_hold_with_the_daemon_and_without(service: Service) -> None:
    own = account_of(os.geteuid())
    service.configure(f"[names]\n{own} = 'alice'\n")
    for running in (contextlib.nullcontext(), service.running()):
        with running:
            assert service.data("login", "alice", typed="12345678", status=3)["reason"] == "name-not-mapped"
            assert service.data("test", "alice", typed="12345678", status=3)["reason"] == "name-not-mapped"
    with service.running():
        signed_in = service.data("login", str(own), typed=service.computer.passcode())
        assert signed_in["result"] == "granted"
        status = service.data("status")
        assert status["names"] == {"mapped": {own: "alice"}, "number": 1, "unmapped": "refused"}


def test_s66_a_broken_configuration_keeps_the_agent_from_starting(service: Service) -> None:
    service.configure("sockets = 1\n")
    for command in ("status", "login", "run"):
        failed = service.data(command, *(["alice"] if command == "login" else []), status=1)
        assert failed["error"] == "bad-configuration"
        assert "line 3: sockets is not a setting" in str(failed["message"])
    looked = findings(service.data("doctor", status=1))
    assert not looked["configuration"]["ok"]
    assert looked["store"]["ok"]  # the rest is still checked
