"""The place of a sign-in by a command: the daemon if it runs, otherwise this process with the store."""

import argparse
import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from sparekey.agent.contact.contact import Progress, make_contact
from sparekey.agent.ground.outcome import LoginAnswer
from sparekey.agent.sign_in.login import login
from sparekey.agent.sign_in.secret_access import SecretAccess
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.erasing import days_left
from sparekey.cli.agent.commands import opened, running_daemon
from sparekey.cli.agent.remote import Daemon, answer_of
from sparekey.secret import Secret
from sparekey.wire.local_socket import FrameKind, Tag, frame


class SignInClient(Protocol):
    """A way to sign in, keep and open secrets, and fetch data. Raises SecretRefused or Failed if it cannot."""

    def attempt(self, passcode: Secret[str], reply_to: str) -> LoginAnswer: ...

    def fetch(self, report: Callable[[Progress], None]) -> int:
        """Fetch the offline data after a granted online sign-in, and return the days that are left then. Raises
        NotReached and Refused too."""

    def keep(self, purpose: str, secret: Secret[bytes]) -> None: ...

    def open(self, purpose: str) -> Secret[bytes]: ...


@contextlib.contextmanager
def open_sign_in_client(options: argparse.Namespace) -> Iterator[SignInClient]:
    """Open a client for `options.user`. Raises StoreUnreadable if no daemon runs and the store cannot be used."""
    with running_daemon(options) as daemon:
        if daemon is not None:
            yield _DaemonClient(daemon, options.user)
            return
    with opened(options) as device:
        yield _StoreClient(device, options.user)


class _DaemonClient:
    """A client of the daemon. The access of a success is bound to the connection."""

    def __init__(self, daemon: Daemon, user: str) -> None:
        self._daemon = daemon
        self._user = user

    def attempt(self, passcode: Secret[str], reply_to: str) -> LoginAnswer:
        request = frame(FrameKind.LOGIN, user=self._user, passcode=passcode.reveal(), reply_to=reply_to)
        return answer_of(self._daemon.ask(request))

    def fetch(self, report: Callable[[Progress], None]) -> int:
        return self._daemon.follow(frame(FrameKind.WATCH), report).number(Tag.DAYS_LEFT)

    def keep(self, purpose: str, secret: Secret[bytes]) -> None:
        self._daemon.ask(frame(FrameKind.KEEP, purpose=purpose, secret=secret.reveal()))

    def open(self, purpose: str) -> Secret[bytes]:
        return Secret(self._daemon.ask(frame(FrameKind.OPEN, purpose=purpose)).fields.get(Tag.SECRET, b""))


class _StoreClient:
    """A client that works on the store in this process, if no daemon runs. Only root can read the store."""

    def __init__(self, device: ThisDevice, user: str) -> None:
        self._device = device
        self._user = user
        self._key = SecretAccess(device, user, None, by_root=True)

    def attempt(self, passcode: Secret[str], reply_to: str) -> LoginAnswer:
        found = login(self._device, self._user, passcode, reply_to)
        self._key = SecretAccess(self._device, self._user, found.session, by_root=True)
        return found.answer

    def fetch(self, report: Callable[[Progress], None]) -> int:
        make_contact(self._device, report)
        user = self._device.state.find_user(self._device.names.find_login(self._user) or "")
        return days_left(user, self._device.store.trusted_time().time) if user else 0

    def keep(self, purpose: str, secret: Secret[bytes]) -> None:
        self._key.keep(purpose, secret)

    def open(self, purpose: str) -> Secret[bytes]:
        return self._key.open(purpose)
