"""Places for connections on the local socket: root's own, and a few for each other person: nobody takes them all."""

import threading
from collections import Counter
from typing import Final

ROOT: Final = 0
MOST_OF_ROOT: Final = 16  # connections at a time: login screens, and root's commands
MOST_OF_OTHERS: Final = 32  # apart, so that no user keeps root's login screen out
MOST_OF_EACH: Final = 4  # and none another one's screen lock


class Places:
    """Each is taken for a person (`platform_posix.person_behind`) and given back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[int] = Counter()

    def take(self, person: int) -> bool:
        """Whether there was one."""
        with self._lock:
            free = self._is_free(person)
            if free:
                self._taken[person] += 1
            return free

    def give_back(self, person: int) -> None:
        with self._lock:
            self._taken[person] -= 1
            self._taken = +self._taken  # who has none is forgotten

    def _is_free(self, person: int) -> bool:
        if person == ROOT:
            return self._taken[ROOT] < MOST_OF_ROOT
        others = self._taken.total() - self._taken[ROOT]
        return self._taken[person] < MOST_OF_EACH and others < MOST_OF_OTHERS
