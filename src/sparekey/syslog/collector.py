"""Hands events to a collector by syslog over TLS (RFC 5425).

Syslog knows no answer. What it has is the end of the connection: a sender closes TLS, and a receiver that has read all
of it closes its side (RFC 5425 section 4.4). So each call has a connection of its own, and returns only when the
collector ended it in order: a receiver that goes with something unread resets the connection instead.

Rules: the collector's certificate is verified against its name before anything is sent; a connection that was reset or
timed out confirms nothing, and the events are sent again; every wait has an end.
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
_AT_ONCE: Final = 65_536  # octets handed to TLS in one piece
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
        """Returns once the collector has taken all of them, in this order. Raises CollectorError."""
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
            # What fails from here on closes `plain`, for the TLS socket takes its descriptor over.
            return trust.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def _end(connection: ssl.SSLSocket) -> None:
    """Closes our side, and waits for the end of the other. Raises OSError where it was no end in order."""
    try:
        plain = connection.unwrap()
    except ssl.SSLEOFError:
        # It ended the stream without a word of TLS, as some do.
        _verify_acknowledged(connection)
        return
    with plain:
        _verify_acknowledged(plain)
        plain.shutdown(socket.SHUT_WR)
        # In order: nothing more comes. A receiver that closed with something unread has sent a reset by now.
        with contextlib.suppress(TimeoutError):
            while plain.recv(4_096):
                pass


def _verify_acknowledged(connection: socket.socket) -> None:
    """Whether the other machine has it all: what reaches a socket that was closed before is never acknowledged."""
    for _ in range(_LOOKS):
        unsent = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "reset")
        if unsent == 0:
            return
        select.select([], [], [connection], _LOOK_SECONDS)
    raise TimeoutError("not acknowledged")
