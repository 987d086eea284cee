"""The PIN lock: the keys of pieces stand encrypted to a key pair whose private half comes back for the PIN alone.

- One lock for each token and PIN: `pin_salt`, which is new at every PIN change, says which units belong to it. Days and
  events are locked, emergency units never: they have to open when the TPM takes no PIN (S34).
- Locking needs the public half only; so refills and what is erased by time go on while nobody is there.
- A lock of an earlier PIN goes with the last unit of that PIN, and not before: until the new days are here, the old
  ones open.

Functions of the state alone; `pin_locking` is where a sign-in and the TPM meet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from sparekey.agent.ground.ports import LEAST_FORGIVING, MOST_TRIES, PinCount
from sparekey.agent.ground.state import Piece, PinLock, State, UnitEntry, UserState
from sparekey.argon2id import argon2id
from sparekey.secret import Secret
from sparekey.wire.agent_api import DevicePolicy, SyncReply
from sparekey.wire.signing import lp

SALT_BYTES: Final = 16
SPARE_TRIES: Final = 2  # beyond the policy's limit of failures, so that the device's own count is reached first
_MEMORY_KIB: Final = 65536
_PASSES: Final = 3
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class StaysLocked(Exception):
    """This lock does not open that piece."""


@dataclass(frozen=True)
class OpenedLock:
    """A lock and its private half, for one attempt."""

    device: str
    user: str
    lock: PinLock
    private_key: Secret[bytes] = field(repr=False)

    def covers(self, entry: UnitEntry) -> bool:
        return _is_under(entry, self.lock)

    def key_of(self, entry: UnitEntry, piece: Piece) -> bytes:
        """The key of a locked piece; raises `StaysLocked`."""
        private_key = X25519PrivateKey.from_private_bytes(self.private_key.reveal())
        info = _bound_to(self.device, self.user, self.lock, entry.unit_hash, piece)
        try:
            return _SUITE.decrypt(bytes.fromhex(piece.locked), private_key, info)
        except (InvalidTag, ValueError) as error:
            raise StaysLocked("the piece was not locked by this lock") from error


class LockState(StrEnum):
    """What status says of a user's days, for programs."""

    LOCKED = "locked"
    RESETTABLE = "locked-resettable"
    WIDE = "locked-wide"
    AT_NEXT_SIGN_IN = "at-next-sign-in"
    POLICY_OFF = "policy-off"
    NO_TPM = "no-tpm"
    TOO_FEW_TRIES = "too-few-tries"
    NOTHING_TO_LOCK = "nothing-to-lock"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES: Final = {
    LockState.LOCKED: "The offline days open with the PIN alone, which the TPM lets be tried a few times.",
    LockState.RESETTABLE: "The offline days open with the PIN alone, and wrong PINs are counted; but until the TPM's "
    "lockout has a password, whoever starts another system on this computer can reset the count.",
    LockState.WIDE: "The offline days open with the PIN alone, and wrong PINs are counted; but the TPM takes so many "
    f"that one can be found by trying. Let it take {MOST_TRIES} at most, and forget one in {LEAST_FORGIVING} seconds "
    "at the soonest (tpm2_dictionarylockout --setup-parameters).",
    LockState.AT_NEXT_SIGN_IN: "The TPM locks the offline days to the PIN at the next sign-in that shows it.",
    LockState.POLICY_OFF: "Policy does not ask for the PIN lock; what is locked opens up at the next sign-in offline.",
    LockState.NO_TPM: "There is no PIN lock: this device has no TPM in use that could keep count of wrong PINs.",
    LockState.TOO_FEW_TRIES: "There is no PIN lock: the TPM takes fewer wrong PINs than policy lets be tried, and this "
    "device may not set how many. Set the TPM's limit (tpm2_dictionarylockout), or lower the policy's.",
    LockState.NOTHING_TO_LOCK: "There is nothing to lock: no offline days of a token with a PIN are held.",
}


