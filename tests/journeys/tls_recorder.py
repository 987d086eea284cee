"""A relay between device and server that ends TLS on both sides and records all traffic.

It has the server's own certificate and key: the test owns the data directory. To the device it is the server.
"""

import select
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_CHUNK = 65_536


class TlsRecorder:
    """A relay on its own port while the context is entered."""

    def __init__(self, certificate: Path, server_port: int) -> None:
        """`certificate`: the file with the server's certificate and key."""
        self._to_device = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._to_device.load_cert_chain(certificate)
        self._to_server = ssl.create_default_context()
        # by this process's clock the certificate is from the future
        self._to_server.check_hostname, self._to_server.verify_mode = False, ssl.CERT_NONE
        self._server_port = server_port
        self._lock = threading.Lock()
        self._requests: list[bytearray] = []
        self._replies: list[bytearray] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def requests(self) -> list[bytes]:
        """Return the bytes from devices, one item per connection."""
        with self._lock:
            return [bytes(each) for each in self._requests]

    @property
    def replies(self) -> list[bytes]:
        """Return the bytes from the server, one item per connection."""
        with self._lock:
            return [bytes(each) for each in self._replies]

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(plain,), daemon=True).start()

    def _carry(self, plain: socket.socket) -> None:
        with suppress(OSError), self._to_device.wrap_socket(plain, server_side=True) as device:
            outer = socket.create_connection(("127.0.0.1", self._server_port), timeout=30)
            with self._to_server.wrap_socket(outer) as server:
                sent, answered = bytearray(), bytearray()
                with self._lock:
                    self._requests.append(sent)
                    self._replies.append(answered)
                ways = {device: (server, sent), server: (device, answered)}
                while all(self._carry_once(source, *ways[source]) for source in _readable(device, server)):
                    pass

    def _carry_once(self, source: ssl.SSLSocket, target: ssl.SSLSocket, record: bytearray) -> bool:
        """Return True if more may come. One thread serves both ways: an SSL connection takes one call at a time."""
        source.settimeout(0)
        try:
            chunk = source.recv(_CHUNK)
        except ssl.SSLWantReadError:  # the bytes belonged to TLS itself
            return True
        finally:
            source.settimeout(30)
        with self._lock:
            record += chunk
        target.sendall(chunk)
        return bool(chunk)


def _readable(*connections: ssl.SSLSocket) -> list[ssl.SSLSocket]:
    pending = [each for each in connections if each.pending()]
    return pending or select.select(connections, [], [])[0]
