"""The notices that offline data run low, and the file with the message of the day.

- A device with a contact within the last day already has all that the server gives. Its notice names only the server's
  reason why there is no more.
- The message of the day names no user, because it is shown to everyone who signs in.
- A notice that fails must not stop anything else.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

from sparekey.agent.ground.journal import log_unforeseen
from sparekey.agent.ground.state import State, UserState
from sparekey.agent.store.erasing import days_left
from sparekey.core.plurals import counted
from sparekey.durations import DAY_SECONDS

FRESH: Final = DAY_SECONDS  # seconds after a contact


def notice_for(user: UserState, state: State, time: int) -> str:
    """Return the notice for this user, one sentence; "" if there is none."""
    days = days_left(user, time)
    if not user.generation or days > user.policy.warn_days:
        return ""
    if time - state.time.contact < FRESH:
        return f"{_left(days)} {user.obstacles[0]}" if user.obstacles and _has_days(user) else ""
    if not _has_days(user) and user.obstacles:
        return ""  # this user never had days, and a contact would bring none
    return f"{_left(days)} Connect this computer to the network soon."


def message_of_the_day(state: State, time: int) -> str:
    """Return the message for everyone who signs in on this computer, one line; "" if there is none."""
    low = [days_left(user, time) for user in state.users if notice_for(user, state, time)]
    if not low:
        return ""
    whose = "an account" if len(low) == 1 else counted(len(low), "account")
    return f"Sparekey: {_left(min(low))[:-1]} for {whose} on this computer: connect it to the network soon.\n"


def keep_message(path: Path, words: str) -> None:
    """Make the file hold this message, or remove it for "". The file is written only if it changes."""
    try:
        if not words:
            path.unlink(missing_ok=True)
        elif not path.is_file() or path.read_text(encoding="utf-8") != words:
            _write(path, words)
    except OSError as error:
        log_unforeseen("the message of the day was not written", error)


def _write(path: Path, words: str) -> None:
    """Write the file completely or not at all. A link in its place is replaced, not followed."""
    aside = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(words)
    aside.rename(path)


def _left(days: int) -> str:
    return f"{counted(days, 'day')} of offline data left." if days else "No whole day of offline data is left."


def _has_days(user: UserState) -> bool:
    return any(not unit.is_emergency for unit in user.current_units)