def authorisation(pin: Secret[str], lock_salt: bytes) -> Secret[bytes]:
    """What the TPM is shown instead of the PIN, 32 bytes: whoever breaks the TPM open still pays this for each PIN."""
    return Secret(argon2id(pin.reveal().encode(), lock_salt, _MEMORY_KIB, _PASSES))


def find_lock(user: UserState, entry: UnitEntry) -> PinLock | None:
    """The lock that this unit's records belong under."""
    return next((lock for lock in user.pin_locks if _is_under(entry, lock)), None)


def is_lockable(entry: UnitEntry) -> bool:
    """Days and events of a token with a PIN."""
    return entry.with_pin and not entry.is_emergency


def is_locked(entry: UnitEntry) -> bool:
    return any(piece.locked for piece in entry.pieces)


def needs_locking(user: UserState, entry: UnitEntry) -> bool:
    """Whether keys stand open that this user's lock is for."""
    return find_lock(user, entry) is not None and not all(piece.locked for piece in entry.pieces[1:])


def with_lock(user: UserState, lock: PinLock) -> UserState:
    """The user with one more lock; the store locks what belongs under it at the commit."""
    return replace(user, pin_locks=[*user.pin_locks, lock])


def lifted(user: UserState, opened: OpenedLock) -> UserState:
    """The user without this lock; the keys stand in the state again. Raises `StaysLocked`."""
    units = [_unlocked(entry, opened) if opened.covers(entry) else entry for entry in user.units]
    return _without(replace(user, units=units), opened.lock)


def given_up(user: UserState, lock: PinLock) -> UserState:
    """The user without a lock that nothing opens, and without what lies behind it: the server makes it again."""
    return _without(replace(user, units=[entry for entry in user.units if not _is_under(entry, lock)]), lock)


def cut_at(user: UserState, token: str, step: int) -> UserState:
    """The user after a sign-in at `step` that could not open the lock: a locked piece with records up to there goes
    whole, and the server is asked for the unit again."""

    def cut(entry: UnitEntry) -> UnitEntry:
        through = max((piece.last for piece in _straddling(entry, step)), default=entry.given_up_through)
        return replace(entry, given_up_through=through) if entry.token == token else entry

    return replace(user, units=[cut(entry) for entry in user.units])


def is_straddled(user: UserState, token: str, step: int) -> bool:
    """Whether the lock has to open before the records of this token up to `step` can go alone."""
    return any(entry.token == token and _straddling(entry, step) for entry in user.units)


def within_reach(entry: UnitEntry, gone_through: int, opened: OpenedLock | None) -> int:
    """How far of that the records can be erased: a locked piece, unless the lock is open, goes whole or not yet."""
    if opened is not None and opened.covers(entry):
        return gone_through
    return min((piece.first - 1 for piece in _straddling(entry, gone_through)), default=gone_through)


def standing(state: State) -> State:
    """The state without locks of an earlier PIN: units of their token are held, and none of them under that PIN."""
    return replace(state, users=[replace(user, pin_locks=_still_standing(user)) for user in state.users])


def after_sync(state: State, reply: SyncReply) -> State:
    """Locks of tokens that the server does not name are of no use any more."""
    for said in reply.users:
        if state.has_user(said.user):
            user, kept = state.get_user(said.user), {keep.token for keep in said.keep}
            locks = [lock for lock in user.pin_locks if lock.token in kept]
            state = state.with_user(replace(user, pin_locks=locks))
    return state


def with_keys_locked(state: State) -> State:
    """The state as it may be written: keys that belong under a lock are encrypted to its public half."""
    device = state.enrolment.device
    return replace(state, users=[_with_keys_locked(device, user) for user in state.users])


def tries_wanted(policy: DevicePolicy) -> int:
    """Wrong PINs that the TPM has to take in a row."""
    return policy.offline_failures + SPARE_TRIES


