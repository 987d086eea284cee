"""The PIN lock as functions of the state: its coverage, the binding of locked keys, erasure."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sparekey.agent.ground.ports import PinCount
from sparekey.agent.ground.state import Enrolment, Piece, PinLock, State, UnitEntry, UserState, new_state
from sparekey.agent.store.pin_lock import (
    LockState,
    OpenedLock,
    StaysLocked,
    after_sync,
    authorisation,
    cut_at,
    is_straddled,
    lifted,
    lock_state,
    needs_locking,
    standing,
    with_keys_locked,
    within_reach,
)
from sparekey.secret import Secret
from sparekey.wire.agent_api import KeptKind, SyncReply, UserSync
from tests.agent.simulator import POLICY

PRIVATE = X25519PrivateKey.generate()
SALT, OTHER_SALT = "11" * 16, "22" * 16
KEYS = ["a1" * 32, "b2" * 32]


def a_lock(**members: str) -> PinLock:
    public_key = PRIVATE.public_key().public_bytes_raw().hex()
    return replace(PinLock("token", SALT, "33" * 16, public_key, "sealed"), **members)


def a_day(**members: Any) -> UnitEntry:
    """Return a day with the records 100..159 and 160..219."""
    entry = UnitEntry(
        kind="day",
        token="token",
        day=0,
        generation=1,
        version=0,
        sealed_at=1,
        not_after=86400,
        interval=60,
        drift=0,
        window=1,
        first=100,
        count=120,
        digits=6,
        pin_salt=SALT,
        unit_hash="44" * 32,
        file="file",
        header_size=10,
        pieces=[Piece(0, 0, "00" * 32), Piece(100, 60, KEYS[0]), Piece(160, 60, KEYS[1])],
        erased_through=99,
    )
    return replace(entry, **members)


def an_emergency_tokencode(**members: Any) -> UnitEntry:
    pieces = [Piece(0, 0, "00" * 32), Piece(0, 1, "cc" * 32)]
    return a_day(kind="emergency-tokencode", first=0, count=1, pieces=pieces, file="code", **members)


def a_user(*units: UnitEntry, locks: tuple[PinLock, ...] = (), **members: Any) -> UserState:
    policy = replace(POLICY, pin_lock=True)
    user = UserState("user", "alice", generation=1, units=list(units), pin_locks=list(locks), policy=policy)
    return replace(user, **members)


def a_state(user: UserState) -> State:
    enrolment = Enrolment("device", "laptop", [], "", [], "")
    return new_state(enrolment).with_user(user)


def locked(user: UserState, device: str = "device") -> UserState:
    state = a_state(user)
    return with_keys_locked(replace(state, enrolment=replace(state.enrolment, device=device))).users[0]


def opened(lock: PinLock | None = None, device: str = "device", user: str = "user") -> OpenedLock:
    return OpenedLock(device, user, lock or a_lock(), Secret(PRIVATE.private_bytes_raw()))


def test_keys_of_records_are_locked_and_restored_but_the_header_s_is_not() -> None:
    user = a_user(a_day(), an_emergency_tokencode(), locks=(a_lock(),))
    day, code = locked(user).units
    assert [piece.key for piece in day.pieces] == ["00" * 32, "", ""]
    assert code == an_emergency_tokencode()
    back = lifted(locked(user), opened())
    assert back.pin_locks == []
    assert back.units == [a_day(), an_emergency_tokencode()]


def test_the_same_key_is_never_locked_to_the_same_bytes() -> None:
    user = a_user(a_day(), locks=(a_lock(),))
    assert locked(user).units[0].pieces[1] != locked(user).units[0].pieces[1]


@pytest.mark.parametrize(
    "units",
    [a_day(pin_salt=OTHER_SALT), a_day(token="another"), a_day(pin_salt=""), an_emergency_tokencode()],
    ids=["another PIN", "another token", "no PIN", "an emergency code"],
)
def test_units_outside_the_lock_stay_open(units: UnitEntry) -> None:
    user = a_user(units, locks=(a_lock(),))
    assert not needs_locking(user, units)
    assert locked(user).units == [units]
    assert not opened().covers(units)


@pytest.mark.parametrize(
    ("unit", "lock", "place"),
    [
        ({}, {}, (160, 60)),
        ({}, {}, (100, 59)),
        ({"unit_hash": "55" * 32}, {}, (100, 60)),
        ({}, {"device": "another"}, (100, 60)),
        ({}, {"user": "another"}, (100, 60)),
        ({}, {"lock": a_lock(token="another")}, (100, 60)),
        ({}, {"lock": a_lock(pin_salt=OTHER_SALT)}, (100, 60)),
    ],
    ids=["first record", "count", "unit", "device", "user", "token", "PIN"],
)
def test_s24_a_locked_key_opens_in_its_own_place_alone(
    unit: dict[str, str], lock: dict[str, Any], place: tuple[int, int]
) -> None:
    day = locked(a_user(a_day(), locks=(a_lock(),))).units[0]
    ciphertext = day.pieces[1].locked
    assert opened().key_of(day, Piece(100, 60, locked=ciphertext)).hex() == KEYS[0]
    with pytest.raises(StaysLocked):
        opened(**lock).key_of(replace(day, **unit), Piece(*place, locked=ciphertext))  # type: ignore[arg-type] # texts


@pytest.mark.parametrize("locked_bytes", ["", "00", "zz", "00" * 80])
def test_a_locked_key_that_is_none_stays_locked(locked_bytes: str) -> None:
    with pytest.raises(StaysLocked):
        opened().key_of(a_day(), Piece(100, 60, locked=locked_bytes))


def test_the_authorisation_is_another_for_each_pin_and_salt() -> None:
    salt = bytes(16)
    assert authorisation(Secret("1234"), salt) == authorisation(Secret("1234"), salt)
    assert len(authorisation(Secret("1234"), salt)) == 32
    assert authorisation(Secret("1234"), salt) != authorisation(Secret("1235"), salt)
    assert authorisation(Secret("1234"), salt) != authorisation(Secret("1234"), b"1" * 16)


@pytest.mark.parametrize(
    ("gone_through", "reached"),
    [(99, 99), (100, 99), (158, 99), (159, 159), (160, 159), (218, 159), (219, 219), (500, 500)],
)
def test_a_locked_piece_goes_whole_or_not_yet(gone_through: int, reached: int) -> None:
    day = locked(a_user(a_day(), locks=(a_lock(),))).units[0]
    assert within_reach(day, gone_through, None) == reached
    assert within_reach(day, gone_through, opened()) == gone_through
    assert within_reach(a_day(), gone_through, None) == gone_through
    assert is_straddled(a_user(day), "token", gone_through) == (reached < gone_through)


def test_a_piece_without_records_to_erase_is_not_rewritten() -> None:
    day = replace(locked(a_user(a_day(), locks=(a_lock(),))).units[0], erased_through=110)
    assert not is_straddled(a_user(day), "token", 110)
    assert is_straddled(a_user(day), "token", 111)


def test_a_sign_in_that_cannot_open_the_lock_gives_up_the_piece_and_the_server_is_asked_for_the_unit() -> None:
    user = locked(a_user(a_day(), a_day(token="another", file="other"), locks=(a_lock(),)))
    day, other = cut_at(user, "token", 110).units
    assert (day.given_up_through, day.is_given_up) == (159, True)
    assert not other.is_given_up
    assert not cut_at(a_user(a_day()), "token", 110).units[0].is_given_up


@pytest.mark.parametrize(
    ("units", "stands"),
    [
        ([a_day()], True),
        ([], True),
        ([a_day(token="another", pin_salt=OTHER_SALT)], True),
        ([a_day(), a_day(pin_salt=OTHER_SALT, generation=2)], True),
        ([an_emergency_tokencode()], True),
        ([a_day(pin_salt=OTHER_SALT)], False),
        ([an_emergency_tokencode(pin_salt=OTHER_SALT)], False),
    ],
    ids=["its days", "run out", "another token", "new ones staged", "its code", "a new PIN's days", "a new PIN's code"],
)
def test_a_lock_goes_with_the_last_unit_of_its_pin(units: list[UnitEntry], stands: bool) -> None:
    state = standing(a_state(a_user(*units, locks=(a_lock(),))))
    assert bool(state.users[0].pin_locks) is stands


@pytest.mark.parametrize("token", ["token", "another"])
def test_a_lock_goes_when_the_server_names_its_token_no_more(token: str) -> None:
    said = UserSync(
        user="user",
        login="alice",
        generation=1,
        check="",
        keep=[KeptKind(kind="day", token=token)],
        last_day=0,
        tokencodes_blocked=False,
        used=[],
        policy=POLICY,
        wanted=[],
        obstacles=[],
    )
    reply = SyncReply(
        server_time=0,
        device_name="laptop",
        signing_keys=[],
        checkpoint="",
        users=[said, replace(said, user="nobody here")],
        last_event=0,
        next_sync=60,
    )
    state = after_sync(a_state(a_user(a_day(), locks=(a_lock(),))), reply)
    assert bool(state.users[0].pin_locks) is (token == "token")


@pytest.mark.parametrize(
    ("user", "tries", "expected"),
    [
        (locked(a_user(a_day(), locks=(a_lock(),))), 5, LockState.LOCKED),
        (locked(a_user(a_day(), locks=(a_lock(),))), None, LockState.LOCKED),
        (a_user(a_day()), 5, LockState.AT_NEXT_SIGN_IN),
        (a_user(a_day(), policy=POLICY), 5, LockState.POLICY_OFF),
        (a_user(a_day()), None, LockState.NO_TPM),
        (a_user(a_day()), 4, LockState.TOO_FEW_TRIES),
        (a_user(a_day()), 0, LockState.TOO_FEW_TRIES),
        (a_user(a_day(pin_salt="")), 5, LockState.NOTHING_TO_LOCK),
    ],
)
def test_status_explains_the_state_of_the_lock(user: UserState, tries: int | None, expected: LockState) -> None:
    found = lock_state(user, lambda: None if tries is None else PinCount(tries, 7200, resettable=False))
    assert found is expected
    assert found.sentence.endswith(".")


def test_a_lock_with_a_resettable_count_has_its_own_message() -> None:
    found = lock_state(locked(a_user(a_day(), locks=(a_lock(),))), lambda: PinCount(5, 7200, resettable=True))
    assert found is LockState.RESETTABLE
    assert "until the lockout of the TPM has a password" in found.sentence
    assert lock_state(a_user(a_day()), lambda: PinCount(5, 7200, resettable=True)) is LockState.AT_NEXT_SIGN_IN


@pytest.mark.parametrize(
    ("tries", "forgives_after", "is_lock"),
    [
        (64, 600, True),
        (65, 600, False),
        (32, 599, False),
        (4_000_000_000, 7200, False),
        (5, 0, False),
        (0, 7200, False),
    ],
)
def test_s34_a_count_by_which_a_pin_is_found_is_not_called_a_lock(
    tries: int, forgives_after: int, is_lock: bool
) -> None:
    count = PinCount(tries, forgives_after, resettable=False)
    assert count.holds is is_lock
    found = lock_state(locked(a_user(a_day(), locks=(a_lock(),))), lambda: count)
    assert found is (LockState.LOCKED if is_lock else LockState.WIDE)
