"""Who signs in on this computer without a passcode: known to its status and to the server, decided by its PAM stacks.

- The members of the exempt group, as the system's accounts have them: by their primary group, too.
- Root on the console, where the stack of `login` has the line of the shipped profile.
- What else an administrator has written into a stack is not known here, and not guessed.
"""

from collections.abc import Callable, Sequence
from typing import Final

from sparekey.agent.ground.journal import log_unforeseen
from sparekey.agent.ground.outcome import printable

MOST: Final = 64  # names that a server is told (spec/agent-api.md)
LONGEST: Final = 64  # bytes of each
_CUT: Final = "…"
ROOT_ON_THE_CONSOLE: Final = "root (on the console)"


def exempt_accounts(members: Sequence[str], *, root_on_console: bool) -> list[str]:
    """In alphabetical order, root on the console first."""
    return [*([ROOT_ON_THE_CONSOLE] if root_on_console else []), *sorted(set(members))]


def as_reported(accounts: Sequence[str]) -> list[str]:
    """As many names as a server takes, and none longer than it takes; the last says how many more there are. A name
    that cannot be told whole must not keep the device from its contacts."""
    names = [_short(account) for account in accounts]
    return names if len(names) <= MOST else [*names[: MOST - 1], f"and {len(names) - MOST + 1} more"]


def _short(name: str) -> str:
    shown = printable(name).replace("\n", "?")
    if len(shown.encode()) <= LONGEST:
        return shown
    return shown.encode()[: LONGEST - len(_CUT.encode())].decode(errors="ignore") + _CUT


def nobody() -> list[str]:
    """Where nothing is known of accounts."""
    return []


class ExemptAccounts:
    """Looked up by whoever has time for it, never in an attempt: a directory service may take its time over the
    accounts of a large organisation."""

    def __init__(self, find: Callable[[], list[str]] = nobody) -> None:
        self._find = find
        self._known: list[str] | None = None

    def look(self) -> list[str]:
        """As it is now. Where that cannot be told, as it was."""
        try:
            self._known = self._find()
        except OSError as error:
            log_unforeseen("exempt accounts were not found out", error)
        return self._known or []

    def known(self) -> list[str] | None:
        """As it was found last; None: not yet. That is not "nobody"."""
        return self._known
