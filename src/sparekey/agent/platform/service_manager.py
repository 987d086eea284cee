"""Messages to the service manager (sd_notify(3)) and log lines for the journal (sd-daemon(3)).

They need the standard library only. Without systemd nothing is sent and nothing fails.
"""

import contextlib
import logging
import os
import socket
import stat
from collections.abc import Mapping
from typing import Final

_PRIORITIES: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_NOTICE: Final = 5  # of a level that has no name of its own
_FORMAT: Final = "%(levelname)s %(name)s: %(message)s"


class ServiceManager:
    """The manager that waits for messages of this process. An empty `address` means none."""

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "ServiceManager":
        """Return the manager that this environment names."""
        return cls(environment.get("NOTIFY_SOCKET", ""))

    def ready(self, status: str) -> None:
        """Report that the daemon answers from now on, so that services ordered after it start."""
        self._tell("READY=1", f"STATUS={status}")

    def status(self, words: str) -> None:
        """Set the line in `systemctl status`."""
        self._tell(f"STATUS={words}")

    def stopping(self) -> None:
        """Report that the daemon is about to end."""
        self._tell("STOPPING=1", "STATUS=")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines)
        # Safe to ignore: a manager that does not listen must not stop sign-ins.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(message.encode(), self._address)


def log_handler(environment: Mapping[str, str], descriptor: int = 2) -> logging.Handler:
    """Return a handler that writes to standard error. If that is the journal, each line carries its priority."""
    handler = logging.StreamHandler(os.fdopen(descriptor, "w", buffering=1, closefd=False))
    into_journal = is_journal(environment.get("JOURNAL_STREAM", ""), os.fstat(descriptor))
    handler.setFormatter(_ForTheJournal("%(name)s: %(message)s") if into_journal else logging.Formatter(_FORMAT))
    return handler


def is_journal(stream: str, status: os.stat_result) -> bool:
    """Return True if this stream is the one that the service manager connected to the journal, and not another one in
    its place."""
    return stream == f"{status.st_dev}:{status.st_ino}" and stat.S_ISSOCK(status.st_mode)


class _ForTheJournal(logging.Formatter):
    """A formatter that puts `<4>` before every line, because each line is an entry in the journal."""

    def format(self, record: logging.LogRecord) -> str:
        urgency = f"<{_PRIORITIES.get(record.levelno, _NOTICE)}>"
        return "\n".join(urgency + line for line in super().format(record).splitlines())
