"""One connection to the local socket: requests in order, one reply each, and the access to secrets after a success.

- uid 0 may ask for every account, another user only for its own (S26). The device decides which login an account has.
- The access after a success is bound to its connection: secrets are kept and opened there (`sign_in.secret_access`). It
  ends when the connection closes, or with the next attempt on it.
"""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sparekey.agent.contact.contact import Progress
from sparekey.agent.contact.replies import without_data
from sparekey.agent.contact.scheduler import ContactScheduler
from sparekey.agent.ground.outcome import LoginAnswer, Mode, Result, printable
from sparekey.agent.local_socket.connection_limits import ROOT, ConnectionSlot
from sparekey.agent.local_socket.frames import FRAME_TIMEOUT, receive
from sparekey.agent.platform.posix import account_of
from sparekey.agent.sign_in.login import login
from sparekey.agent.sign_in.offline import LoginOutcome, try_emergency
from sparekey.agent.sign_in.refusal_log import RefusalLog
from sparekey.agent.sign_in.remote import FLOOR, answer_for_remote
from sparekey.agent.sign_in.secret_access import SecretAccess, SecretRefused, forget
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.erasing import days_left
from sparekey.agent.store.status import status_of
from sparekey.clock import monotonic
from sparekey.secret import Secret
from sparekey.wire.local_socket import LONGEST_REQUEST, BadFrame, Frame, FrameKind, Tag, encode_frame, frame

IDLE_TIMEOUT: Final = 60  # seconds without a request
ANSWER_TIMEOUT: Final = 120  # seconds after a challenge


@dataclass(frozen=True)
class Peer:
    """The other end.

    Its `uid` decides the accounts that it may ask for. `person` (`platform.posix.person_behind`) decides how it shares
    the limits of connections with others.
    """

    uid: int
    person: int


