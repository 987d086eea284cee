"""The commands of `sparekey-agent`, with and without the daemon."""

import contextlib
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from sparekey import clock
from sparekey.agent.ground.ports import Distance
from sparekey.cli.agent.output import HOW_AFTER_REVOKING
from tests.agent.https_simulator import Authority, served
from tests.cli.agent.commands_under_test import AGENT, Computer, a_computer

pytestmark = pytest.mark.services


@pytest.fixture
def computer(tmp_path: Path) -> Iterator[Computer]:
    with a_computer(tmp_path) as computer:
        yield computer


@pytest.mark.parametrize("with_daemon", [False, True])
def test_the_story_on_one_computer(computer: Computer, *, with_daemon: bool) -> None:
    computer.enroll()
    with computer.daemon() if with_daemon else contextlib.nullcontext():
        online = computer.data("login", "alice", typed=computer.passcode(-1))
        assert (online["result"], online["mode"], online["method"]) == ("granted", "online", "tokencode")
        status = computer.data("status")
        assert status["daemon"] is with_daemon
        assert [code["version"] for code in status["users"][0]["emergency_codes"]] == [1, 1]
        computer.server.simulator.unreachable = Distance.SERVER_DOWN
        typed = computer.passcode(1)  # once: the next minute has another
        offline = computer.data("login", "alice", typed=typed)
        assert (offline["result"], offline["mode"]) == ("granted", "offline")
        assert computer.data("login", "alice", typed=typed, status=3)["result"] == "denied"
        code = computer.alice.tokencode
        assert computer.data("test", "alice", typed=computer.alice.pin + code)["result"] == "granted"
        assert computer.data("login", "alice", typed=computer.alice.pin + code)["method"] == "emergency-tokencode"
        assert computer.data("sync", status=1)["error"] in {"not-reached", "not-refilled"}
        computer.server.simulator.unreachable = None
        assert computer.data("sync")["failures"] == ""
        assert len(computer.server.simulator.events_taken) == 3
        assert computer.data("doctor")["findings"]
        computer.data("clear")
        computer.server.simulator.unreachable = Distance.SERVER_DOWN
        assert computer.data("login", "alice", typed=computer.alice.passcode, status=5)["reason"] == "no-offline-data"


def test_doctor_reports_each_fault_once_with_its_effect(computer: Computer) -> None:
    def found(name: str) -> str:
        return str(
            next(each["words"] for each in computer.data("doctor", status=1)["findings"] if each["name"] == name)
        )

    assert found("store").endswith("not enrolled: sparekey-agent enroll --server URL --code -")
    computer.enroll()
    computer.server.simulator.unreachable = Distance.OFFLINE
    assert "meanwhile" not in found("server")
    computer.server.simulator.unreachable = None
    computer.data("login", "alice", typed=computer.passcode())
    computer.server.simulator.unreachable = Distance.OFFLINE
    assert found("server").endswith("; until then, sign-ins use offline data as far as the policy allows")
    with computer.daemon():
        assert found("server").endswith("; until then, sign-ins use offline data as far as the policy allows")
        computer.server.simulator.unreachable = None
        told = computer.server.simulator.now = clock.now() + 100
        computer.data("sync")
        # from memory: this contact is too soon after the last one to be saved
        assert datetime.fromisoformat(computer.data("status")["last_contact"]).timestamp() == told
        assert {"name": "server", "ok": True, "words": "answers", "more": ""} in computer.data("doctor")["findings"]
        computer.server.simulator.revoked = True
        assert found("server") == HOW_AFTER_REVOKING
    assert computer.data("status")["revoked"]  # as the daemon had learned it
    assert found("server") == HOW_AFTER_REVOKING


def test_another_ca_is_refused_and_nothing_is_sent(computer: Computer, tmp_path: Path) -> None:
    code = computer.server.new_code()
    with served(computer.server.simulator, tmp_path / "other", Authority()) as other:
        failed = computer.data("enroll", "--server", other.url, "--code", code, status=1)
        assert failed["error"] == "bad-code"
        assert other.bodies == [b""]
    assert not (computer.state / "state").exists()


