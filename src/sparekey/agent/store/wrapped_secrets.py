"""Secrets that open only after a right passcode: a cached password, a disk key (S22).

- Each is AES-256-GCM under `unlock(purpose)` of the offline key. The device alone cannot compute that key. Neither can
  the server: it knows the offline key, but not the secret of the device.
- When the offline key changes, `previous` in the new unit gives the old key once, and all secrets are wrapped again
  (S31).
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
MOST_SECRETS: Final = 16  # of one user: every sign-in reads and writes the complete state
_NONCE_BYTES: Final = 12


class StaysClosed(Exception):
    """There is no such secret, or this key does not open it."""


@dataclass(frozen=True)
class UnlockedSecrets:
    """The result of a success: the offline key, for as long as the user needs it."""

    store: Store
    user: str
    offline_key: Secret[bytes]

    def keep(self, purpose: str, secret: Secret[bytes]) -> None:
        """Keep 1 to 1024 bytes under this purpose, in place of an earlier secret. Raises ValueError if the secret is
        empty or too long, or if there are too many."""
        if not 0 < len(secret) <= LARGEST_SECRET or not 0 < len(purpose.encode()) <= LONGEST:
            raise ValueError(f"a secret needs 1 to {LARGEST_SECRET} bytes, its purpose 1 to {LONGEST}")
        self.store.change(lambda state: self._kept(state, purpose, secret))

    def open(self, purpose: str) -> Secret[bytes]:
        """Return the secret kept under this purpose. Raises StaysClosed."""
        check = check_of(self.offline_key).hex()
        for wrapped in self._user(self.store.state).secrets:
            if wrapped.purpose == purpose and wrapped.check == check:
                return _open(self._key(purpose), wrapped)
        raise StaysClosed("no secret under this purpose opens with this key")

    def _kept(self, state: State, purpose: str, secret: Secret[bytes]) -> State:
        user = self._user(state)
        check = check_of(self.offline_key).hex()
        wrapped = _wrap(self._key(purpose), purpose, check, secret)
        others = [other for other in user.secrets if other.purpose != purpose]
        if len(others) >= MOST_SECRETS:
            raise ValueError(f"a user can keep at most {MOST_SECRETS} secrets")
        return state.with_user(replace(user, secrets=[*others, wrapped], wrapped_check=check))

    def _key(self, purpose: str) -> Secret[bytes]:
        return unlock(self.offline_key, self.store.keys.device_secret(), self.user, purpose)

    def _user(self, state: State) -> UserState:
        try:
            return state.get_user(self.user)
        except KeyError as error:
            raise StaysClosed("this user no longer has data on this device") from error


def rewrapped(user: UserState, new_key: Secret[bytes], previous: bytes, device_secret: Secret[bytes]) -> UserState:
    """Return the user with every secret wrapped under the new key; unchanged if that does not give the old key."""
    new_check = check_of(new_key).hex()
    if user.wrapped_check == new_check:
        return user
    if not user.secrets:
        return replace(user, wrapped_check=new_check)
    try:
        old_key = open_previous(new_key, bytes.fromhex(user.wrapped_check), previous)
    except (WrongKey, ValueError):
        # The secrets stay under the old key. The server may still know that key, and send it at an online sign-in.
        return user
    return _moved(user, old_key, new_key, device_secret)


def _moved(user: UserState, old_key: Secret[bytes], new_key: Secret[bytes], device_secret: Secret[bytes]) -> UserState:
    old_check, new_check = user.wrapped_check, check_of(new_key).hex()
    moved = []
    for wrapped in user.secrets:
        if wrapped.check == old_check:
            secret = _open(unlock(old_key, device_secret, user.user, wrapped.purpose), wrapped)
            key = unlock(new_key, device_secret, user.user, wrapped.purpose)
            moved.append(_wrap(key, wrapped.purpose, new_check, secret))
        else:
            moved.append(wrapped)
    return replace(user, secrets=moved, wrapped_check=new_check)


def _wrap(key: Secret[bytes], purpose: str, check: str, secret: Secret[bytes]) -> WrappedSecret:
    # Safe because the nonce is random: the same key wraps a handful of messages, with 96 bits each.
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return WrappedSecret(purpose, check, (nonce + AESGCM(key.reveal()).encrypt(nonce, secret.reveal(), None)).hex())


def _open(key: Secret[bytes], wrapped: WrappedSecret) -> Secret[bytes]:
    sealed = bytes.fromhex(wrapped.sealed)
    try:
        return Secret(AESGCM(key.reveal()).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None))
    except InvalidTag as error:
        raise StaysClosed("this key does not open the secret under this purpose") from error
