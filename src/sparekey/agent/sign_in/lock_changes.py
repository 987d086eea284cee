"""The use of the PIN lock at a sign-in.

The lock is opened with the typed PIN, made if there is none, and lifted if the policy wants none.

- A lock is opened only if it must be: the TPM counts every wrong PIN and forgets it slowly.
- A PIN that the server accepted is used only for units of the generation that the server names. After a PIN change
  elsewhere, it is not the PIN of the units here.
- If the server accepted the sign-in and the lock stays closed, records that must not stay are erased with their whole
  piece. A lock that the right PIN does not open is removed with all units behind it. The next contact brings both back.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sparekey.agent.ground.ports import LockedOut, PinLocks, StoreUnreadable, WrongPin
from sparekey.agent.ground.state import PinLock, UserState
from sparekey.agent.sign_in.attempt import shape_of
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.pin_lock import (
    SALT_BYTES,
    OpenedLock,
    authorisation,
    cut_at,
    given_up,
    is_lockable,
    is_straddled,
    is_to_be_used,
    lifted,
    tries_wanted,
    with_lock,
)
from sparekey.passcode import split
from sparekey.secret import Secret
from sparekey.wire.agent_api import SignInReply, SyncReply

DAMAGED: Final = "damaged"  # the word of a StoreUnreadable for data that are lost, not only unreadable now

Change = Callable[[UserState], UserState]


@dataclass(frozen=True)
class ShownPin:
    """A PIN that was right, and the units it belongs to."""

    token: str
    pin_salt: str
    pin: Secret[str] = field(repr=False)


def open_lock(device: ThisDevice, user: str, lock: PinLock, pin: Secret[str]) -> OpenedLock:
    """Open the lock with this PIN. Raises WrongPin, LockedOut or StoreUnreadable."""
    locks = device.store.keys.pin_locks
    if locks is None:
        raise StoreUnreadable("damaged", "a PIN lock was made with a TPM that is no longer in use")
    shown = authorisation(pin, bytes.fromhex(lock.lock_salt))
    private_key = locks.open(bytes.fromhex(lock.sealed), shown)
    return OpenedLock(device.state.enrolment.device, user, lock, private_key)


def lock_change_for(device: ThisDevice, user: UserState, shown: ShownPin, opened: OpenedLock | None) -> Change:
    """Return the change that a sign-in with this PIN brings to its lock; `opened` is the lock if the sign-in has opened
    it."""
    locks = device.store.keys.pin_locks
    tries = locks.ensure_tries(tries_wanted(user.policy)) if locks is not None and user.policy.pin_lock else 0
    used = is_to_be_used(user.policy, tries)
    if opened is not None and not used:
        return lambda user: lifted(user, opened)
    stands = any((lock.token, lock.pin_salt) == (shown.token, shown.pin_salt) for lock in user.pin_locks)
    if locks is not None and used and not stands:
        made = _make(locks, shown)
        return lambda user: with_lock(user, made)
    return unchanged


def update_lock(
    device: ThisDevice, reply: SignInReply, passcode: Secret[str] | None, sync_reply: SyncReply | None
) -> None:
    """Erase behind the lock, and make or lift the lock. Called after a success at the server is committed, before the
    answer.

    `passcode` is None if the text was no passcode. `sync_reply` is None if the server was not reached after the
    sign-in.
    """
    if reply.method != "tokencode" or not device.state.has_user(reply.user):
        return
    user = device.state.get_user(reply.user)
    shown = _find_shown(user, reply.token, passcode)
    if shown is not None and sync_reply is not None and not _is_of(user, sync_reply):
        shown = None
    opened, change = _reach(device, user, reply, shown, is_synced=sync_reply is not None)
    if shown is not None and sync_reply is not None and change is unchanged:
        change = lock_change_for(device, user, shown, opened)
    if opened is not None or change is not unchanged:
        device.store.change(lambda state: state.with_user(change(state.get_user(user.user))), opened)


def _reach(
    device: ThisDevice, user: UserState, reply: SignInReply, shown: ShownPin | None, *, is_synced: bool
) -> tuple[OpenedLock | None, Change]:
    """Open the lock if records up to the step are behind it.

    If the lock stays closed, return the change that erases these records without opening it (S23).
    """
    lock = next((lock for lock in user.pin_locks if lock.token == reply.token), None)
    if lock is None or not is_straddled(user, reply.token, reply.step):
        return None, unchanged
    try:
        if shown is not None and shown.pin_salt == lock.pin_salt:
            return open_lock(device, user.user, lock, shown.pin), unchanged
    except LockedOut:
        pass
    except (WrongPin, StoreUnreadable) as error:
        if isinstance(error, StoreUnreadable) and error.word != DAMAGED:
            raise  # the TPM does not answer, and nothing can be decided without it
        if is_synced:
            return None, lambda user: given_up(user, lock)
    return None, lambda user: cut_at(user, reply.token, reply.step)


def _find_shown(user: UserState, token: str, passcode: Secret[str] | None) -> ShownPin | None:
    """Return the PIN in a passcode that the server accepted, split by the shape of a unit of that token."""
    entry = next((entry for entry in user.current_units if entry.token == token and is_lockable(entry)), None)
    if entry is None or passcode is None:
        return None
    found = split(passcode.reveal(), [shape_of(entry)]).of(shape_of(entry))
    return ShownPin(token, entry.pin_salt, found.pin) if found is not None else None


def _is_of(user: UserState, sync_reply: SyncReply) -> bool:
    """Return True if the server names the generation that opens here. A new PIN is a new generation."""
    return not user.staged_generation and any(
        user_sync.user == user.user and user_sync.generation == user.generation for user_sync in sync_reply.users
    )


def unchanged(user: UserState) -> UserState:
    """Return the user unchanged: the `Change` that changes nothing."""
    return user


def _make(locks: PinLocks, shown: ShownPin) -> PinLock:
    private_key, lock_salt = X25519PrivateKey.generate(), secrets.token_bytes(SALT_BYTES)
    sealed = locks.seal(Secret(private_key.private_bytes_raw()), authorisation(shown.pin, lock_salt))
    public_key = private_key.public_key().public_bytes_raw()
    return PinLock(shown.token, shown.pin_salt, lock_salt.hex(), public_key.hex(), sealed.hex())
