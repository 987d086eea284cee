"""`keep-key`, `unlock-key` and `forget-key`, with and without the daemon, by programs and at a terminal."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.ground.ports import Distance
from tests.cli.agent.commands_under_test import AGENT, Computer, a_computer

pytestmark = pytest.mark.services

KEY = bytes(range(64))  # with line feeds and zeros: kept to the byte
# The rest has only this terminal: `getpass` asks on it, whatever standard input is.
ON_A_TERMINAL = (
    "import os, sys; os.setsid(); os.close(os.open(sys.argv[1], os.O_RDWR)); os.execvp(sys.argv[2], sys.argv[2:])"
)


@pytest.fixture
def new_computer(tmp_path: Path) -> Iterator[Computer]:
    """Return a computer that is not enrolled, whose configuration allows a disk key."""
    configuration = tmp_path / "agent.toml"
    configuration.write_text('purposes = ["disk"]\n', encoding="utf-8")
    configuration.chmod(0o644)
    with a_computer(tmp_path) as computer:
        computer.options = ["--config", str(configuration)]
        yield computer


@pytest.fixture
def computer(new_computer: Computer) -> Computer:
    """Return a computer with Alice's offline data."""
    new_computer.enroll()
    new_computer.data("login", "alice", typed=new_computer.passcode(-1))
    return new_computer


def line_of(computer: Computer, command: str, *arguments: str) -> list[str]:
    return [*AGENT, command, *arguments, "--state", str(computer.state), *computer.options]


def run(computer: Computer, command: str, *arguments: str, typed: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """A program's way: no terminal."""
    line = line_of(computer, command, *arguments)
    return subprocess.run(line, input=typed, capture_output=True, timeout=60, check=False, start_new_session=True)


def keep_at_a_terminal(computer: Computer, secret: bytes, passcode: str) -> "tuple[int, bytes, bytes]":
    """Run `keep-key alice disk < FILE` with the passcode typed on the terminal. Return exit status, output, and the
    terminal's text."""
    ours, theirs = os.openpty()
    line = ["python3", "-I", "-c", ON_A_TERMINAL, os.ttyname(theirs), *line_of(computer, "keep-key", "alice", "disk")]
    with (
        os.fdopen(ours, "r+b", buffering=0) as terminal,
        subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(secret)
        process.stdin.close()
        shown = b""
        while not shown.endswith(b"Passcode: "):
            shown += terminal.read(1)
        terminal.write(passcode.encode() + b"\n")
        output = process.stdout.read()
        status = process.wait(30)
        os.close(theirs)
        with contextlib.suppress(OSError):
            while more := terminal.read(1000):
                shown += more
    return status, output, shown


@pytest.mark.parametrize("with_daemon", [False, True])
def test_a_key_kept_online_opens_offline_for_a_right_passcode_alone(computer: Computer, *, with_daemon: bool) -> None:
    with computer.daemon() if with_daemon else contextlib.nullcontext():
        status, output, shown = keep_at_a_terminal(computer, KEY, computer.passcode())
        assert (status, output) == (0, b""), shown
        assert b"kept as disk" in shown
        assert computer.data("status")["users"][0]["secrets"] == ["disk"]
        assert b"keys kept: disk" in run(computer, "status").stdout
        computer.server.simulator.unreachable = Distance.OFFLINE
        refused = run(computer, "unlock-key", "alice", "disk", typed=b"1357123456\n")
        assert (refused.returncode, refused.stdout) == (3, b"")
        assert b"denied" in refused.stderr
        opened = run(computer, "unlock-key", "alice", "disk", typed=computer.passcode(1).encode() + b"\n")
        assert (opened.returncode, opened.stdout) == (0, KEY), opened.stderr
        assert b"granted" in opened.stderr
        assert run(computer, "forget-key", "alice", "disk").returncode == 0
        assert run(computer, "forget-key", "alice", "disk").returncode == 1
        closed = run(computer, "unlock-key", "alice", "disk", typed=computer.alice.passcode.encode() + b"\n")
        assert (closed.returncode, closed.stdout) == (1, b"")
        assert b"no secret" in closed.stderr
        assert b"to replace it, run `sparekey-agent keep-key" in closed.stderr


def test_a_key_is_made_and_written_once_kept(computer: Computer) -> None:
    made = run(computer, "keep-key", "alice", "disk", "--generate", "64", typed=computer.passcode().encode() + b"\n")
    assert (made.returncode, len(made.stdout)) == (0, 64), made.stderr
    computer.server.simulator.unreachable = Distance.OFFLINE
    opened = run(computer, "unlock-key", "alice", "disk", typed=computer.alice.passcode.encode() + b"\n")
    assert opened.stdout == made.stdout
    typed = computer.alice.passcode
    told = computer.data("unlock-key", "alice", "disk", typed=typed)
    assert (told["result"], told["purpose"], told["key"]) == ("granted", "disk", made.stdout.hex())
    assert computer.data("unlock-key", "alice", "disk", typed="1357123456", status=3)["result"] == "denied"
    again = run(computer, "keep-key", "alice", "disk", "--generate", "64", typed=b"1357123456\n")
    assert (again.returncode, again.stdout) == (3, b"")


@pytest.mark.parametrize(
    ("arguments", "typed", "words"),
    [
        (("keep-key", "alice", "tape"), KEY, b"add it to `purposes`"),
        (("unlock-key", "alice", "tape"), b"", b"add it to `purposes`"),
        (("keep-key", "alice", "../disk"), KEY, b"small letters"),
        (("keep-key", "alice", "disk"), b"", b"1 to 1024 bytes"),
        (("keep-key", "alice", "disk"), bytes(1025), b"1 to 1024 bytes"),
        (("keep-key", "alice", "disk", "--generate", "8"), b"", b"16 to 1024 bytes"),
    ],
)
def test_impossible_requests_fail_before_a_passcode_is_spent(
    new_computer: Computer, arguments: tuple[str, ...], typed: bytes, words: bytes
) -> None:
    failed = run(new_computer, *arguments, typed=typed)
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert words in failed.stderr
    assert new_computer.server.simulator.calls == []


def test_the_password_is_kept_only_if_policy_allows(computer: Computer) -> None:
    def kept(typed: str) -> "subprocess.CompletedProcess[bytes]":
        return run(computer, "keep-key", "alice", "os-password", "--generate", "16", typed=typed.encode() + b"\n")

    refused = kept(computer.passcode())
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"policy does not allow" in refused.stderr
    computer.alice.policy = replace(computer.alice.policy, os_password=True)
    assert kept(computer.passcode(1)).returncode == 0


def test_no_terminal_is_shown_a_key(computer: Computer) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0), os.fdopen(theirs, "wb", buffering=0) as terminal:
        line = line_of(computer, "unlock-key", "alice", "disk")
        done = subprocess.run(line, input=b"", stdout=terminal, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1
    assert b"not written to a terminal" in done.stderr


def test_without_a_terminal_the_secret_is_not_taken_for_a_passcode(computer: Computer) -> None:
    before = list(computer.server.simulator.calls)
    failed = run(computer, "keep-key", "alice", "disk", typed=computer.passcode().encode() + b"\n")
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert b"no terminal" in failed.stderr
    assert computer.server.simulator.calls == before


def test_a_challenge_fails_for_a_program_that_cannot_answer(computer: Computer) -> None:
    computer.alice.pin_must_change = True
    asked = run(computer, "unlock-key", "alice", "disk", typed=computer.passcode().encode() + b"\n")
    assert (asked.returncode, asked.stdout) == (4, b"")
    assert b"ask: " in asked.stderr
