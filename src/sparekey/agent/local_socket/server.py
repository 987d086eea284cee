"""The local socket of the daemon.

There is one thread for each connection, a limit on frames, and the peer's uid from the kernel.

- Connections are limited for each person (`connection_limits`). A connection beyond the limit gets a reply that says
  so.
- If the system has no thread for a connection, it gets such a reply too, and its slot is freed. A short lack of
  resources ends nothing but that connection.
- A frame must be complete within seconds of its first byte, so that no client holds a slot by sending byte after byte.
- Attempts of other users have a queue of their own, even through a program of root's. So have remote attempts. A login
  screen waits for at most one attempt of each queue.
- Silence and errors mean no: a shim that gets no answer refuses.
"""

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sparekey.agent.contact.scheduler import ContactScheduler
from sparekey.agent.ground.journal import log_unforeseen
from sparekey.agent.local_socket.connection_limits import ConnectionSlot, ConnectionSlots
from sparekey.agent.local_socket.conversation import Conversation, Peer
from sparekey.agent.local_socket.frames import FRAME_TIMEOUT, receive
from sparekey.agent.platform.posix import account_of, peer_uid, person_behind
from sparekey.agent.sign_in.refusal_log import RefusalLog
from sparekey.agent.sign_in.remote import FLOOR
from sparekey.agent.store.device import ThisDevice
from sparekey.heap import release_memory
from sparekey.wire.local_socket import LONGEST_REQUEST, BadFrame, Frame, FrameKind, encode_frame, frame

MOST_TURNED_AWAY: Final = 16  # at a time; more are closed without a message
BUSY_PATIENCE: Final = 2.0  # seconds to wait for the request before the refusal, and again to send it
PAUSE: Final = 0.2  # seconds, while the system lacks resources
# After these errors the listener continues as soon as there is room.
_PASSING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED, errno.EINTR})

_NO_PLACE: Final = frame(
    FrameKind.FAILED, reason="busy", message="You have too many requests to the agent. Try again in a minute."
)
_NO_THREAD: Final = frame(
    FrameKind.FAILED,
    reason="busy",
    message="This computer has no room for another request to the agent. Try again soon.",
)


@dataclass
class LocalSocketServer:
    """The server of connections on `listener`, until it is closed."""

    device: ThisDevice
    scheduler: ContactScheduler
    listener: socket.socket
    frame_timeout: float = FRAME_TIMEOUT
    floor: float = FLOOR

    def __post_init__(self) -> None:
        self._places = ConnectionSlots()
        self._turned_away = threading.BoundedSemaphore(MOST_TURNED_AWAY)
        self._refusals = RefusalLog(self.device)

    def run(self) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError as error:
                if error.errno not in _PASSING:
                    return
                log_unforeseen("a connection was not taken", error)
                time.sleep(PAUSE)
                continue
            self._take_in(connection)

    def _take_in(self, connection: socket.socket) -> None:
        person = person_behind(connection)
        place = self._places.take(person)
        if place is not None:
            _begin(connection, lambda: self._serve(connection, person, place), place.give_back)
        elif self._turned_away.acquire(blocking=False):
            _begin(connection, lambda: _turn_away(connection, _NO_PLACE, BUSY_PATIENCE), self._turned_away.release)
        else:
            connection.close()

    def _serve(self, connection: socket.socket, person: int, place: ConnectionSlot) -> None:
        try:
            with connection:
                if not place.sort(_has_account):
                    place.give_back()  # a refused connection must not keep others from being sorted
                    self._turn_away_here(connection)
                    return
                peer = Peer(peer_uid(connection), person)
                Conversation(
                    self.device, self.scheduler, self._refusals, connection, peer, place, self.frame_timeout, self.floor
                ).run()
        except OSError:
            return
        except BadFrame as error:
            self._refusals.note_bad_frame(person, str(error))
        except Exception as error:  # noqa: BLE001 -- an error ends only its own connection
            log_unforeseen("a connection on the local socket failed", error)

    def _turn_away_here(self, connection: socket.socket) -> None:
        """Refuse the connection in its own thread. Close it without a message if too many are being refused."""
        if self._turned_away.acquire(blocking=False):
            try:
                _turn_away(connection, _NO_PLACE, BUSY_PATIENCE)
            finally:
                self._turned_away.release()


def _has_account(uid: int) -> bool:
    return account_of(uid) is not None


def _begin(connection: socket.socket, serve: Callable[[], None], give_back: Callable[[], None]) -> None:
    """Serve the connection in a thread of its own and free its slot at the end. If the system has no thread, refuse it
    here."""

    def run() -> None:
        try:
            serve()
        finally:
            give_back()
            release_memory()

    try:
        threading.Thread(target=run, daemon=True, name="connection").start()
    except (RuntimeError, MemoryError) as error:
        give_back()
        log_unforeseen("there is no thread for a connection", error)
        # This blocks the listener's thread, so it waits no longer than the pause without descriptors.
        _turn_away(connection, _NO_THREAD, PAUSE)
        time.sleep(PAUSE)


def _turn_away(connection: socket.socket, why: Frame, patience: float) -> None:
    """Send the reason, after the first request: a shim ignores a reply that comes before it."""
    try:
        with connection:
            connection.settimeout(patience)
            with contextlib.suppress(TimeoutError):
                receive(connection, LONGEST_REQUEST, patience)
            connection.sendall(encode_frame(why))
    except (OSError, BadFrame):
        return
