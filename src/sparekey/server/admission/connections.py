"""The open connections of one process, counted by party. Pure: callers open and close sockets.

Rules:
- A process holds as many connections as it has descriptors for.
- If none is left, the largest party loses the connection that has been idle longest.
- If the largest party has no idle one, it loses the one that has been at work longest, but only to a party that has at
  least two less: else the new connection has no place.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final


class Connection:
    """One connection: its party, and whether it is idle, which means without a complete request."""

    def __init__(self, connections: "Connections", party: str, close: Callable[[], object]) -> None:
        self._connections: Final = connections
        self._close = close
        self._rest: Callable[[float], object] = _do_nothing
        self.party = party
        self.is_idle = True

    def begin_work(self) -> None:
        """Note that a request is complete, and its answer is not."""
        self._connections.move(self, self.party, is_idle=False)

    def end_work(self) -> None:
        """Note that the answer is complete. From now on, the connection is idle."""
        self._connections.move(self, self.party, is_idle=True)

    def count_for(self, party: str) -> None:
        """Count the connection for another party, such as a device that has proved its identity."""
        self._connections.move(self, party, is_idle=self.is_idle)

    def close_by(self, close: Callable[[], object]) -> None:
        """Close it by another function from now on."""
        self._close = close

    def rest_by(self, rest: Callable[[float], object]) -> None:
        """Call this function, with the seconds, when the connection is to rest."""
        self._rest = rest

    def rest(self, seconds: float) -> None:
        """Read nothing from it for this time after the answer that is sent next."""
        self._rest(seconds)

    def leave(self) -> None:
        """Note that the connection is closed. Does nothing the second time.

        It forgets its functions, which hold the connection of the server: so that one is freed at once.
        """
        self._connections.remove(self)
        self._close = self._rest = _do_nothing

    def close(self) -> None:
        """Close the connection at once, and count it no more."""
        close = self._close
        self.leave()
        close()


def _do_nothing(*_: object) -> None:
    pass


class _Held:
    """The connections of one party, in the order in which they became idle, or began to work."""

    def __init__(self) -> None:
        self.idle: Final[OrderedDict[Connection, None]] = OrderedDict()
        self.working: Final[OrderedDict[Connection, None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.idle) + len(self.working)

    def of(self, connection: Connection) -> OrderedDict[Connection, None]:
        return self.idle if connection.is_idle else self.working


class Connections:
    """All connections of one process."""

    def __init__(self, most: int) -> None:
        """Hold at most `most` connections."""
        self._most: Final = most
        self._held: Final[dict[str, _Held]] = {}
        # Parties by the number of their connections, so that the largest is found at once, however many there are.
        self._by_size: Final[dict[int, OrderedDict[str, None]]] = {}
        self._largest = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def count_of(self, party: str) -> int:
        """Return the number of connections of a party."""
        return len(self._held.get(party, ()))

    def enter(self, party: str, close: Callable[[], object]) -> Connection | None:
        """Return a new connection; None if it has no place. `close`: closes it later, if others go short."""
        connection = Connection(self, party, close)
        if self._count >= self._most:
            victim = self._victim(self.count_of(party))
            if victim is None:
                return None
            victim.close()
        self._add(connection)
        return connection

    def move(self, connection: Connection, party: str, *, is_idle: bool) -> None:
        """Count a connection for a party, as the newest of its idle or working ones. Ignores a closed connection."""
        if not self.remove(connection):
            return
        connection.party, connection.is_idle = party, is_idle
        self._add(connection)

    def remove(self, connection: Connection) -> bool:
        """Return True if the connection was counted. From now on it is not."""
        held = self._held.get(connection.party)
        if held is None or connection not in held.of(connection):
            return False
        size = len(held)
        del held.of(connection)[connection]
        self._count -= 1
        if not held:
            del self._held[connection.party]
        self._resize(connection.party, size, size - 1)
        return True

    def _victim(self, own: int) -> Connection | None:
        """Return the connection that goes for a new one of a party that has `own` connections; None: the new one."""
        if not self._largest:
            return None
        held = self._held[next(iter(self._by_size[self._largest]))]
        candidates = held.idle or (held.working if self._largest >= own + 2 else {})
        return next(iter(candidates), None)

    def _add(self, connection: Connection) -> None:
        held = self._held.setdefault(connection.party, _Held())
        size = len(held)
        held.of(connection)[connection] = None
        self._count += 1
        self._resize(connection.party, size, size + 1)

    def _resize(self, party: str, before: int, after: int) -> None:
        if before:
            parties = self._by_size[before]
            del parties[party]
            if not parties:
                del self._by_size[before]
        if after:
            self._by_size.setdefault(after, OrderedDict())[party] = None
        if after > self._largest:
            self._largest = after
        elif before == self._largest and before not in self._by_size:
            self._largest = after  # the party itself is now the largest, or the last one has gone
