"""The daemon's local socket: one bounded thread for each connection, every frame capped, the peer known by the kernel.

- uid 0 may ask for anybody; another user only for its own account (S26). Whose login an account has, the device knows.
- Places are counted by the person behind a connection (`places`); who finds none is told so.
- A frame that has begun is here within seconds, or the connection ends: nobody holds a place with a byte at a time.
- Attempts of other users stand in a line of their own: root's attempt waits for one of theirs at most.
- What a success gives is bound to the connection: secrets are kept and opened there (`useful_key`), until it closes
  or another attempt is made on it.
- Silence and errors mean no: a shim that hears nothing refuses.
"""

import contextlib
import errno
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sparekey import clock
from sparekey.agent.device import Device
from sparekey.agent.erasing import days_left
from sparekey.agent.journal import log_unforeseen
from sparekey.agent.login import login
from sparekey.agent.offline_login import Login, try_emergency
from sparekey.agent.outcome import LoginAnswer, Mode, Result, printable
from sparekey.agent.places import ROOT, Places
from sparekey.agent.platform_posix import account_of, peer_uid, person_behind
from sparekey.agent.refill import Progress
from sparekey.agent.refiller import Refiller
from sparekey.agent.status import status_of
from sparekey.agent.trusted_days import without_data
from sparekey.agent.useful_key import KeyRefused, UsefulKey, forget
from sparekey.secret import Secret
from sparekey.wire.local_socket import (
    HEAD_BYTES,
    LONGEST_REQUEST,
    BadFrame,
    Frame,
    Kind,
    Tag,
    decode_frame,
    encode_frame,
    frame,
    read_length,
)

IDLE_TIMEOUT: Final = 60  # seconds without a request
FRAME_TIMEOUT: Final = 10  # seconds, from the first byte of a frame to its last
ANSWER_TIMEOUT: Final = 120  # seconds, after a question
MOST_TURNED_AWAY: Final = 16  # at a time; more are closed without a word
BUSY_PATIENCE: Final = 2  # seconds for the request that is answered with a refusal
ACCEPT_PAUSE: Final = 0.2  # seconds, while the system has no room
# Of these the listener knows nothing: it goes on as soon as there is room.
_PASSING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED, errno.EINTR})

_NO_PLACE: Final = frame(
    Kind.FAILED, reason="busy", message="The agent has no place for one more request of yours; try again in a minute."
)

_log = logging.getLogger(__name__)


class _Gone(OSError):
    """The other end closed the connection."""


