"""The daemon's local socket: one bounded thread for each connection, every frame capped, the peer known by the kernel.

- Places are counted by the person behind a connection (`places`); who finds none is told so. So is who finds no thread,
  and the place is free again: what the system lacks for a moment ends nothing but that connection.
- A frame that has begun is here within seconds, or the connection ends: nobody holds a place with a byte at a time.
- Attempts of other people stand in a line of their own, also where they ask by a program of root's, and so do those of
  whoever comes over a network: a login screen's waits for one of each at most.
- Silence and errors mean no: a shim that hears nothing refuses.
"""

import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sparekey.agent.contact.scheduler import Refiller
from sparekey.agent.ground.journal import log_unforeseen
from sparekey.agent.local_socket.connection_limits import Place, Places
from sparekey.agent.local_socket.conversation import Conversation, Peer
from sparekey.agent.local_socket.frames import FRAME_TIMEOUT, receive
from sparekey.agent.platform.posix import account_of, peer_uid, person_behind, release_memory
from sparekey.agent.sign_in.refusal_log import RefusalLog
from sparekey.agent.sign_in.remote import FLOOR
from sparekey.agent.store.device import Device
from sparekey.wire.local_socket import LONGEST_REQUEST, BadFrame, Frame, Kind, encode_frame, frame

MOST_TURNED_AWAY: Final = 16  # at a time; more are closed without a word
BUSY_PATIENCE: Final = 2.0  # seconds for the request that is answered with a refusal, and once more for its end
PAUSE: Final = 0.2  # seconds, while the system has no room
# Of these the listener knows nothing: it goes on as soon as there is room.
_PASSING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED, errno.EINTR})

_NO_PLACE: Final = frame(
    Kind.FAILED, reason="busy", message="The agent has no place for one more request of yours; try again in a minute."
)
_NO_THREAD: Final = frame(
    Kind.FAILED, reason="busy", message="This computer has no room for one more request to the agent; try again soon."
)

_log = logging.getLogger(__name__)


@dataclass
class LocalServer:
    """Serves connections of `listener` until it is closed."""

    device: Device
    refiller: Refiller
    listener: socket.socket
    frame_timeout: float = FRAME_TIMEOUT
    floor: float = FLOOR

    def __post_init__(self) -> None:
        self._places = Places()
        self._turned_away = threading.BoundedSemaphore(MOST_TURNED_AWAY)
        self._refusals = RefusalLog(self.device)

    def run(self) -> None:
        """Accepts until the listener is closed."""
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

    def _serve(self, connection: socket.socket, person: int, place: Place) -> None:
        try:
            with connection:
                if not place.sort(_has_account):
                    place.give_back()  # whoever is turned away keeps nobody else from being sorted
                    self._turn_away_here(connection)
                    return
                peer = Peer(peer_uid(connection), person)
                Conversation(
                    self.device, self.refiller, self._refusals, connection, peer, place, self.frame_timeout, self.floor
                ).run()
        except OSError:
            return
        except BadFrame as error:
            _log.warning("a bad frame on the local socket: %s", error)
        except Exception as error:  # noqa: BLE001 -- one connection's failure is no other's
            log_unforeseen("a connection on the local socket failed", error)

    def _turn_away_here(self, connection: socket.socket) -> None:
        """In the thread that the connection has; where too many are being turned away, without a word."""
        if self._turned_away.acquire(blocking=False):
            try:
                _turn_away(connection, _NO_PLACE, BUSY_PATIENCE)
            finally:
                self._turned_away.release()


def _has_account(uid: int) -> bool:
    return account_of(uid) is not None


def _begin(connection: socket.socket, serve: Callable[[], None], give_back: Callable[[], None]) -> None:
    """In a thread of its own, at whose end the place is given back; at once where the system has no thread."""

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
        # The listener's own time: it pauses here as where there are no descriptors, but no longer for anybody.
        _turn_away(connection, _NO_THREAD, PAUSE)
        time.sleep(PAUSE)


def _turn_away(connection: socket.socket, why: Frame, patience: float) -> None:
    """Says why, once there is a question: a shim takes nothing for an answer that came before it."""
    try:
        with connection:
            connection.settimeout(patience)
            with contextlib.suppress(TimeoutError):
                receive(connection, LONGEST_REQUEST, patience)
            connection.sendall(encode_frame(why))
    except (OSError, BadFrame):
        return
