"""The network cable between the device and the server: a relay on loopback that can be pulled out."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_CHUNK = 65_536


class Cable:
    """Carries bytes both ways between its own port and the server's; unplugged, nothing listens there."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def plug(self) -> None:
        """Connects the two; the port stays the same ever after."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def lead_to(self, server_port: int) -> None:
        """From now on to another server."""
        self._server_port = server_port

    def unplug(self) -> None:
        """Nothing listens any more, and what was connected is cut."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # shutdown first: close alone does not wake a thread that waits in accept
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            cut, self._open = self._open, set()
        for each in cut:
            _close(each)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                device, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port), timeout=5)
                server.settimeout(None)
            except OSError:
                _close(device)
                continue
            with self._lock:
                self._open |= {device, server}
            for source, target in ((device, server), (server, device)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK):
                target.sendall(chunk)
        for each in (source, target):
            _close(each)
        with self._lock:
            self._open -= {source, target}


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
