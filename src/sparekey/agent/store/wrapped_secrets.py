"""Secrets that open only with what a right passcode gives: a cached password, a disk key (S22).

- Each is AES-256-GCM under `unlock(purpose)` of the offline key: nothing on the device can compute that alone, and
  the server, which knows the offline key, lacks the device's own secret.
- When the key changes, the new unit's `previous` gives the old key once, and all are wrapped anew (S31).
"""

import secrets
from dataclasses import dataclass, replace
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparekey.agent.ground.secret_purposes import LONGEST
from sparekey.agent.ground.state import State, UserState, WrappedSecret
from sparekey.agent.store.store import Store
from sparekey.sealed import WrongKey, check_of, open_previous, unlock
from sparekey.secret import Secret

LARGEST_SECRET: Final = 1024
MOST_SECRETS: Final = 16  # of one user: the state is read and written as a whole, by everybody's sign-ins
_NONCE_BYTES: Final = 12


class StaysClosed(Exception):
    """There is no such secret, or this key does not open it."""


@dataclass(frozen=True)
class Session:
    """What a success gives: the offline key, for as long as whoever signed in needs it."""

    store: Store
    user: str
    offline_key: Secret[bytes]

    def keep(self, purpose: str, secret: Secret[bytes]) -> None:
        """Keeps 1 to 1024 bytes under this purpose, in place of what was there. ValueError if it is empty or too long,
        or one too many."""
        if not 0 < len(secret) <= LARGEST_SECRET or not 0 < len(purpose.encode()) <= LONGEST:
            raise ValueError(f"a secret has 1 to {LARGEST_SECRET} bytes, its purpose 1 to {LONGEST}")
        self.store.change(lambda state: self._kept(state, purpose, secret))

    def open(self, purpose: str) -> Secret[bytes]:
        """The secret kept under this purpose; raises `StaysClosed`."""
        check = check_of(self.offline_key).hex()
        for wrapped in self._user(self.store.state).secrets:
            if wrapped.purpose == purpose and wrapped.check == check:
                return _open(self._key(purpose), wrapped)
        raise StaysClosed("nothing is kept under this purpose that this key opens")

    def _kept(self, state: State, purpose: str, secret: Secret[bytes]) -> State:
        user = self._user(state)
        check = check_of(self.offline_key).hex()
        wrapped = _wrap(self._key(purpose), purpose, check, secret)
        others = [each for each in user.secrets if each.purpose != purpose]
        if len(others) >= MOST_SECRETS:
            raise ValueError(f"at most {MOST_SECRETS} secrets are kept for one user")
        return state.with_user(replace(user, secrets=[*others, wrapped], wrapped_check=check))

    def _key(self, purpose: str) -> Secret[bytes]:
        return unlock(self.offline_key, self.store.keys.device_secret(), self.user, purpose)

    def _user(self, state: State) -> UserState:
        try:
            return state.get_user(self.user)
        except KeyError as error:
            raise StaysClosed("this user has nothing on this device any more") from error


def rewrapped(user: UserState, new_key: Secret[bytes], previous: bytes, device_secret: Secret[bytes]) -> UserState:
    """The user with every secret wrapped under the new key; unchanged where the old key is not to be had from it."""
    new_check = check_of(new_key).hex()
    if user.wrapped_check == new_check:
        return user
    if not user.secrets:
        return replace(user, wrapped_check=new_check)
    try:
        old_key = open_previous(new_key, bytes.fromhex(user.wrapped_check), previous)
    except (WrongKey, ValueError):
        # They stay under the old name: the server may still know that key and give it at an online sign-in.
        return user
    return _moved(user, old_key, new_key, device_secret)


def _moved(user: UserState, old_key: Secret[bytes], new_key: Secret[bytes], device_secret: Secret[bytes]) -> UserState:
    old_check, new_check = user.wrapped_check, check_of(new_key).hex()
    moved = []
    for each in user.secrets:
        if each.check == old_check:
            secret = _open(unlock(old_key, device_secret, user.user, each.purpose), each)
            key = unlock(new_key, device_secret, user.user, each.purpose)
            moved.append(_wrap(key, each.purpose, new_check, secret))
        else:
            moved.append(each)
    return replace(user, secrets=moved, wrapped_check=new_check)


def _wrap(key: Secret[bytes], purpose: str, check: str, secret: Secret[bytes]) -> WrappedSecret:
    # The same key wraps again and again, so the nonce is random: 96 bits, a handful of messages.
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return WrappedSecret(purpose, check, (nonce + AESGCM(key.reveal()).encrypt(nonce, secret.reveal(), None)).hex())


def _open(key: Secret[bytes], wrapped: WrappedSecret) -> Secret[bytes]:
    sealed = bytes.fromhex(wrapped.sealed)
    try:
        return Secret(AESGCM(key.reveal()).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None))
    except InvalidTag as error:
        raise StaysClosed("this key does not open what is kept under this purpose") from error
