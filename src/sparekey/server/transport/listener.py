"""The listening socket of one process: accepts, counts, and begins TLS in turns."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sparekey.server.admission.connections import Connection, Connections
from sparekey.server.admission.fair_queue import FairQueue
from sparekey.server.transport.connection import HEAD_SECONDS, HttpConnection

_ACCEPTED_AT_ONCE: Final = 64
_HANDSHAKES_AT_ONCE: Final = 1  # in one turn of the event loop; each takes about half a millisecond
_PAUSE_SECONDS: Final = 0.1  # after an error of accept, such as no memory
_CLOSE_SECONDS: Final = 2.0  # for the end of TLS

NewProtocol = Callable[[Connection], HttpConnection]


@dataclass(frozen=True)
class _Arrival:
    """An accepted connection of which nothing was read yet."""

    socket: socket.socket
    connection: Connection
    deadline: asyncio.TimerHandle


class Listener:
    """Accepts connections of one socket until it is closed."""

    def __init__(
        self,
        listening: socket.socket,
        connections: Connections,
        party_of: Callable[[str], str],
        new_protocol: NewProtocol,
        tls: Callable[[], ssl.SSLContext] | None,
    ) -> None:
        """`party_of`: the party of a connection from an address; `tls`: the context of the next handshake."""
        self._listening: Final = listening
        self._connections: Final = connections
        self._party_of: Final = party_of
        self._new_protocol: Final = new_protocol
        self._tls: Final = tls
        self._loop: Final = asyncio.get_running_loop()
        # Without a limit of its own: each item is one of the connections, which are limited.
        self._ready: Final[FairQueue[_Arrival]] = FairQueue(most=1 << 30)
        self._opening: Final[set[asyncio.Task[None]]] = set()
        listening.setblocking(False)
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Accept no more. Connections in the queue of the socket are left to the next process."""
        self._loop.remove_reader(self._listening)

    async def wait_closed(self) -> None:
        """Wait for the handshakes that have begun."""
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.remove_reader(self._listening)
                self._loop.call_later(_PAUSE_SECONDS, self._loop.add_reader, self._listening, self._accept)
                return
            self._admit(accepted, str(address[0]))

    def _admit(self, accepted: socket.socket, address: str) -> None:
        accepted.setblocking(False)

        def drop() -> None:
            self._loop.remove_reader(accepted)
            accepted.close()

        connection = self._connections.enter(self._party_of(address), drop)
        if connection is None:
            accepted.close()
            return
        deadline = self._loop.call_later(HEAD_SECONDS, connection.close)
        self._loop.add_reader(accepted, self._queue, _Arrival(accepted, connection, deadline))

    def _queue(self, arrival: _Arrival) -> None:
        """Queue a connection whose first bytes have come."""
        self._loop.remove_reader(arrival.socket)
        if not self._ready:
            self._loop.call_soon(self._take_turns)
        self._ready.add(arrival.connection.party, arrival)

    def _take_turns(self) -> None:
        begun = 0
        while begun < _HANDSHAKES_AT_ONCE and (following := self._ready.take()) is not None:
            begun += self._begin(following[1])
        if self._ready:
            self._loop.call_soon(self._take_turns)

    def _begin(self, arrival: _Arrival) -> bool:
        """Return True if the connection still waits, and is being opened now."""
        arrival.deadline.cancel()
        if arrival.socket.fileno() < 0:
            return False
        task = self._loop.create_task(self._open(arrival))
        arrival.connection.close_by(task.cancel)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return True

    async def _open(self, arrival: _Arrival) -> None:
        """Begin TLS, and let the HTTP protocol take over."""
        connection = arrival.connection
        options: dict[str, Any] = {}
        if self._tls is not None:
            options = {
                "ssl": self._tls(),
                "ssl_handshake_timeout": HEAD_SECONDS,
                "ssl_shutdown_timeout": _CLOSE_SECONDS,
            }
        try:
            await self._loop.connect_accepted_socket(lambda: self._new_protocol(connection), arrival.socket, **options)
        except (OSError, asyncio.CancelledError):
            # The client has gone, was too slow, or does not speak TLS; or the place went to another party.
            connection.leave()
            arrival.socket.close()