def test_enrolling_fails_with_words_that_help(computer: Computer) -> None:
    code = computer.server.new_code()
    wrong = ("1" if code[0] != "1" else "2") + code[1:]
    refused = computer.data("enroll", "--server", computer.server.url, "--code", wrong, status=1)
    assert refused["message"] == "Group 1 of the enrolment code was misread; nothing was sent"
    for url, error in (("http://127.0.0.1:1", "bad-address"), ("https://127.0.0.1:1", "not-reached")):
        failed = computer.data("enroll", "--server", url, "--code", code, status=1)
        assert failed["error"] == error
        assert ("firewall" in failed["do"]) is (error == "not-reached")
    computer.enroll()
    assert computer.data("enroll", "--server", computer.server.url, "--code", code, status=1)["error"] == (
        "already-enrolled"
    )
    computer.data("clear", "--all")
    for command in ("status", "run"):
        cleared = computer.data(command, status=1)
        assert (cleared["error"], cleared["message"]) == ("not-enrolled", "this device is not enrolled")
    assert computer.data("enroll", "--server", computer.server.url, "--code", code, status=1)["error"] == "not-allowed"


def test_s26_the_store_and_its_files_are_for_their_owner_alone(computer: Computer) -> None:
    computer.enroll()
    computer.data("login", "alice", typed=computer.passcode())
    for path in (computer.state, *computer.state.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_wrong_usage_is_2(computer: Computer) -> None:
    assert computer.run("login").returncode == 2
    assert computer.run("nonsense").returncode == 2


def test_s26_another_user_s_socket_gets_no_data(computer: Computer) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs a second user")
    computer.enroll()
    listens = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(flush=True)\n"
        "c, _ = s.accept(); print(len(c.recv(9)), flush=True)"
    )
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        path = f"{directory}/agent.sock"
        line = ["/usr/bin/python3", "-I", "-c", listens, path]
        with subprocess.Popen(
            line, user=65534, group=65534, extra_groups=[], env={}, stdout=subprocess.PIPE, text=True
        ) as stranger:
            assert stranger.stdout is not None
            stranger.stdout.readline()
            failed = computer.data("login", "alice", "--socket", path, typed=computer.passcode(), status=1)
            assert failed["error"] == "unsafe"
            assert stranger.stdout.readline() == "0\n"


def test_a_stranger_s_words_do_not_move_the_terminal(computer: Computer) -> None:
    computer.server.stranger = {"error": "x", "message": "\x1b[2Jgone\u202e", "do": "\x9b1A\x07do"}
    line = [
        sys.executable,
        "-m",
        "sparekey.cli.agent.main",
        "enroll",
        "--server",
        computer.server.url,
        "--code",
        computer.server.new_code(),
        "--state",
        str(computer.state),
    ]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == "sparekey-agent: ?[2Jgone?\n  ?1A?do\n"


def test_a_closed_output_is_no_failure(computer: Computer) -> None:
    computer.enroll()
    ours, theirs = os.pipe()
    os.close(ours)
    line = [*AGENT, "status", "--state", str(computer.state)]
    with os.fdopen(theirs, "wb") as gone:
        done = subprocess.run(line, stdout=gone, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


def test_s65_no_command_leaves_its_memory_on_disk() -> None:
    program = (
        "import ctypes, resource, sys; from sparekey.cli.agent.main import main\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)\n"
        "main(['status', '--state', sys.argv[1]]); print(resource.getrlimit(resource.RLIMIT_CORE))\n"
        "print('dumpable:', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "/nonexistent"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "(0, 0)\ndumpable: 0\n"


def test_a_user_s_own_command_reaches_the_daemon(computer: Computer) -> None:
    """A process whose memory is protected can still use its own descriptors under /proc."""
    if os.geteuid() != 0:
        pytest.skip("needs a second user")
    program = (
        "import os, sys; from pathlib import Path; from sparekey.agent.platform.posix import no_core_dumps\n"
        "from sparekey.cli.agent.remote import find_daemon; from sparekey.wire.local_socket import FrameKind, frame\n"
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534); no_core_dumps()\n"
        "print(find_daemon(Path(sys.argv[1])).ask(frame(FrameKind.STATUS)).kind.name)"
    )
    computer.enroll()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        path = Path(directory) / "agent.sock"
        computer.options = ["--socket", str(path)]
        with computer.daemon():
            done = subprocess.run(
                [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60, check=False
            )
    assert (done.stdout, done.stderr) == ("REPORT\n", "")
