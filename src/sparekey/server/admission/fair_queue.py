"""A queue that takes waiting items in turns, one of each party. Pure."""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Waiting items of all parties.

    A party that adds many items waits longer for its own. All others wait for one more item in each turn.
    """

    def __init__(self, most: int) -> None:
        """Hold at most `most` items."""
        self._most: Final = most
        self._waiting: Final[OrderedDict[str, deque[T]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, party: str, item: T) -> T | None:
        """Add an item. Return the item that has no place: None, this one, or the newest of the largest party.

        Another party loses its item only if it has at least two more than this one, so that no two parties take the
        place from each other in turns.
        """
        if self._count < self._most:
            self._append(party, item)
            return None
        if not self._waiting:
            return item
        largest = max(self._waiting, key=lambda name: len(self._waiting[name]))
        if len(self._waiting[largest]) < len(self._waiting.get(party, ())) + 2:
            return item
        lost = self._waiting[largest].pop()
        self._count -= 1
        self._append(party, item)
        return lost

    def take(self, may_go: Callable[[str], bool] = lambda _: True) -> tuple[str, T] | None:
        """Remove and return the oldest item of the party whose turn it is; None if no item may go."""
        party = next((name for name in self._waiting if may_go(name)), None)
        if party is None:
            return None
        items = self._waiting[party]
        item = items.popleft()
        self._count -= 1
        if items:
            self._waiting.move_to_end(party)
        else:
            del self._waiting[party]
        return party, item

    def _append(self, party: str, item: T) -> None:
        self._waiting.setdefault(party, deque()).append(item)
        self._count += 1