def is_to_be_used(policy: DevicePolicy, tries: int) -> bool:
    """Whether there is to be a lock where the TPM takes so many wrong PINs (0: no TPM)."""
    return policy.pin_lock and tries >= tries_wanted(policy)


def lock_state(user: UserState, find_count: Callable[[], PinCount | None]) -> LockState:
    """How it stands with this user's days; `find_count` asks how wrong PINs are counted, None: there is no TPM."""
    units = [entry for entry in user.current_units if is_lockable(entry)]
    if not user.policy.pin_lock:
        return LockState.POLICY_OFF
    count = find_count()
    if units and all(is_locked(entry) for entry in units):
        return _how_locked(count)
    if count is None:
        return LockState.NO_TPM
    if count.tries < tries_wanted(user.policy):
        return LockState.TOO_FEW_TRIES
    return LockState.AT_NEXT_SIGN_IN if units else LockState.NOTHING_TO_LOCK


def _how_locked(count: PinCount | None) -> LockState:
    if count is None or count.holds:
        return LockState.LOCKED
    return LockState.RESETTABLE if count.resettable else LockState.WIDE


def any_locked(state: State) -> bool:
    """Whether the days of at least one user are locked."""
    return any(is_locked(entry) for user in state.users for entry in user.units)


def _is_under(entry: UnitEntry, lock: PinLock) -> bool:
    return is_lockable(entry) and (entry.token, entry.pin_salt) == (lock.token, lock.pin_salt)


def _straddling(entry: UnitEntry, number: int) -> Sequence[Piece]:
    """The locked piece in which records up to this one are to go, and others are not; if there is one."""
    if number <= entry.erased_through:
        return []
    return [piece for piece in entry.pieces if piece.locked and piece.first <= number < piece.last]


def _still_standing(user: UserState) -> list[PinLock]:
    held = {(entry.token, entry.pin_salt) for entry in user.units}
    tokens = {token for token, _ in held}
    return [lock for lock in user.pin_locks if (lock.token, lock.pin_salt) in held or lock.token not in tokens]


def _without(user: UserState, lock: PinLock) -> UserState:
    return replace(user, pin_locks=[each for each in user.pin_locks if each != lock])


def _unlocked(entry: UnitEntry, opened: OpenedLock) -> UnitEntry:
    pieces = [
        Piece(piece.first, piece.count, opened.key_of(entry, piece).hex()) if piece.locked else piece
        for piece in entry.pieces
    ]
    return replace(entry, pieces=pieces)


def _with_keys_locked(device: str, user: UserState) -> UserState:
    units = []
    for entry in user.units:
        lock = find_lock(user, entry)
        header, *pieces = entry.pieces
        if lock is not None:
            pieces = [piece if piece.locked else _locked(device, user.user, lock, entry, piece) for piece in pieces]
        units.append(replace(entry, pieces=[header, *pieces]))
    return replace(user, units=units)


def _locked(device: str, user: str, lock: PinLock, entry: UnitEntry, piece: Piece) -> Piece:
    public_key = X25519PublicKey.from_public_bytes(bytes.fromhex(lock.public_key))
    info = _bound_to(device, user, lock, entry.unit_hash, piece)
    return Piece(piece.first, piece.count, locked=_SUITE.encrypt(bytes.fromhex(piece.key), public_key, info).hex())


def _bound_to(device: str, user: str, lock: PinLock, unit_hash: str, piece: Piece) -> bytes:
    """HPKE's info. Whoever can write the state could encrypt any key to the public half, but not move one that stands
    there to another piece, unit, PIN, token, user or device."""
    names = (device.encode(), user.encode(), lock.token.encode(), bytes.fromhex(lock.pin_salt))
    numbers = piece.first.to_bytes(8, "big") + piece.count.to_bytes(8, "big")
    return b"sparekey/1/pin-lock" + b"".join(map(lp, names)) + bytes.fromhex(unit_hash) + numbers
