"""Sends events to a collector by syslog over TLS (RFC 5425).

Syslog has no confirmations. It only has the end of the connection: a sender closes TLS, and a receiver that has read
everything closes its side (RFC 5425 section 4.4). So each call has its own connection, and returns only when the
collector has closed it in order. A receiver that closes with unread data resets the connection instead.

Rules: the collector's certificate is verified against its name before anything is sent; a connection that was reset or
timed out confirms nothing, and the events are sent again; every wait has a time limit.
"""

import contextlib
import fcntl
import select
import socket
import ssl
import struct
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sparekey.app.ports import CollectorError
from sparekey.core.audit_log.export import ExportedEvent
from sparekey.syslog.message import framed, message

WAIT_SECONDS: Final = 10.0
_AT_ONCE: Final = 65_536  # octets that TLS gets in one call
_LOOK_SECONDS: Final = 0.01
_LOOKS: Final = 1_000


@dataclass(frozen=True)
class SyslogCollector:
    """An `EventCollector` at one address."""

    host: str
    port: int
    sender: str  # the HOSTNAME of the messages
    ca_file: str = ""  # PEM; empty: the CAs that this machine trusts
    wait_seconds: float = WAIT_SECONDS

    def send(self, events: Sequence[ExportedEvent]) -> None:
        """Return once the collector has confirmed all events, in this order. Raises CollectorError."""
        octets = b"".join(framed(message(event, self.sender)) for event in events)
        try:
            with self._connected() as connection:
                for start in range(0, len(octets), _AT_ONCE):
                    connection.sendall(octets[start : start + _AT_ONCE])
                _end(connection)
        except ssl.SSLCertVerificationError as error:
            raise CollectorError(f"the collector's certificate is not valid: {error.verify_message}") from error
        except (OSError, ValueError) as error:
            raise CollectorError(f"the collector does not answer ({type(error).__name__})") from error

    def _connected(self) -> ssl.SSLSocket:
        trust = ssl.create_default_context(cafile=self.ca_file or None)
        plain = socket.create_connection((self.host, self.port), timeout=self.wait_seconds)
        try:
            # An error from here on closes `plain`, because the TLS socket takes over its descriptor.
            return trust.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def _end(connection: ssl.SSLSocket) -> None:
    """Close our side and wait for the other side to close. Raises OSError if it does not close in order."""
    try:
        plain = connection.unwrap()
    except ssl.SSLEOFError:
        # Some receivers end the stream without closing TLS.
        _verify_acknowledged(connection)
        return
    with plain:
        _verify_acknowledged(plain)
        plain.shutdown(socket.SHUT_WR)
        # Closed in order. A receiver that closed with unread data has sent a reset by now.
        with contextlib.suppress(TimeoutError):
            while plain.recv(4_096):
                pass


def _verify_acknowledged(connection: socket.socket) -> None:
    """Raise OSError unless the other machine has acknowledged all bytes. Bytes that arrive at a socket after it was
    closed are never acknowledged."""
    for _ in range(_LOOKS):
        unsent = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "reset")
        if unsent == 0:
            return
        select.select([], [], [connection], _LOOK_SECONDS)
    raise TimeoutError("not acknowledged")
