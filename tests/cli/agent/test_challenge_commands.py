"""A sign-in that asks, and one that takes a while to fetch, as a program and as a person at a terminal see it."""

import contextlib
import io
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparekey.wire.agent_api import UnitRequest
from tests.cli.agent.commands_under_test import AGENT, Computer, a_computer

pytestmark = pytest.mark.services


@pytest.fixture
def computer(tmp_path: Path) -> Iterator[Computer]:
    with a_computer(tmp_path) as computer:
        computer.enroll()
        computer.alice.pin_must_change = True
        yield computer


@pytest.mark.parametrize("with_daemon", [False, True])
def test_a_program_gets_the_challenge_and_answers_by_name(computer: Computer, *, with_daemon: bool) -> None:
    with computer.daemon() if with_daemon else contextlib.nullcontext():
        asked = computer.data("login", "alice", typed=computer.passcode(), status=4)
        assert (asked["result"], asked["ask"], asked["text"]) == ("ask", "new-pin", "A PIN has 4 to 8 digits.")
        again = computer.data("login", "alice", "--reply-to", asked["reply_to"], typed="13579", status=4)
        assert (again["ask"], len(again["reply_to"])) == ("confirm-pin", 32)
        done = computer.data("login", "alice", "--reply-to", again["reply_to"], typed="13579")
        assert (done["result"], done["ask"], done["text"], done["reply_to"]) == ("granted", "", "", "")
        refused = computer.data("login", "alice", "--reply-to", again["reply_to"], typed="13579", status=3)
        assert refused["reason"] == "answer-refused"
    assert computer.alice.pin == "13579"


def test_on_a_terminal_challenges_are_asked_in_turn(computer: Computer) -> None:
    ours, theirs = os.openpty()
    line = [*AGENT, "login", "alice", "--state", str(computer.state)]
    with (
        os.fdopen(ours, "r+b", buffering=0) as terminal,
        # In a session of its own it has no other terminal to ask on.
        subprocess.Popen(line, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True) as process,
    ):
        os.close(theirs)
        for prompt, typed in (
            ("Passcode: ", computer.passcode()),
            ("New PIN: ", "13579"),
            ("New PIN again: ", "13579"),
        ):
            shown = _until(terminal, prompt)
            assert "13579" not in shown
            terminal.write(f"{typed}\n".encode())
        assert process.stdout is not None
        assert process.stdout.read().decode().startswith("granted: Signed in.")
        assert process.wait(20) == 0
    assert computer.alice.pin == "13579"


@pytest.mark.parametrize("with_daemon", [False, True])
def test_granted_is_shown_before_the_data_arrive_and_stays(computer: Computer, *, with_daemon: bool) -> None:
    computer.alice.pin_must_change = False
    fetching, go_on, honest = threading.Event(), threading.Event(), computer.server.simulator.unit

    def unit(request: UnitRequest) -> bytes:
        fetching.set()
        go_on.wait(60)
        return honest(request)

    computer.server.simulator.unit = unit  # type: ignore[method-assign] # a server that takes its time to seal
    # A process inherits the ignoring of SIGINT from tests that run in the background (`make test &`).
    line = ["env", "--default-signal=INT", *AGENT, "login", "alice", "--state", str(computer.state)]
    with (
        computer.daemon() if with_daemon else contextlib.nullcontext(),
        subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(computer.passcode() + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "granted: Signed in.\n"
        assert fetching.wait(60)
        process.send_signal(signal.SIGINT)
        words = process.communicate(timeout=60)[1]
        go_on.set()
        assert (process.returncode, words) == (
            0,
            "  stopped; the data fetched so far stay. `sparekey-agent sync` fetches the rest\n",
        )


def _until(terminal: io.FileIO, prompt: str) -> str:
    shown = b""
    while not shown.endswith(prompt.encode()):
        shown += terminal.read(1)
    return shown.decode()
