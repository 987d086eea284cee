"""The queue that takes waiting items in turns, and gives up one of the largest party when it is full."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sparekey.server.admission.fair_queue import FairQueue

PARTIES = st.sampled_from("abcd")


def parties_in_turn(queue: FairQueue[int]) -> str:
    taken = []
    while (following := queue.take()) is not None:
        taken.append(following[0])
    return "".join(taken)


def test_items_are_taken_in_turns() -> None:
    queue = FairQueue[int](10)
    for number, party in enumerate("aaaabbc"):
        assert queue.add(party, number) is None
    assert parties_in_turn(queue) == "abcabaa"


def test_a_party_keeps_the_order_of_its_own_items() -> None:
    queue = FairQueue[int](10)
    for number in range(3):
        queue.add("a", number)
    assert [queue.take(), queue.take(), queue.take(), queue.take()] == [("a", 0), ("a", 1), ("a", 2), None]


def test_s46_a_full_queue_gives_up_the_newest_item_of_the_largest_party() -> None:
    queue = FairQueue[int](3)
    for number in range(3):
        queue.add("flood", number)
    assert queue.add("flood", 3) == 3
    assert queue.add("other", 4) == 2
    assert queue.add("other", 5) == 5  # now one of two and one of one: to take another would only swap them
    assert parties_in_turn(queue) == "floodotherflood"


def test_an_item_that_may_not_go_waits_and_delays_no_other() -> None:
    queue = FairQueue[int](3)
    queue.add("a", 1)
    queue.add("b", 2)
    assert queue.take(lambda party: party != "a") == ("b", 2)
    assert queue.take(lambda party: party != "a") is None
    assert queue.take() == ("a", 1)


@given(most=st.integers(0, 8), added=st.lists(PARTIES, max_size=40))
def test_s46_a_full_queue_is_shared_as_evenly_as_possible(most: int, added: list[str]) -> None:
    queue, waiting = FairQueue[int](most), Counter[str]()
    owner = dict(enumerate(added))
    for number, party in owner.items():
        waiting[party] += 1
        lost = queue.add(party, number)
        if lost is not None:
            waiting[owner[lost]] -= 1
            assert sum(waiting.values()) == most
            # The one that lost its item has none the less as many as the one that came, or came itself.
            assert waiting[owner[lost]] >= waiting[party] or owner[lost] == party
            largest = max(waiting.values())
            assert owner[lost] != party or largest <= waiting[party] + 1
    assert len(queue) == sum(waiting.values()) <= most


@given(added=st.lists(PARTIES, min_size=1, max_size=40))
def test_s46_nobody_waits_for_more_than_one_item_of_each_other_party_in_each_turn(added: list[str]) -> None:
    queue = FairQueue[int](100)
    for number, party in enumerate(added):
        queue.add(party, number)
    taken = list(parties_in_turn(queue))
    for party in set(added):
        mine = [index for index, name in enumerate(taken) if name == party]
        for before, after in pairwise(mine):
            assert after - before <= len(set(added))
        assert mine[0] < len(set(added))
