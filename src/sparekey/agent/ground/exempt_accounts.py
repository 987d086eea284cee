"""The accounts that sign in on this computer without a passcode, for `status` and the server. The PAM stacks decide.

- The members of the exempt group, by the system's accounts; also accounts with it as their primary group.
- Root on the console, if the stack of `login` has the line of the shipped profile.
- Other exceptions that an administrator has written into a stack are not known here.
"""

from collections.abc import Callable, Sequence
from typing import Final

from sparekey.agent.ground.journal import log_unforeseen
from sparekey.agent.ground.outcome import printable

MOST: Final = 64  # names that are sent to the server (spec/agent-api.md)
LONGEST: Final = 64  # bytes of a name
_ELLIPSIS: Final = "…"
ROOT_ON_THE_CONSOLE: Final = "root (on the console)"


def exempt_accounts(members: Sequence[str], *, root_on_console: bool) -> list[str]:
    """Return the accounts in alphabetical order, root on the console first."""
    return [*([ROOT_ON_THE_CONSOLE] if root_on_console else []), *sorted(set(members))]


def as_reported(accounts: Sequence[str]) -> list[str]:
    """Return the names for the server, at most `MOST`, each at most `LONGEST` bytes; the last one may say how many more
    there are.

    Names are shortened because a name that is too long must not keep the device from its contacts.
    """
    names = [_short(account) for account in accounts]
    return names if len(names) <= MOST else [*names[: MOST - 1], f"and {len(names) - MOST + 1} more"]


def _short(name: str) -> str:
    shown = printable(name).replace("\n", "?")
    if len(shown.encode()) <= LONGEST:
        return shown
    return shown.encode()[: LONGEST - len(_ELLIPSIS.encode())].decode(errors="ignore") + _ELLIPSIS


def no_accounts() -> list[str]:
    """Return no accounts, for a device that knows none."""
    return []


class ExemptAccounts:
    """The exempt accounts of this computer. They are looked up outside of sign-ins, because a directory service can
    need a long time for the accounts of a large organisation."""

    def __init__(self, find: Callable[[], list[str]] = no_accounts) -> None:
        self._find = find
        self._known: list[str] | None = None

    def look(self) -> list[str]:
        """Look the accounts up and return them; if that fails, return the accounts found last."""
        try:
            self._known = self._find()
        except OSError as error:
            log_unforeseen("exempt accounts were not found out", error)
        return self._known or []

    def known(self) -> list[str] | None:
        """Return the accounts found last; None before the first look-up, which does not mean that there are none."""
        return self._known
