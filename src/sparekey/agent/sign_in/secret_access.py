"""What one success is good for besides letting somebody in: secrets are kept and opened with it, for a while.

- The key is that of the success and never stored (`wrapped_secrets`): whoever says "granted" without one opens nothing
  (S22).
- It serves whoever was answered, on that connection, for five minutes: a login's other steps take seconds, and what
  is forgotten cannot be asked for.
- It keeps one secret for each purpose: each one kept changes the state, and moves a TPM's counter for good (S25b).
- What a secret may be for, and whose it is, is decided anew each time: policy may have changed since (`purposes`).
- What was opened is handed on at once and kept by nobody here.
"""

from dataclasses import replace
from typing import Final

from sparekey.agent.ground.ports import StoreUnreadable
from sparekey.agent.ground.secret_purposes import decide_obstacle, kept_as
from sparekey.agent.ground.state import NO_POLICY, State
from sparekey.agent.store.device import Device
from sparekey.agent.store.wrapped_secrets import Session, StaysClosed
from sparekey.secret import Secret

LIFETIME: Final = 300  # seconds after the success, also where the computer slept


class KeyRefused(Exception):
    """Nothing was kept, or opened; `word` says why, for programs, and the message for people."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


class UsefulKey:
    """`account`: that of this computer which signed in; `session`: what the success gave; None: nothing, for the user
    has no offline data here."""

    def __init__(self, device: Device, account: str, session: Session | None, *, by_root: bool) -> None:
        self._device = device
        self._account = account
        self._session = session
        self._by_root = by_root
        self._until = self._now() + LIFETIME
        self._kept: set[str] = set()

    @property
    def user(self) -> str:
        """The account's id; "": it has nothing on this device."""
        return self._session.user if self._session is not None else ""

    def keep(self, purpose: str, secret: Secret[bytes]) -> None:
        """In place of what was kept under this purpose. Raises `KeyRefused`."""
        session = self._usable(purpose)
        if purpose in self._kept:
            raise KeyRefused("not-kept", "this success has kept something under this purpose already; sign in again")
        self._kept.add(purpose)  # also where it fails: nobody has the state written over and over
        try:
            session.keep(kept_as(purpose, self._account), secret)
        except (ValueError, StaysClosed, StoreUnreadable) as error:
            raise KeyRefused("not-kept", str(error)) from error

    def open(self, purpose: str) -> Secret[bytes]:
        """What is kept under this purpose. Raises `KeyRefused`."""
        session = self._usable(purpose)
        try:
            return session.open(kept_as(purpose, self._account))
        except (StaysClosed, StoreUnreadable) as error:
            raise KeyRefused("stays-closed", str(error)) from error

    def _usable(self, purpose: str) -> Session:
        if self._now() >= self._until:
            self._session = None
            raise KeyRefused("not-signed-in", "this success is too long ago; sign in again")
        if self._session is None:
            raise KeyRefused("stays-closed", "this success opens nothing: the user has no offline data on this device")
        state = self._device.state
        policy = state.get_user(self.user).policy if state.has_user(self.user) else NO_POLICY
        obstacle = decide_obstacle(purpose, policy, self._device.purposes, by_root=self._by_root)
        if obstacle:
            raise KeyRefused("not-allowed", obstacle)
        return self._session

    def _now(self) -> int:
        return self._device.clock.reading().monotonic


def forget(device: Device, account: str, purpose: str) -> None:
    """Erases what is kept under this purpose for an account of this computer. Raises `KeyRefused` where nothing was: a
    name misspelt is not taken for a secret erased."""
    login, name = device.names.find_login(account) or "", kept_as(purpose, account)
    device.store.change(lambda state: _without_secret(state, login, name))


def _without_secret(state: State, login: str, name: str) -> State:
    user = state.find_user(login)
    left = [each for each in user.secrets if each.purpose != name] if user else []
    if user is None or len(left) == len(user.secrets):
        raise KeyRefused("nothing-kept", "nothing is kept under this purpose for this user; see sparekey-agent status")
    return state.with_user(replace(user, secrets=left))
