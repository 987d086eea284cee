"""The command `sparekey-agent notice`: shows on the user's desktop that offline data run low. A timer of the user runs
it.

- It runs as the user and asks the daemon as the user. The daemon has no access to desktop sessions and needs none.
- It shows one notice a day. The next one replaces it, and fresh data remove it.
- It uses `busctl`, which every desktop with systemd has. If no desktop shows notices, nothing is shown.
"""

import argparse
import contextlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sparekey import clock
from sparekey.cli.agent.arguments import Commands
from sparekey.cli.agent.commands import running_daemon
from sparekey.cli.agent.output import Output
from sparekey.durations import DAY_SECONDS
from sparekey.wire.local_socket import FrameKind, Tag, frame

_NAME: Final = "org.freedesktop.Notifications"
_PATH: Final = "/org/freedesktop/Notifications"
_CALL: Final = ("busctl", "--user", "--timeout=5", "--json=short", "call", _NAME, _PATH, _NAME)
_PATIENCE: Final = 15  # seconds
_KEPT: Final = "sparekey-notice"  # in the runtime directory, which ends with the session


@dataclass(frozen=True)
class ShownNotice:
    """The notice on the desktop; number 0 for none."""

    number: int = 0
    day: int = 0
    words: str = ""


def add_commands(to: Commands) -> None:
    """Add the command of this module."""
    to.add("notice", notice, "Show a notice on your desktop when offline data run low, at most once a day.")


def notice(options: argparse.Namespace, output: Output) -> int:
    """Show, renew or remove the notice. Return 0 even if there is no desktop."""
    words = _words(options)
    directory = os.environ.get("XDG_RUNTIME_DIR", "")
    shown = _change(_kept(directory), words, clock.now() // DAY_SECONDS)
    _keep(directory, shown)
    output.data({"notice": words, "shown": bool(shown.number)}, words or "There is nothing to report.")
    return 0


def _words(options: argparse.Namespace) -> str:
    with running_daemon(options) as daemon:
        if daemon is None:
            return ""
        report = json.loads(daemon.ask(frame(FrameKind.STATUS)).text(Tag.REPORT))
    return " ".join(user["notice"] for user in report["users"] if user["notice"])


def _change(before: ShownNotice, words: str, today: int) -> ShownNotice:
    if not words:
        if before.number:
            _call("CloseNotification", "u", str(before.number))
        return ShownNotice()
    if before.number and before.day == today:
        return before
    arguments = ("Sparekey", str(before.number), "dialog-warning", "Signing in without the network", words)
    answer = _call("Notify", "susssasa{sv}i", *arguments, "0", "0", "0")
    return ShownNotice(answer, today, words) if answer else before


def _call(member: str, *arguments: str) -> int:
    """Return the number in the answer of the call; 0 if there was no answer."""
    try:
        done = subprocess.run(
            [*_CALL, "--", member, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        data = json.loads(done.stdout)["data"] if done.stdout.strip() else []
        return int(data[0]) if data else 0
    except (OSError, ValueError, LookupError, subprocess.TimeoutExpired):
        return 0


def _kept(directory: str) -> ShownNotice:
    try:
        found: Mapping[str, Any] = json.loads((Path(directory) / _KEPT).read_text(encoding="utf-8"))
        return ShownNotice(int(found["number"]), int(found["day"]), str(found["words"]))
    except (OSError, ValueError, LookupError, TypeError):
        return ShownNotice()


def _keep(directory: str, shown: ShownNotice) -> None:
    if directory:
        with contextlib.suppress(OSError):
            (Path(directory) / _KEPT).write_text(json.dumps(asdict(shown)), encoding="utf-8")
