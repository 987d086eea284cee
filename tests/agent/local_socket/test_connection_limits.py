"""Slots on the local socket whose holder becomes known only later."""

from sparekey.agent.local_socket.connection_limits import (
    MOST_OF_EACH,
    MOST_OF_REMOTE,
    MOST_UNSORTED,
    ROOT,
    ConnectionSlot,
    ConnectionSlots,
)

ALICE = 1000


def taken(places: ConnectionSlots) -> ConnectionSlot:
    place = places.take(ALICE)
    assert place is not None
    assert place.sort(lambda uid: uid == ALICE)
    return place


def test_s26_a_known_caller_waits_for_no_look_up_of_others() -> None:
    places = ConnectionSlots()
    taken(places).give_back()
    others = [places.take(uid) for uid in range(100_000, 100_000 + MOST_UNSORTED)]  # a directory that does not answer
    assert None not in others
    assert places.take(100_000 + MOST_UNSORTED) is None
    again = places.take(ALICE)
    assert again is not None
    assert again.sort(lambda _: False)  # not asked
    assert places.take(ROOT) is not None


def test_a_slot_is_returned_once_to_the_caller_that_holds_it() -> None:
    places = ConnectionSlots()
    for _ in range(2 * MOST_UNSORTED):
        place = places.take(ROOT)
        assert place is not None
        assert place.is_one_of_remote()
        place.give_back()
        place.give_back()


def test_s26_strangers_at_a_user_s_own_sshd_take_none_of_that_user_s_slots() -> None:
    places = ConnectionSlots()
    assert all(taken(places).is_one_of_remote() for _ in range(MOST_OF_REMOTE))
    one_too_many, *_ = [taken(places) for _ in range(MOST_OF_EACH)]
    assert not one_too_many.is_one_of_remote()
