"""The limits of connections to the local socket, and the queues of attempts: no user can take all connections.

- Root's connections are for login screens and root's commands.
- Remote users do not use root's connections, although sshd runs as root, because anyone can try a login over the
  network. Their attempts have a few connections and a queue of their own.
- Each other person has a few connections (`platform.posix.person_behind`). Uids without an account share the limit of
  one person, because a user can have thousands of them (subordinate uids).
- If the account of a connection must be looked up first, its slot is exchanged for the right one afterwards.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

ROOT: Final = 0
REMOTE: Final = -1  # remote users, by a program of root's
WITHOUT_ACCOUNT: Final = -2
UNSORTED: Final = -3  # the account is still being looked up

MOST_OF_ROOT: Final = 48  # connections at a time: login screens, and root's commands
MOST_OF_REMOTE: Final = 12  # the last of these in the queue is answered before a shim gives up
MOST_OF_OTHERS: Final = 32  # a limit of their own, so that no user blocks root's login screen
MOST_OF_EACH: Final = 4  # so that no user blocks the screen lock of another one
MOST_UNSORTED: Final = 16  # a look-up can be slow if the accounts are in a directory service
_MOST: Final = {
    ROOT: MOST_OF_ROOT,
    REMOTE: MOST_OF_REMOTE,
    WITHOUT_ACCOUNT: MOST_OF_EACH,
    UNSORTED: MOST_UNSORTED,
}


class ConnectionSlots:
    """The limits of one socket."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[int] = Counter()
        self._with_account: set[int] = set()  # uids whose account was found
        self._line_of_remote = threading.Lock()
        self._line_of_others = threading.Lock()

    def take(self, person: int) -> "ConnectionSlot | None":
        """Return a slot for a connection of this person; None if there is none."""
        with self._lock:
            is_known = person == ROOT or person in self._with_account
            holder = person if is_known else UNSORTED
            return ConnectionSlot(self, person, holder) if self._takes(holder) else None

    def give_back(self, holder: int) -> None:
        with self._lock:
            self._give_back(holder)

    def exchange(self, holder: int, other: int) -> bool:
        """Return True if `other` had a slot and took it in exchange for the slot of `holder`."""
        with self._lock:
            if other > ROOT:
                self._with_account.add(other)
            if not self._takes(other):
                return False
            self._give_back(holder)
            return True

    def line_of(self, holder: int) -> contextlib.AbstractContextManager[object]:
        if holder == ROOT:
            return contextlib.nullcontext()
        return self._line_of_remote if holder == REMOTE else self._line_of_others

    def _takes(self, holder: int) -> bool:
        free = self._is_free(holder)
        if free:
            self._taken[holder] += 1
        return free

    def _give_back(self, holder: int) -> None:
        self._taken[holder] -= 1
        self._taken = +self._taken  # holders without a slot are forgotten

    def _is_free(self, holder: int) -> bool:
        if holder in _MOST:
            return self._taken[holder] < _MOST[holder]
        others = sum(count for other, count in self._taken.items() if other > ROOT)
        return self._taken[holder] < MOST_OF_EACH and others < MOST_OF_OTHERS


class ConnectionSlot:
    """The slot of one connection, until it is given back. Only the thread of the connection uses it."""

    def __init__(self, places: ConnectionSlots, person: int, holder: int) -> None:
        self._places = places
        self._person = person
        self._holder: int | None = holder

    def sort(self, has_account: Callable[[int], bool]) -> bool:
        """Find the holder of the slot, if this is not done yet. Return False if the holder has no slot left."""
        if self._holder != UNSORTED:
            return True
        return self._exchange(self._person if has_account(self._person) else WITHOUT_ACCOUNT)

    def is_one_of_remote(self) -> bool:
        """Make this a remote slot, for a user who comes over the network by a program of root's.

        The user who started that program does not matter: an sshd carries the login uid of the administrator who
        started it. Return False if no remote slot is left.
        """
        return self._holder == REMOTE or self._exchange(REMOTE)

    @property
    def line(self) -> contextlib.AbstractContextManager[object]:
        """Return the queue in which attempts wait before they wait for the device. At most one attempt of each queue
        does."""
        return self._places.line_of(ROOT if self._holder is None else self._holder)

    def give_back(self) -> None:
        """Free the slot. It may be free already."""
        if self._holder is not None:
            self._places.give_back(self._holder)
        self._holder = None

    def _exchange(self, other: int) -> bool:
        if self._holder is None or not self._places.exchange(self._holder, other):
            return False
        self._holder = other
        return True
