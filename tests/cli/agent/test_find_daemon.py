"""The difference between "no daemon runs" and a daemon that cannot be reached."""

import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sparekey.agent.platform.posix import listen
from sparekey.cli.agent.remote import Failed, find_daemon


@pytest.fixture
def full(tmp_path: Path) -> Iterator[socket.socket]:
    """Return a daemon's socket with a full queue, until a connection is accepted."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(tmp_path / "agent.sock", 0))
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(str(tmp_path / "agent.sock"))
        yield listener


def test_a_daemon_that_is_flooded_is_one(full: socket.socket, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="try again") as failed:
        find_daemon(tmp_path / "agent.sock", patience=0.1)
    assert failed.value.word == "busy"


def test_a_full_line_is_waited_in(full: socket.socket, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(find_daemon, tmp_path / "agent.sock")
        with pytest.raises(TimeoutError):
            found.result(timeout=0.2)
        full.accept()[0].close()
        daemon = found.result(timeout=20)
    assert daemon is not None
    daemon.close()


def test_a_socket_without_a_listener_means_no_daemon(tmp_path: Path) -> None:
    assert find_daemon(tmp_path / "agent.sock") is None
    assert find_daemon(tmp_path / "missing" / "agent.sock") is None
    listen(tmp_path / "agent.sock", 1).close()  # the file is still there
    assert find_daemon(tmp_path / "agent.sock") is None


def test_an_unreachable_daemon_is_reported_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no directory")
    with pytest.raises(Failed, match="--state") as failed:
        find_daemon(tmp_path / "state" / "agent.sock")
    assert failed.value.word == "not-reached"
