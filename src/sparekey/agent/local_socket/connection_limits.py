"""Places for connections on the local socket, shared out so that nobody takes them all; and lines of attempts.

- Root's own are for login screens and root's commands. Who comes over a network is not among them, though sshd is
  root's: everybody may try that door. Such attempts have a few places of their own, and stand in a line of their own.
- Each other person has a few (`platform_posix.person_behind`). Users without an account are no persons, for one may be
  given thousands of them (subordinate uids): all together have the places of one.
- Whose a place is may be known only later: then it is exchanged for the right one.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

ROOT: Final = 0
REMOTE: Final = -1  # whoever comes over a network by a program of root's
WITHOUT_ACCOUNT: Final = -2
UNSORTED: Final = -3  # whose account is still looked for

MOST_OF_ROOT: Final = 48  # connections at a time: login screens, and root's commands
MOST_OF_REMOTE: Final = 12  # so many wait for an attempt: the last of them has its answer before a shim gives up
MOST_OF_OTHERS: Final = 32  # apart, so that no user keeps root's login screen out
MOST_OF_EACH: Final = 4  # and none another one's screen lock
MOST_UNSORTED: Final = 16  # a look-up takes as long as the system's directory does
_MOST: Final = {
    ROOT: MOST_OF_ROOT,
    REMOTE: MOST_OF_REMOTE,
    WITHOUT_ACCOUNT: MOST_OF_EACH,
    UNSORTED: MOST_UNSORTED,
}


class Places:
    """Those of one socket."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[int] = Counter()
        self._with_account: set[int] = set()  # as far as it was looked for
        self._line_of_remote = threading.Lock()
        self._line_of_others = threading.Lock()

    def take(self, person: int) -> "Place | None":
        """One for a connection of that person's; None where there is none."""
        with self._lock:
            is_known = person == ROOT or person in self._with_account
            holder = person if is_known else UNSORTED
            return Place(self, person, holder) if self._takes(holder) else None

    def give_back(self, holder: int) -> None:
        with self._lock:
            self._give_back(holder)

    def exchange(self, holder: int, other: int) -> bool:
        """Whether the other one had a place; if not, nothing was exchanged."""
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
        self._taken = +self._taken  # who has none is forgotten

    def _is_free(self, holder: int) -> bool:
        if holder in _MOST:
            return self._taken[holder] < _MOST[holder]
        others = sum(count for each, count in self._taken.items() if each > ROOT)
        return self._taken[holder] < MOST_OF_EACH and others < MOST_OF_OTHERS


class Place:
    """One connection's, until it is given back. Its connection's thread has it, and nobody else."""

    def __init__(self, places: Places, person: int, holder: int) -> None:
        self._places = places
        self._person = person
        self._holder: int | None = holder

    def sort(self, has_account: Callable[[int], bool]) -> bool:
        """Finds out whose it is, where that is still to be done; False: whoever it is has no place left."""
        if self._holder != UNSORTED:
            return True
        return self._exchange(self._person if has_account(self._person) else WITHOUT_ACCOUNT)

    def is_one_of_remote(self) -> bool:
        """Makes it one of those for whoever comes over a network by a program of root's, whoever started that (an
        sshd has the login uid of the administrator who did); False where none of them is left."""
        return self._holder == REMOTE or self._exchange(REMOTE)

    @property
    def line(self) -> contextlib.AbstractContextManager[object]:
        """Where attempts wait for one another before they wait for the device: of each line one does so at most."""
        return self._places.line_of(ROOT if self._holder is None else self._holder)

    def give_back(self) -> None:
        """Also where it was already."""
        if self._holder is not None:
            self._places.give_back(self._holder)
        self._holder = None

    def _exchange(self, other: int) -> bool:
        if self._holder is None or not self._places.exchange(self._holder, other):
            return False
        self._holder = other
        return True
