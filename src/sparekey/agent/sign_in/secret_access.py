"""The access of one successful sign-in to kept secrets: it keeps and opens them for a while.

- The offline key comes from the success and is never stored (`wrapped_secrets`). A program that only claims a success
  opens nothing (S22).
- Access is bound to the connection of the sign-in and ends after five minutes. The other steps of a login take seconds,
  and a key that was discarded cannot be stolen.
- One success keeps at most one secret for each purpose: each of them changes the state and increments a TPM's counter
  (S25b).
- The purpose and the owner of a secret are checked each time: policy may have changed since (`secret_purposes`).
- An opened secret is passed on at once and not kept here.
"""

from dataclasses import replace
from typing import Final

from sparekey.agent.ground.ports import StoreUnreadable
from sparekey.agent.ground.secret_purposes import decide_obstacle, kept_as
from sparekey.agent.ground.state import NO_POLICY, State
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.wrapped_secrets import StaysClosed, UnlockedSecrets
from sparekey.secret import Secret

LIFETIME: Final = 300  # seconds after the success; sleep of the computer counts


class SecretRefused(Exception):
    """A secret was not kept or not opened. `word` is the reason for programs, the message the one for people."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


class SecretAccess:
    """The access to secrets of `account`, an os_account that has signed in.

    `session` is the session of the success; None if the user has no offline data here. `by_root` is True if root's
    program asked.
    """

    def __init__(self, device: ThisDevice, account: str, session: UnlockedSecrets | None, *, by_root: bool) -> None:
        self._device = device
        self._account = account
        self._session = session
        self._by_root = by_root
        self._until = self._now() + LIFETIME
        self._kept: set[str] = set()

    @property
    def user(self) -> str:
        """Return the account id; "" if the user has no data on this device."""
        return self._session.user if self._session is not None else ""

    def keep(self, purpose: str, secret: Secret[bytes]) -> None:
        """Keep a secret under this purpose, in place of an earlier one. Raises SecretRefused."""
        session = self._usable(purpose)
        if purpose in self._kept:
            raise SecretRefused("not-kept", "this sign-in has already kept a secret under this purpose; sign in again")
        self._kept.add(purpose)  # counted even on failure, so that a caller cannot force repeated writes
        try:
            session.keep(kept_as(purpose, self._account), secret)
        except (ValueError, StaysClosed, StoreUnreadable) as error:
            raise SecretRefused("not-kept", str(error)) from error

    def open(self, purpose: str) -> Secret[bytes]:
        """Return the secret kept under this purpose. Raises SecretRefused."""
        session = self._usable(purpose)
        try:
            return session.open(kept_as(purpose, self._account))
        except (StaysClosed, StoreUnreadable) as error:
            raise SecretRefused("stays-closed", str(error)) from error

    def _usable(self, purpose: str) -> UnlockedSecrets:
        if self._now() >= self._until:
            self._session = None
            raise SecretRefused("not-signed-in", "this sign-in is too long ago; sign in again")
        if self._session is None:
            raise SecretRefused("stays-closed", "the user has no offline data on this device, so no secret opens")
        state = self._device.state
        policy = state.get_user(self.user).policy if state.has_user(self.user) else NO_POLICY
        obstacle = decide_obstacle(purpose, policy, self._device.purposes, by_root=self._by_root)
        if obstacle:
            raise SecretRefused("not-allowed", obstacle)
        return self._session

    def _now(self) -> int:
        return self._device.clock.reading().monotonic


def forget(device: ThisDevice, account: str, purpose: str) -> None:
    """Erase the secret kept under this purpose for an account of this computer.

    Raises SecretRefused if there is none: otherwise a misspelt name would look like a success.
    """
    login, name = device.names.find_login(account) or "", kept_as(purpose, account)
    device.store.change(lambda state: _without_secret(state, login, name))


def _without_secret(state: State, login: str, name: str) -> State:
    user = state.find_user(login)
    left = [secret for secret in user.secrets if secret.purpose != name] if user else []
    if user is None or len(left) == len(user.secrets):
        why = "no secret is kept under this purpose for this user; see `sparekey-agent status`"
        raise SecretRefused("nothing-kept", why)
    return state.with_user(replace(user, secrets=left))
