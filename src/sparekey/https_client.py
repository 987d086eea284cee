"""A client for HTTPS on `http.client`, for devices and for commands: one connection, limits, and few kinds of failure.

Rules:
- The first address that accepts a connection serves the whole conversation.
- A lost connection is never opened again without TLS, and a request is repeated only if the caller allows it.
- No wait is endless: one deadline holds for everything, or a limit for each wait. An answer has a largest size.
- Redirects are not followed. The caller decides whom TLS trusts.
"""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sparekey import clock

USUAL_PORT: Final = 8443  # of a server with the usual settings
_CHUNK: Final = 65_536
_SHORTEST_WAIT: Final = 0.01  # seconds; a time-out of 0 would mean not to wait at all


class ConnectionFault(Enum):
    """The reasons for no answer, the most informative first. If several addresses failed, the first is reported."""

    UNTRUSTED = auto()  # the certificate is not from a trusted CA, or names another host
    NO_TLS = auto()  # something answers that does not speak TLS like the server
    DOWN = auto()  # there is a route, but no complete answer in time
    OFFLINE = auto()  # no name or no route


class NoAnswer(Exception):
    """A request without an answer. `address`: the server that failed, if none took a connection."""

    def __init__(self, fault: ConnectionFault, why: str, address: "Address | None" = None) -> None:
        super().__init__(why)
        self.fault: Final = fault
        self.why: Final = why
        self.address: Final = address


@dataclass(frozen=True)
class Address:
    """The host and port that a server listens on."""

    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class TransferLimits:
    """Limits of a transfer. `wait`: seconds for each wait while no deadline is set. `reply`: bytes of an answer."""

    wait: float
    reply: int


def _always(_: tuple[str, int]) -> bool:
    return True


class HttpsConnection:
    """A connection to the first address that accepts it. Not for several threads."""

    def __init__(
        self,
        addresses: Sequence[Address],
        context: ssl.SSLContext | None,
        limits: TransferLimits,
        has_route: Callable[[tuple[str, int]], bool] = _always,
    ) -> None:
        """Prepare a connection. `context`: None sends in clear. `has_route`: False skips a numeric address."""
        self._addresses: Final = addresses
        self._context: Final = context
        self._limits: Final = limits
        self._has_route: Final = has_route
        self._deadline: float | None = None
        self._http: http.client.HTTPConnection | None = None

    def allow(self, seconds: float) -> None:
        """Set a deadline for everything that follows."""
        self._deadline = clock.monotonic() + seconds

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, may_repeat: bool
    ) -> tuple[int, bytes]:
        """Return status and body. Raises NoAnswer.

        `may_repeat`: send the request again if a connection that was idle turns out to be closed.
        """
        repeats = may_repeat and self._http is not None
        while True:
            try:
                return self._exchange(method, path, body, headers)
            except TimeoutError as error:
                self.close()
                raise NoAnswer(ConnectionFault.DOWN, "no answer in time") from error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if not repeats:
                    raise NoAnswer(ConnectionFault.DOWN, f"the connection broke ({_kind_of(error)})") from error
                repeats = False

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self._http = self._http or self._connect()
        connection = self._http.sock
        connection.settimeout(self._left())
        self._http.request(method, path, body or None, headers)
        connection.settimeout(self._left())
        with self._http.getresponse() as reply:
            content = self._read(connection, reply)
        if reply.will_close:
            self.close()
        return reply.status, content

    def _read(self, connection: socket.socket, reply: http.client.HTTPResponse) -> bytes:
        """Return the body. The deadline holds for all of it, however slowly it arrives."""
        parts, size = [], 0
        while chunk := reply.read1(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > self._limits.reply:
                self.close()
                raise NoAnswer(ConnectionFault.DOWN, "the answer is too long")
            if reply.isclosed():
                break  # the body is complete, and the socket may be gone already (`Connection: close`)
            connection.settimeout(self._left())
        return b"".join(parts)

    def _left(self) -> float:
        """Return the seconds that the next wait may take. Raises TimeoutError after the deadline."""
        if self._deadline is None:
            return self._limits.wait
        left = self._deadline - clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _connect(self) -> http.client.HTTPConnection:
        failures = []
        for number, address in enumerate(self._addresses):
            share = self._left() / (len(self._addresses) - number)
            try:
                return self._open(address, clock.monotonic() + share)
            except NoAnswer as error:
                failures.append(error)
        raise min(failures, key=lambda failure: failure.fault.value)

    def _open(self, address: Address, until: float) -> http.client.HTTPConnection:
        plain = self._reach(address, until)
        opened: http.client.HTTPConnection
        if self._context is None:
            opened = http.client.HTTPConnection(address.host, address.port)
            opened.sock = plain
        else:
            opened = http.client.HTTPSConnection(address.host, address.port, context=self._context)
            opened.sock = _secured(plain, self._context, address, until)
        # By default, http.client would reconnect after a loss, without the deadline and the checks above.
        opened.auto_open = 0
        return opened

    def _reach(self, address: Address, until: float) -> socket.socket:
        """Return a socket that is connected to one of the numeric addresses of the host."""
        routed, why = False, "the name is unknown, or there is no route"
        for family, numeric in _resolved(address, until):
            if not self._has_route((str(numeric[0]), int(numeric[1]))):
                continue
            routed = True
            plain = socket.socket(family, socket.SOCK_STREAM)
            try:
                plain.settimeout(_until(until))
                plain.connect(numeric)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                plain.close()
                why = _why_not_connected(error, address)
            else:
                return plain
        raise NoAnswer(ConnectionFault.DOWN if routed else ConnectionFault.OFFLINE, why, address)


def _secured(plain: socket.socket, context: ssl.SSLContext, address: Address, until: float) -> ssl.SSLSocket:
    try:
        plain.settimeout(_until(until))
        # The time-out of the socket holds for the handshake as a whole.
        return context.wrap_socket(plain, server_hostname=address.host)
    except OSError as error:
        plain.close()
        match error:
            case ssl.SSLCertVerificationError():
                raise NoAnswer(ConnectionFault.UNTRUSTED, error.verify_message, address) from error
            case ssl.SSLEOFError():
                # Closed before a certificate was sent: a stopping server or balancer, so no reason for an alarm.
                raise NoAnswer(ConnectionFault.DOWN, "the connection was closed before TLS began", address) from error
            case ssl.SSLError():
                raise NoAnswer(ConnectionFault.NO_TLS, "this is not the TLS of a Sparekey server", address) from error
        raise NoAnswer(ConnectionFault.DOWN, "no answer", address) from error


def _resolved(address: Address, until: float) -> list[tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]]:
    """Return the numeric addresses. The system's resolver has no deadline, so it runs on a thread of its own."""
    found: list[tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]] = []

    def resolve() -> None:
        with contextlib.suppress(OSError):
            for family, _, _, _, numeric in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
                found.append((family, numeric))

    thread = threading.Thread(target=resolve, daemon=True, name="resolver")
    thread.start()
    thread.join(_until(until))
    return list(found)


def _why_not_connected(error: OSError, address: Address) -> str:
    if not isinstance(error, ConnectionRefusedError):
        return error.strerror or str(error)
    if address.port == USUAL_PORT:
        return "nothing answers there"
    return f"nothing answers there (is {address.port} the port of the server? It is usually {USUAL_PORT})"


def _kind_of(error: Exception) -> str:
    """Return words that cannot contain text from the other side."""
    return getattr(error, "strerror", None) or type(error).__name__


def _until(moment: float) -> float:
    return max(moment - clock.monotonic(), _SHORTEST_WAIT)