@dataclass
class LocalServer:
    """Serves connections of `listener` until it is closed."""

    device: Device
    refiller: Refiller
    listener: socket.socket

    def __post_init__(self) -> None:
        self._places = Places()
        self._turned_away = threading.BoundedSemaphore(MOST_TURNED_AWAY)
        self._line_of_others = threading.Lock()

    def run(self) -> None:
        """Accepts until the listener is closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError as error:
                if error.errno not in _PASSING:
                    return
                log_unforeseen("a connection was not taken", error)
                time.sleep(ACCEPT_PAUSE)
                continue
            person = person_behind(connection)
            if self._places.take(person):
                _begin(self._serve, connection, person)
            elif self._turned_away.acquire(blocking=False):
                _begin(self._turn_away, connection)
            else:
                connection.close()

    def _serve(self, connection: socket.socket, person: int) -> None:
        peer = peer_uid(connection)
        try:
            with connection:
                connection.settimeout(IDLE_TIMEOUT)
                line = contextlib.nullcontext() if peer == ROOT else self._line_of_others
                Conversation(self.device, self.refiller, connection, peer, line).run()
        except OSError:
            return
        except BadFrame as error:
            _log.warning("a bad frame on the local socket: %s", error)
        except Exception as error:  # noqa: BLE001 -- one connection's failure is no other's
            log_unforeseen("a connection on the local socket failed", error)
        finally:
            self._places.give_back(person)

    def _turn_away(self, connection: socket.socket) -> None:
        """Says why, once there is a question: a shim takes nothing for an answer that came before it."""
        try:
            with connection:
                connection.settimeout(BUSY_PATIENCE)
                with contextlib.suppress(TimeoutError):
                    receive(connection, LONGEST_REQUEST)
                connection.sendall(encode_frame(_NO_PLACE))
        except (OSError, BadFrame):
            return
        finally:
            self._turned_away.release()


def _begin(serve: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=serve, args=arguments, daemon=True, name="connection").start()


class Conversation:
    """One connection: requests in order, and what its success has given."""

    def __init__(
        self,
        device: Device,
        refiller: Refiller,
        connection: socket.socket,
        peer: int,
        line: contextlib.AbstractContextManager[object],
    ) -> None:
        self._device = device
        self._refiller = refiller
        self._connection = connection
        self._peer = peer
        self._line = line
        self._key: UsefulKey | None = None
        self._refill = 0
        self._handlers: dict[Kind, Callable[[Frame], None]] = {
            Kind.LOGIN: self._login,
            Kind.TEST: self._test,
            Kind.KEEP: self._keep,
            Kind.OPEN: self._open,
            Kind.FORGET: self._forget,
            Kind.STATUS: self._status,
            Kind.SYNC: self._sync,
            Kind.WATCH: self._watch,
            Kind.CLEAR: self._clear,
        }

    def run(self) -> None:
        """Until the other end closes."""
        while True:
            request = receive(self._connection, LONGEST_REQUEST)
            handler = self._handlers.get(request.kind)
            if handler is None:
                raise BadFrame("not a request")
            handler(request)

    def _login(self, request: Frame) -> None:
        name = request.text(Tag.USER)
        if not self._may_ask_for(name):
            return
        typed, reply_to = Secret(request.text(Tag.PASSCODE)), request.text(Tag.REPLY_TO)
        self._key = None
        with self._line:
            found: Login = login(self._device, name, typed, reply_to)
        if found.answer.result is Result.GRANTED:
            self._key = UsefulKey(self._device, found.session, by_root=self._peer == ROOT)
        # Choosing a PIN takes longer than typing a passcode; later than this the server takes no answer.
        self._connection.settimeout(ANSWER_TIMEOUT if found.answer.result is Result.ASK else IDLE_TIMEOUT)
        self._send(answer_frame(found.answer))
        if found.answer.result is Result.GRANTED and found.answer.mode is Mode.ONLINE:
            self._refill = self._refiller.request()

    def _test(self, request: Frame) -> None:
        name = request.text(Tag.USER)
        if self._may_ask_for(name):
            with self._line, self._device.one_attempt():
                answer = try_emergency(self._device, name, Secret(request.text(Tag.PASSCODE)))
            self._send(answer_frame(answer))

    def _keep(self, request: Frame) -> None:
        try:
            self._useful_key().keep(request.text(Tag.PURPOSE), Secret(request.fields.get(Tag.SECRET, b"")))
        except KeyRefused as error:
            self._fail(error.word, str(error))
        else:
            self._send(frame(Kind.DONE))

    def _open(self, request: Frame) -> None:
        try:
            secret = self._useful_key().open(request.text(Tag.PURPOSE))
        except KeyRefused as error:
            self._fail(error.word, str(error))
        else:
            self._send(frame(Kind.SECRET, secret=secret.reveal()))

    def _forget(self, request: Frame) -> None:
        if not self._is_root():
            return
        try:
            forget(self._device, request.text(Tag.USER), request.text(Tag.PURPOSE))
        except KeyRefused as error:
            self._fail(error.word, str(error))
        else:
            self._send(frame(Kind.DONE))

    def _useful_key(self) -> UsefulKey:
        if self._key is None:
            raise KeyRefused("not-signed-in", "sign in on this connection first")
        return self._key

    def _status(self, _: Frame) -> None:
        only = None
        if self._peer != ROOT:
            account = account_of(self._peer)
            only = (self._device.names.find_login(account) if account else None) or ""
        self._send(frame(Kind.REPORT, report=json.dumps(status_of(self._device, only, self._refiller.trouble))))

    def _sync(self, _: Frame) -> None:
        if self._is_root():
            self._follow(self._refiller.request())

    def _watch(self, _: Frame) -> None:
        self._follow(self._refill)

    def _clear(self, _: Frame) -> None:
        if self._is_root():
            self._device.store.change(without_data)
            self._send(frame(Kind.DONE))

    def _follow(self, number: int) -> None:
        def report(progress: Progress) -> None:
            self._send(
                frame(
                    Kind.PROGRESS, user=progress.login, unit=progress.kind, done=progress.done, total=progress.total
                )
            )  # fmt: skip

        finished = self._refiller.follow(number, report)
        if finished.refilled is None and number:
            self._fail("not-refilled", finished.why)
            return
        fetched = finished.refilled.fetched if finished.refilled else 0
        words = "; ".join(finished.refilled.failures) if finished.refilled else ""
        self._send(frame(Kind.DONE, done=fetched, days_left=self._days_left(), message=printable(words[:2000])))

    def _days_left(self) -> int:
        state, user = self._device.state, self._key.user if self._key is not None else ""
        return days_left(state.get_user(user), self._device.store.judged().time) if state.has_user(user) else 0

    def _may_ask_for(self, name: str) -> bool:
        if self._peer == ROOT or name == account_of(self._peer):
            return True
        self._fail("not-allowed", "only root may sign in somebody else")
        return False

    def _is_root(self) -> bool:
        if self._peer == ROOT:
            return True
        self._fail("not-allowed", "only root may do this")
        return False

    def _fail(self, reason: str, message: str) -> None:
        self._send(frame(Kind.FAILED, reason=reason, message=printable(message)))

    def _send(self, reply: Frame) -> None:
        self._connection.sendall(encode_frame(reply))


def receive(connection: socket.socket, longest: int) -> Frame:
    """The next frame: begun within the connection's time-out, and whole `FRAME_TIMEOUT` later. Raises `BadFrame`, or
    OSError."""
    idle = connection.gettimeout()
    head = _received(connection, 1)
    ends = clock.monotonic() + FRAME_TIMEOUT
    try:
        head += _exactly(connection, HEAD_BYTES - 1, ends)
        return decode_frame(_exactly(connection, read_length(head, longest), ends))
    finally:
        connection.settimeout(idle)


def _exactly(connection: socket.socket, count: int, ends: float) -> bytes:
    data = b""
    while len(data) < count:
        left = ends - clock.monotonic()
        if left <= 0:
            raise TimeoutError("a frame that has begun did not end in time")
        connection.settimeout(left)
        data += _received(connection, count - len(data))
    return data


def _received(connection: socket.socket, most: int) -> bytes:
    data = connection.recv(most)
    if not data:
        raise _Gone("the other end closed the connection")
    return data


def answer_frame(answer: LoginAnswer) -> Frame:
    """The answer as a shim reads it."""
    return frame(
        Kind.ANSWER,
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
