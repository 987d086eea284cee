"""Messages to a service manager and the journal; nothing depends on either."""

import logging
import os
import socket
from pathlib import Path

import pytest

from sparekey.agent.platform.service_manager import ServiceManager, is_journal, log_handler

pytestmark = pytest.mark.services


@pytest.mark.parametrize("abstract", [False, True])
def test_a_manager_hears_ready_status_and_stopping(tmp_path: Path, *, abstract: bool) -> None:
    name = f"@sparekey-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + name[1:] if abstract else name)
        manager = ServiceManager.of({"NOTIFY_SOCKET": name})
        manager.ready("2 users")
        manager.status("a\nb")
        manager.stopping()
        heard = [ear.recv(1000).decode() for _ in range(3)]
    assert heard == ["READY=1\nSTATUS=2 users", "STATUS=a b", "STOPPING=1\nSTATUS="]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nonexistent/socket"}])
def test_without_a_manager_nothing_fails(environment: dict[str, str]) -> None:
    manager = ServiceManager.of(environment)
    manager.ready("")
    manager.stopping()


def logged(descriptor: int, environment: dict[str, str]) -> None:
    logger = logging.Logger("sparekey.test")  # noqa: LOG001 -- a logger for this test only
    logger.addHandler(log_handler(environment, descriptor))
    logger.warning("one\ntwo")
    logger.log(25, "three")


def test_the_journal_gets_the_priority_of_each_line() -> None:
    ours, journal = socket.socketpair()
    with ours, journal:
        status = os.fstat(ours.fileno())
        logged(ours.fileno(), {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert journal.recv(1000).decode() == "<4>sparekey.test: one\n<4>two\n<5>sparekey.test: three\n"


def test_other_logs_get_the_name_of_the_level(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        logged(file.fileno(), {"JOURNAL_STREAM": "1:2"})
        status = os.fstat(file.fileno())
        assert not is_journal(f"{status.st_dev}:{status.st_ino}", status)  # a file that took the journal's place
    assert (tmp_path / "log").read_text().startswith("WARNING sparekey.test: one\ntwo\n")
