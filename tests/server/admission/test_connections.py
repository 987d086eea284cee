"""The connections of a process: counted by party, and given up by the largest one when there is no place left."""

import weakref
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sparekey.server.admission.connections import Connection, Connections


def opened(connections: Connections, party: str, closed: list[str], name: str = "") -> Connection | None:
    return connections.enter(party, lambda: closed.append(name or party))


def test_s46_the_oldest_idle_connection_of_the_largest_party_goes_first() -> None:
    connections, closed = Connections(4), list[str]()
    assert opened(connections, "small", closed)
    first, _, third = (opened(connections, "large", closed, f"large {number}") for number in range(3))
    assert first
    assert third
    first.begin_work()
    assert opened(connections, "new", closed)
    assert closed == ["large 1"]
    first.end_work()  # idle again, for a shorter time than the third
    assert opened(connections, "newer", closed)
    assert closed == ["large 1", "large 2"]


def test_s46_a_connection_at_work_goes_only_to_a_party_with_two_less() -> None:
    connections, closed = Connections(2), list[str]()
    for number in range(2):
        working = opened(connections, "large", closed, f"large {number}")
        assert working
        working.begin_work()
    assert opened(connections, "large", closed) is None
    new = opened(connections, "new", closed)
    assert closed == ["large 0"]
    assert new
    new.begin_work()
    assert opened(connections, "third", closed) is None
    assert closed == ["large 0"]


def test_s46_a_proven_party_is_counted_by_itself() -> None:
    connections, closed = Connections(3), list[str]()
    device = opened(connections, "address", closed, "device")
    assert device
    device.count_for("device:1")
    for number in range(2):
        opened(connections, "address", closed, f"address {number}")
    for _ in range(5):
        opened(connections, "address", closed, "newer")
    assert "device" not in closed
    assert (connections.count_of("device:1"), connections.count_of("address")) == (1, 2)


def test_a_closed_connection_frees_its_place_once() -> None:
    connections, closed = Connections(1), list[str]()
    only = opened(connections, "a", closed)
    assert only
    only.leave()
    only.leave()
    only.begin_work()  # too late, ignored
    assert len(connections) == 0
    assert opened(connections, "b", closed)
    assert closed == []


def test_a_closed_connection_holds_nothing_of_the_server() -> None:
    class OfTheServer:
        def close(self) -> None: ...

        def rest(self, seconds: float) -> None: ...

    owner = OfTheServer()
    connection = Connections(1).enter("one", owner.close)
    assert connection
    connection.close_by(owner.close)
    connection.rest_by(owner.rest)
    held = weakref.ref(owner)
    del owner
    assert held()
    connection.leave()
    assert held() is None


class AnyOrder(RuleBasedStateMachine):
    """Connections that come, work, prove who they are and go in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 5
        self.connections = Connections(self.most)
        self.open: dict[Connection, str] = {}

    @rule(party=st.sampled_from("abc"))
    def comes(self, party: str) -> None:
        sizes = self._sizes()
        idle = {name for connection, name in self.open.items() if connection.is_idle}
        full, closed = len(self.open) == self.most, list[Connection]()
        holder: list[Connection] = []
        close: Callable[[], None] = lambda: closed.append(holder[0])  # noqa: E731
        entered = self.connections.enter(party, close)
        if entered is None:
            largest = max(sizes.values())
            assert full
            assert largest < sizes.get(party, 0) + 2 or not idle
            return
        holder.append(entered)
        gone = [connection for connection in self.open if not self._is_counted(connection)]
        assert len(gone) == (1 if full else 0)
        for connection in gone:
            assert sizes[self.open[connection]] == max(sizes.values())
            del self.open[connection]
        self.open[entered] = party

    @rule(data=st.data(), party=st.sampled_from("abc"))
    def does_something(self, data: st.DataObject, party: str) -> None:
        if not self.open:
            return
        connection = data.draw(st.sampled_from(list(self.open)))
        act = data.draw(st.sampled_from(["begin", "end", "prove", "leave"]))
        if act == "begin":
            connection.begin_work()
        elif act == "end":
            connection.end_work()
        elif act == "prove":
            connection.count_for(party)
            self.open[connection] = party
        else:
            connection.leave()
            del self.open[connection]

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.connections) == len(self.open) <= self.most
        for party in "abc":
            assert self.connections.count_of(party) == self._sizes().get(party, 0)

    def _sizes(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for party in self.open.values():
            sizes[party] = sizes.get(party, 0) + 1
        return sizes

    def _is_counted(self, connection: Connection) -> bool:
        held = self.connections._held.get(connection.party)
        return held is not None and connection in held.of(connection)


TestAnyOrder = AnyOrder.TestCase


@given(parties=st.lists(st.sampled_from("abcdef"), max_size=60), most=st.integers(1, 10))
def test_s46_parties_that_only_connect_get_equal_shares(parties: list[str], most: int) -> None:
    connections = Connections(most)
    for party in parties:
        connections.enter(party, lambda: None)
    counts = [connections.count_of(party) for party in set(parties)]
    assert sum(counts) == min(len(parties), most)
