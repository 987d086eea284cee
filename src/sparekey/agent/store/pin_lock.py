"""The PIN lock: piece keys are encrypted to a key pair, and only the PIN recovers its private half.

- There is one lock for each token and PIN. The `pin_salt` of a unit is new at every PIN change and names its lock. Days
  and events are locked. Emergency units never are: they must open while the TPM accepts no PIN (S34).
- Locking needs the public half only, so that contacts and erasing by age work without the user.
- The lock of an earlier PIN is removed with the last unit of that PIN: the old days open until the new ones are here.

These are functions of the state alone. `sign_in.lock_changes` is where a sign-in meets the TPM.
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
SPARE_TRIES: Final = 2  # more than the failures that the policy allows, so that the device reaches its own limit first
_MEMORY_KIB: Final = 65536
_PASSES: Final = 3
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class StaysLocked(Exception):
    """The lock does not open the piece."""


@dataclass(frozen=True)
class OpenedLock:
    """A lock with its private half, for one attempt."""

    device: str
    user: str
    lock: PinLock
    private_key: Secret[bytes] = field(repr=False)

    def covers(self, entry: UnitEntry) -> bool:
        return _is_under(entry, self.lock)

    def key_of(self, entry: UnitEntry, piece: Piece) -> bytes:
        """Return the key of a locked piece. Raises StaysLocked."""
        private_key = X25519PrivateKey.from_private_bytes(self.private_key.reveal())
        info = _bound_to(self.device, self.user, self.lock, entry.unit_hash, piece)
        try:
            return _SUITE.decrypt(bytes.fromhex(piece.locked), private_key, info)
        except (InvalidTag, ValueError) as error:
            raise StaysLocked("the piece was not locked by this lock") from error


class LockState(StrEnum):
    """The state of the PIN lock on the days of a user, for programs."""

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
    LockState.LOCKED: "The offline days open only with the PIN, and the TPM allows only a few tries.",
    LockState.RESETTABLE: "The offline days open only with the PIN, and wrong PINs are counted. But until the lockout "
    "of the TPM has a password, anyone who starts another system on this computer can reset the count.",
    LockState.WIDE: "The offline days open only with the PIN, and wrong PINs are counted. But the TPM allows so many "
    f"that a PIN can be found by trying. Set it to at most {MOST_TRIES} tries and at least {LEAST_FORGIVING} seconds "
    "of recovery time (tpm2_dictionarylockout --setup-parameters).",
    LockState.AT_NEXT_SIGN_IN: "The TPM will lock the offline days to the PIN at the next sign-in with the PIN.",
    LockState.POLICY_OFF: "The policy asks for no PIN lock. Locked days are unlocked at the next offline sign-in.",
    LockState.NO_TPM: "There is no PIN lock: this device uses no TPM that could count wrong PINs.",
    LockState.TOO_FEW_TRIES: "There is no PIN lock: the TPM allows fewer wrong PINs than the policy, and this device "
    "cannot change its limit. Raise the limit of the TPM (tpm2_dictionarylockout), or lower the one of the policy.",
    LockState.NOTHING_TO_LOCK: "There is nothing to lock: this device holds no offline days of a token with a PIN.",
}


def authorisation(pin: Secret[str], lock_salt: bytes) -> Secret[bytes]:
    """Return the 32 bytes that the TPM gets instead of the PIN.

    An attacker who breaks the TPM open must still compute this hash for every guess.
    """
    return Secret(argon2id(pin.reveal().encode(), lock_salt, _MEMORY_KIB, _PASSES))


def find_lock(user: UserState, entry: UnitEntry) -> PinLock | None:
    """Return the lock that the records of this unit belong behind, if there is one."""
    return next((lock for lock in user.pin_locks if _is_under(entry, lock)), None)


def is_lockable(entry: UnitEntry) -> bool:
    """Return True for days and events of a token with a PIN."""
    return entry.with_pin and not entry.is_emergency


def is_locked(entry: UnitEntry) -> bool:
    return any(piece.locked for piece in entry.pieces)


def needs_locking(user: UserState, entry: UnitEntry) -> bool:
    """Return True if the unit has unlocked keys although the user has a lock for it."""
    return find_lock(user, entry) is not None and not all(piece.locked for piece in entry.pieces[1:])


def with_lock(user: UserState, lock: PinLock) -> UserState:
    """Return the user with one more lock. The store locks the keys behind it at the commit."""
    return replace(user, pin_locks=[*user.pin_locks, lock])


def lifted(user: UserState, opened: OpenedLock) -> UserState:
    """Return the user without this lock, with the keys in clear in the state again. Raises StaysLocked."""
    units = [_unlocked(entry, opened) if opened.covers(entry) else entry for entry in user.units]
    return _without(replace(user, units=units), opened.lock)


def given_up(user: UserState, lock: PinLock) -> UserState:
    """Return the user without a lock that no longer opens, and without the units behind it. The server then makes them
    again."""
    return _without(replace(user, units=[entry for entry in user.units if not _is_under(entry, lock)]), lock)


def cut_at(user: UserState, token: str, step: int) -> UserState:
    """Return the user after a sign-in at `step` that could not open the lock. The locked piece that holds this step
    goes as a whole, and the server is asked for the unit again."""

    def cut(entry: UnitEntry) -> UnitEntry:
        through = max((piece.last for piece in _straddling(entry, step)), default=entry.given_up_through)
        return replace(entry, given_up_through=through) if entry.token == token else entry

    return replace(user, units=[cut(entry) for entry in user.units])


def is_straddled(user: UserState, token: str, step: int) -> bool:
    """Return True if the lock must open before the records up to `step` can be erased alone."""
    return any(entry.token == token and _straddling(entry, step) for entry in user.units)


def within_reach(entry: UnitEntry, gone_through: int, opened: OpenedLock | None) -> int:
    """Return the number up to which records can be erased now. Behind a closed lock, a piece goes as a whole or not
    yet."""
    if opened is not None and opened.covers(entry):
        return gone_through
    return min((piece.first - 1 for piece in _straddling(entry, gone_through)), default=gone_through)


def standing(state: State) -> State:
    """Return the state without locks of an earlier PIN: units of their token are held, but none under that PIN."""
    return replace(state, users=[replace(user, pin_locks=_still_standing(user)) for user in state.users])


def after_sync(state: State, reply: SyncReply) -> State:
    """Return the state without the locks of tokens that the server no longer names."""
    for user_sync in reply.users:
        if state.has_user(user_sync.user):
            user, kept = state.get_user(user_sync.user), {keep.token for keep in user_sync.keep}
            locks = [lock for lock in user.pin_locks if lock.token in kept]
            state = state.with_user(replace(user, pin_locks=locks))
    return state


def with_keys_locked(state: State) -> State:
    """Return the state as it may be written: keys that belong behind a lock are encrypted to its public half."""
    device = state.enrolment.device
    return replace(state, users=[_with_keys_locked(device, user) for user in state.users])


def tries_wanted(policy: DevicePolicy) -> int:
    """Return the number of wrong PINs in a row that the TPM must accept."""
    return policy.offline_failures + SPARE_TRIES


def is_to_be_used(policy: DevicePolicy, tries: int) -> bool:
    """Return True if there must be a lock; `tries` is the limit of the TPM, 0 without a TPM."""
    return policy.pin_lock and tries >= tries_wanted(policy)


def lock_state(user: UserState, find_count: Callable[[], PinCount | None]) -> LockState:
    """Return the state of the lock on this user's days. `find_count` returns how wrong PINs are counted, None without a
    TPM."""
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
    """Return True if the days of at least one user are locked."""
    return any(is_locked(entry) for user in state.users for entry in user.units)


def _is_under(entry: UnitEntry, lock: PinLock) -> bool:
    return is_lockable(entry) and (entry.token, entry.pin_salt) == (lock.token, lock.pin_salt)


def _straddling(entry: UnitEntry, number: int) -> Sequence[Piece]:
    """Return the locked piece, if there is one, in which the records up to `number` must go and others must stay."""
    if number <= entry.erased_through:
        return []
    return [piece for piece in entry.pieces if piece.locked and piece.first <= number < piece.last]


def _still_standing(user: UserState) -> list[PinLock]:
    held = {(entry.token, entry.pin_salt) for entry in user.units}
    tokens = {token for token, _ in held}
    return [lock for lock in user.pin_locks if (lock.token, lock.pin_salt) in held or lock.token not in tokens]


def _without(user: UserState, lock: PinLock) -> UserState:
    return replace(user, pin_locks=[other for other in user.pin_locks if other != lock])


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
    """Return the info of HPKE (RFC 9180).

    Safe because it binds a key to its piece, unit, PIN, token, user and device. An attacker who can write the state can
    encrypt any key to the public half, but cannot move one to another place.
    """
    names = (device.encode(), user.encode(), lock.token.encode(), bytes.fromhex(lock.pin_salt))
    numbers = piece.first.to_bytes(8, "big") + piece.count.to_bytes(8, "big")
    return b"sparekey/1/pin-lock" + b"".join(map(lp, names)) + bytes.fromhex(unit_hash) + numbers