class Conversation:
    """One connection: its requests in order, and the access of its success."""

    def __init__(
        self,
        device: ThisDevice,
        scheduler: ContactScheduler,
        refusals: RefusalLog,
        connection: socket.socket,
        peer: Peer,
        place: ConnectionSlot,
        frame_timeout: float = FRAME_TIMEOUT,
        floor: float = FLOOR,
    ) -> None:
        self._device = device
        self._scheduler = scheduler
        self._refusals = refusals
        self._connection = connection
        self._peer = peer
        self._place = place
        self._frame_timeout = frame_timeout
        self._floor = floor
        self._key: SecretAccess | None = None
        self._contact = 0
        self._handlers: dict[FrameKind, Callable[[Frame], None]] = {
            FrameKind.LOGIN: self._login,
            FrameKind.TEST: self._test,
            FrameKind.KEEP: self._keep,
            FrameKind.OPEN: self._open,
            FrameKind.FORGET: self._forget,
            FrameKind.STATUS: self._status,
            FrameKind.SYNC: self._sync,
            FrameKind.WATCH: self._watch,
            FrameKind.CLEAR: self._clear,
        }

    def run(self) -> None:
        """Answer requests until the other end closes. Raises BadFrame, and OSError."""
        self._connection.settimeout(IDLE_TIMEOUT)
        while True:
            request = receive(self._connection, LONGEST_REQUEST, self._frame_timeout)
            handler = self._handlers.get(request.kind)
            if handler is None:
                raise BadFrame("not a request")
            handler(request)

    def _login(self, request: Frame) -> None:
        self._key = None  # even if this attempt is refused before it is tried
        name = request.text(Tag.USER)
        if not self._may_ask_for(name) or not self._has_place(request):
            return
        passcode, reply_to = Secret(request.text(Tag.PASSCODE)), request.text(Tag.REPLY_TO)
        with self._place.line:
            found: LoginOutcome = login(self._device, name, passcode, reply_to, remote=bool(request.number(Tag.REMOTE)))
            told = self._told(request, found)
        if found.answer.result is Result.GRANTED:
            self._key = SecretAccess(self._device, name, found.session, by_root=self._peer.uid == ROOT)
        # Choosing a PIN takes longer than typing a passcode. After this time the server accepts no answer.
        self._connection.settimeout(ANSWER_TIMEOUT if found.answer.result is Result.ASK else IDLE_TIMEOUT)
        self._answer(name, found.answer, told, remote=self._is_remote(request))
        if found.answer.result is Result.GRANTED and found.answer.mode is Mode.ONLINE:
            self._contact = self._scheduler.request()

    def _test(self, request: Frame) -> None:
        name = request.text(Tag.USER)
        if self._may_ask_for(name):
            with self._place.line, self._device.one_attempt():
                answer = try_emergency(self._device, name, Secret(request.text(Tag.PASSCODE)))
            self._answer(name, answer, answer)

    def _keep(self, request: Frame) -> None:
        try:
            self._secret_access().keep(request.text(Tag.PURPOSE), Secret(request.fields.get(Tag.SECRET, b"")))
        except SecretRefused as error:
            self._fail(error.word, str(error))
        else:
            self._send(frame(FrameKind.DONE))

    def _open(self, request: Frame) -> None:
        try:
            secret = self._secret_access().open(request.text(Tag.PURPOSE))
        except SecretRefused as error:
            self._fail(error.word, str(error))
        else:
            self._send(frame(FrameKind.SECRET, secret=secret.reveal()))

    def _forget(self, request: Frame) -> None:
        if not self._is_root():
            return
        try:
            forget(self._device, request.text(Tag.USER), request.text(Tag.PURPOSE))
        except SecretRefused as error:
            self._fail(error.word, str(error))
        else:
            self._send(frame(FrameKind.DONE))

    def _secret_access(self) -> SecretAccess:
        if self._key is None:
            raise SecretRefused("not-signed-in", "sign in on this connection first")
        return self._key

    def _status(self, _: Frame) -> None:
        report = status_of(self._device, self._own_login(), self._scheduler.trouble)
        self._send(frame(FrameKind.REPORT, report=json.dumps(report)))

    def _own_login(self) -> str | None:
        """Return the login that the other end may hear about; None for all."""
        if self._peer.uid == ROOT:
            return None
        account = account_of(self._peer.uid)
        return (self._device.names.find_login(account) if account else None) or ""

    def _sync(self, _: Frame) -> None:
        if self._is_root():
            self._follow(self._scheduler.request())

    def _watch(self, _: Frame) -> None:
        if self._contact:
            self._follow(self._contact)
        else:
            # The peer started no contact by a sign-in, and may not see the contacts that others started.
            self._send(frame(FrameKind.DONE))

    def _clear(self, _: Frame) -> None:
        if self._is_root():
            self._device.store.change(without_data)
            self._send(frame(FrameKind.DONE))

    def _follow(self, number: int) -> None:
        only = self._own_login()

        def report(progress: Progress) -> None:
            if only not in (None, progress.login):
                return
            self._send(
                frame(
                    FrameKind.PROGRESS,
                    user=progress.login,
                    unit=progress.kind,
                    done=progress.done,
                    total=progress.total,
                )
            )

        finished = self._scheduler.follow(number, report)
        if finished.result is None:
            self._fail("not-refilled", finished.why)
            return
        message = printable(finished.result.words(only)[:2000])
        self._send(frame(FrameKind.DONE, done=finished.result.fetched, days_left=self._days_left(), message=message))

    def _days_left(self) -> int:
        state, user = self._device.state, self._key.user if self._key is not None else ""
        return days_left(state.get_user(user), self._device.store.trusted_time().time) if state.has_user(user) else 0

    def _may_ask_for(self, name: str) -> bool:
        if self._peer.uid == ROOT or name == account_of(self._peer.uid):
            return True
        try:
            self._fail("not-allowed", "only root can sign in another user")
        finally:
            self._refusals.note_not_allowed(name, self._peer.person)
        return False

    def _is_remote(self, request: Frame) -> bool:
        """Return True if a program of root asks for a user on the network. Other programs can claim it, but gain
        nothing."""
        return bool(request.number(Tag.REMOTE)) and self._peer.uid == ROOT

    def _has_place(self, request: Frame) -> bool:
        if not self._is_remote(request) or self._place.is_one_of_remote():
            return True
        self._fail("busy", "Too many users are signing in over the network. Try again in a minute.")
        return False

    def _is_root(self) -> bool:
        if self._peer.uid == ROOT:
            return True
        self._fail("not-allowed", "only root can do this")
        return False

    def _told(self, request: Frame, found: LoginOutcome) -> LoginAnswer:
        """Return the answer for this peer, after waiting until it may be sent.

        The next remote attempt waits for it too. So the next one in the queue cannot measure the time of a search.
        """
        if not request.number(Tag.REMOTE):
            return found.answer
        is_timed = found.answer.mode is Mode.OFFLINE and found.answer.result is not Result.GRANTED
        if is_timed and self._is_remote(request):
            time.sleep(max(found.decided_offline_since + self._floor - monotonic(), 0))
        return answer_for_remote(found.answer, self._device.state)

    def _answer(self, account: str, answer: LoginAnswer, told: LoginAnswer, *, remote: bool = False) -> None:
        try:
            self._send(answer_frame(told))
        finally:  # also if the peer hangs up; after the answer, because the look-up takes time
            self._refusals.note(account, self._peer.person, answer, remote=remote)

    def _fail(self, reason: str, message: str) -> None:
        self._send(frame(FrameKind.FAILED, reason=reason, message=printable(message)))

    def _send(self, reply: Frame) -> None:
        self._connection.sendall(encode_frame(reply))


def answer_frame(answer: LoginAnswer) -> Frame:
    """Return the answer as a frame for a login shim."""
    return frame(
        FrameKind.ANSWER,
        result=answer.result.value,
        mode=answer.mode.value,
        method=answer.method,
        days_left=answer.days_left,
        emergency_expires=answer.emergency_expires,
        message=printable(answer.message),
        reason=answer.reason.value,
        misread=bytes(answer.misread),
        ask=answer.ask.value,
        reply_to=answer.reply_to,
    )
