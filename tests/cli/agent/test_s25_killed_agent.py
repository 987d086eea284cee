"""S25 with a real process: killed in the middle of the hashes, the failure stands."""

import subprocess
from pathlib import Path

import pytest

from sparekey import clock
from sparekey.agent.ground.ports import Distance
from sparekey.agent.ground.state import UserState, state_from_bytes
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.store.file_keys import FileKeys
from sparekey.agent.store.store import STATE
from tests.cli.agent.commands_under_test import AGENT, Computer, a_computer

pytestmark = pytest.mark.services


def held(computer: Computer) -> UserState:
    files = PosixFiles()
    keys = FileKeys.open(computer.state, files)
    return state_from_bytes(keys.open_state(files.read(computer.state / STATE))).users[0]


def test_s25_kill_9_in_the_middle_of_a_guess(tmp_path: Path) -> None:
    with a_computer(tmp_path) as computer:
        computer.enroll()
        computer.data("login", "alice", typed=computer.passcode())
        computer.server.simulator.unreachable = Distance.SERVER_DOWN
        line = [*AGENT, "login", "alice", "--state", str(computer.state)]
        with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            process.stdin.write("1357" + computer.alice.tokencode + "\n")
            process.stdin.flush()
            until = clock.monotonic() + 60
            while held(computer).emergency_failures == 0 and clock.monotonic() < until:
                assert process.poll() is None
            process.kill()
            output, _ = process.communicate(timeout=20)
        assert (process.returncode, output) == (-9, "")
        assert held(computer).emergency_failures == 1
        assert computer.data("status")["users"][0]["emergency_code_needed"] is False
