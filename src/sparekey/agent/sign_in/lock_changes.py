"""Where a sign-in meets the PIN lock: it is opened with the PIN that was typed, made where there is none, lifted where
it is not to be used.

- A lock is opened when it has to be and at no other time: the TPM counts every wrong PIN, and forgets none for a while.
- The server's yes to a PIN is believed only for units of the generation that it names: a PIN that was changed elsewhere
  is not the PIN of what is held.
- Where the server has said yes and the lock stays shut, what must not stay goes whole, and a lock that the right PIN
  does not open goes with all that is behind it: the refill brings both again.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sparekey.agent.ground.ports import LockedOut, PinLocks, StoreUnreadable, WrongPin
from sparekey.agent.ground.state import PinLock, UserState
from sparekey.agent.sign_in.attempt import shape_of
from sparekey.agent.store.device import Device
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

DAMAGED: Final = "damaged"  # word of a `StoreUnreadable`: not that something fails now, but that it is lost

Change = Callable[[UserState], UserState]


@dataclass(frozen=True)
class ShownPin:
    """A PIN that was right, and what it is the PIN of."""

    token: str
    pin_salt: str
    pin: Secret[str] = field(repr=False)


def open_lock(device: Device, user: str, lock: PinLock, pin: Secret[str]) -> OpenedLock:
    """The lock, opened with this PIN. Raises `WrongPin`, `LockedOut`, `StoreUnreadable`."""
    locks = device.store.keys.pin_locks
    if locks is None:
        raise StoreUnreadable("damaged", "a PIN lock was made with a TPM that is not in use any more")
    shown = authorisation(pin, bytes.fromhex(lock.lock_salt))
    private_key = locks.open(bytes.fromhex(lock.sealed), shown)
    return OpenedLock(device.state.enrolment.device, user, lock, private_key)


def settle(device: Device, user: UserState, shown: ShownPin, opened: OpenedLock | None) -> Change:
    """What a sign-in that showed this PIN changes of its lock, which it may have opened."""
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


def settle_online(device: Device, reply: SignInReply, typed: Secret[str] | None, said: SyncReply | None) -> None:
    """After the server's yes is committed, and before it is answered: what it means behind the lock.

    `typed` is None where it was no passcode; `said` is what the server said after the sign-in, None where it was not
    heard any more.
    """
    if reply.method != "tokencode" or not device.state.has_user(reply.user):
        return
    user = device.state.get_user(reply.user)
    shown = _find_shown(user, reply.token, typed)
    if shown is not None and said is not None and not _is_of(user, said):
        shown = None
    opened, change = _reach(device, user, reply, shown, heard=said is not None)
    if shown is not None and said is not None and change is unchanged:
        change = settle(device, user, shown, opened)
    if opened is not None or change is not unchanged:
        device.store.change(lambda state: state.with_user(change(state.get_user(user.user))), opened)


def _reach(
    device: Device, user: UserState, reply: SignInReply, shown: ShownPin | None, *, heard: bool
) -> tuple[OpenedLock | None, Change]:
    """The lock, opened, where records up to the step are behind it; else what has to go that S23 holds all the same."""
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
            raise  # the TPM does not answer: nobody is answered
        if heard:
            return None, lambda user: given_up(user, lock)
    return None, lambda user: cut_at(user, reply.token, reply.step)


def _find_shown(user: UserState, token: str, typed: Secret[str] | None) -> ShownPin | None:
    """The PIN in a passcode that the server accepted, as what is held of that token tells it from the code."""
    entry = next((entry for entry in user.current_units if entry.token == token and is_lockable(entry)), None)
    if entry is None or typed is None:
        return None
    found = split(typed.reveal(), [shape_of(entry)]).of(shape_of(entry))
    return ShownPin(token, entry.pin_salt, found.pin) if found is not None else None


def _is_of(user: UserState, said: SyncReply) -> bool:
    """Whether the server speaks of the generation that opens here; a new PIN is a new generation."""
    return not user.staged_generation and any(
        each.user == user.user and each.generation == user.generation for each in said.users
    )


def unchanged(user: UserState) -> UserState:
    """The `Change` that is none."""
    return user


def _make(locks: PinLocks, shown: ShownPin) -> PinLock:
    private_key, lock_salt = X25519PrivateKey.generate(), secrets.token_bytes(SALT_BYTES)
    sealed = locks.seal(Secret(private_key.private_bytes_raw()), authorisation(shown.pin, lock_salt))
    public_key = private_key.public_key().public_bytes_raw()
    return PinLock(shown.token, shown.pin_salt, lock_salt.hex(), public_key.hex(), sealed.hex())
