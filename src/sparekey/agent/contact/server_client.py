"""The agent API over HTTPS: `http.client`, and TLS that trusts only the CA of the enrolment.

- The first address that accepts a connection serves the whole conversation, over one connection.
- "Not reached" has several reasons that are told apart: no route or no name, no answer in time, an answer of another
  machine, a 5xx. Any other answer without success is a refusal by the server.
- A request carries the device's signature over all of it. A wrong clock costs one more round: the server sends its
  time, and the request is signed again.
"""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urlsplit

from sparekey import clock
from sparekey.agent.ground.ports import Distance, NotReached, Refused
from sparekey.agent.platform.posix import has_route
from sparekey.wire import agent_api as api
from sparekey.wire import signing
from sparekey.wire.messages import BadMessage, decode, encode

M = TypeVar("M")

LARGEST_REPLY: Final = 8 << 20
DEFAULT_PATIENCE: Final = 3.0
USUAL_PORT: Final = 8443  # of a server with the usual settings
STALE: Final = "stale-time"


class BadAddress(ValueError):
    """A server address that is not https://host:port."""


@dataclass(frozen=True)
class Address:
    """The address of one instance of the server."""

    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


def read_address(url: str) -> Address:
    """Return the address in https://host[:port]. Raises BadAddress."""
    try:
        parts = urlsplit(url if "//" in url else f"https://{url}")
        port = parts.port or 443
    except ValueError as error:
        raise BadAddress(f"{url!r} is not an address. Write https://HOST:PORT") from error
    if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.username:
        raise BadAddress(f"{url!r} is not the address of a server. Write https://HOST:PORT")
    return Address(parts.hostname, port)


def trusting(ca_certificate: bytes) -> ssl.SSLContext:
    """Return a TLS context that accepts this CA (DER) and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca_certificate)
    return context


def trusting_nobody_yet() -> ssl.SSLContext:
    """Return a TLS context without verification, for the one request before there is trust. Safe because its reply is
    compared with the pin in the enrolment code."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Broken(Exception):
    """The connection broke in the middle of an exchange."""


class Connection:
    """One HTTPS connection to the first address that accepts it. All calls share one deadline."""

    def __init__(self, addresses: list[Address], context: ssl.SSLContext) -> None:
        self._addresses = addresses
        self._context = context
        self._deadline = clock.monotonic() + DEFAULT_PATIENCE
        self._http: http.client.HTTPConnection | None = None

    def allow(self, seconds: float) -> None:
        """Limit the time of all calls from here on, in seconds."""
        self._deadline = clock.monotonic() + seconds

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body. Raises NotReached."""
        reused = self._http is not None
        try:
            status, content = self._exchange(method, path, body, headers)
        except _Broken as error:
            # The server may have closed an idle connection. A sign-in is never sent twice.
            if not reused or path == api.SIGN_INS:
                raise NotReached(Distance.SERVER_DOWN, f"no answer: {error}") from error
            try:
                status, content = self._exchange(method, path, body, headers)
            except _Broken as again:
                raise NotReached(Distance.SERVER_DOWN, f"no answer: {again}") from again
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            raise NotReached(Distance.SERVER_DOWN, f"the server did not answer (status {status})")
        return status, content

    def _exchange(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        self._http = self._http or self._connect()
        secure = self._http.sock
        try:
            secure.settimeout(self._left())
            self._http.request(method, path, body or None, headers)
            secure.settimeout(self._left())
            with self._http.getresponse() as reply:
                content = self._read(secure, reply)
        except TimeoutError as error:
            self.close()
            raise NotReached(Distance.SERVER_DOWN, "no answer in time") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _Broken(str(error)) from error
        if reply.will_close:
            self.close()
        return reply.status, content

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def _connect(self) -> http.client.HTTPConnection:
        """Connect, or raise the failure that says most: a wrong certificate, then a server that is down, then no
        route."""
        failures = []
        for number, address in enumerate(self._addresses):
            share = self._left() / (len(self._addresses) - number)
            try:
                return _open(address, self._context, share)
            except NotReached as error:
                failures.append(error)
        order = [Distance.TLS, Distance.SERVER_DOWN, Distance.OFFLINE]
        raise min(failures, key=lambda failure: order.index(failure.distance))

    def _left(self) -> float:
        left = self._deadline - clock.monotonic()
        if left <= 0:
            raise NotReached(Distance.SERVER_DOWN, "no answer in time")
        return left

    def _read(self, connection: socket.socket, reply: http.client.HTTPResponse) -> bytes:
        """Return the body. The deadline holds for all of it, however slowly it arrives."""
        parts, size = [], 0
        while chunk := reply.read1(65536):
            parts.append(chunk)
            size += len(chunk)
            if size > LARGEST_REPLY:
                raise http.client.HTTPException("the answer is too long")
            if reply.isclosed():
                break  # the body is complete, and the socket may be gone already (`Connection: close`)
            connection.settimeout(self._left())
        return b"".join(parts)


def _open(address: Address, context: ssl.SSLContext, patience: float) -> http.client.HTTPConnection:
    until = clock.monotonic() + patience
    plain = _connected(address, until)
    try:
        plain.settimeout(max(until - clock.monotonic(), 0.01))
        # The handshake takes at most this timeout in all.
        secure = context.wrap_socket(plain, server_hostname=address.host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise NotReached(Distance.TLS, f"{address.url} is not the enrolled server: {error.verify_message}") from error
    except ssl.SSLEOFError as error:
        # It hung up before its certificate: a server or balancer that is stopping, so no reason for an alarm.
        plain.close()
        raise NotReached(Distance.SERVER_DOWN, f"{address.url} hung up") from error
    except ssl.SSLError as error:
        plain.close()
        raise NotReached(Distance.TLS, f"{address.url} does not speak TLS like the server") from error
    except OSError as error:
        plain.close()
        raise NotReached(Distance.SERVER_DOWN, f"{address.url} does not answer") from error
    connection = http.client.HTTPConnection(address.host, address.port)
    connection.sock = secure
    # By default, http.client would reconnect after a loss, without TLS.
    connection.auto_open = 0
    return connection


def _connected(address: Address, until: float) -> socket.socket:
    routed = False
    why = "the name is unknown, or there is no route"
    for family, numeric in _resolved(address, until):
        if not has_route(numeric):
            continue
        routed = True
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(max(until - clock.monotonic(), 0.01))
            plain.connect(numeric)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except ConnectionRefusedError:
            plain.close()
            why = "nothing answers there"
            if address.port != USUAL_PORT:
                why += f" (is {address.port} the port of the server? It is usually {USUAL_PORT})"
        except OSError as error:
            plain.close()
            why = error.strerror or str(error)
        else:
            return plain
    raise NotReached(Distance.SERVER_DOWN if routed else Distance.OFFLINE, f"{address.url}: {why}")


def _resolved(address: Address, until: float) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    """Return the numeric addresses. The system's resolver has no deadline, so it runs on a thread of its own."""
    found: list[tuple[socket.AddressFamily, tuple[str, int]]] = []

    def resolve() -> None:
        with contextlib.suppress(OSError):
            for family, _, _, _, numeric in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
                found.append((family, (str(numeric[0]), int(numeric[1]))))

    thread = threading.Thread(target=resolve, daemon=True, name="resolver")
    thread.start()
    thread.join(max(until - clock.monotonic(), 0.01))
    return list(found)


class ServerClient:
    """The `ports.Server` of one enrolled device, with signed requests."""

    def __init__(
        self, connection: Connection, device: str, sign: Callable[[bytes], bytes], now: Callable[[], int]
    ) -> None:
        self._connection = connection
        self._device = device
        self._sign = sign
        self._now = now

    def allow(self, seconds: float) -> None:
        self._connection.allow(seconds)

    def events(self, request: api.EventsRequest) -> api.EventsReply:
        return decode(api.EventsReply, self._post(api.EVENTS, request))

    def sign_in(self, request: api.SignInRequest) -> api.SignInReply:
        return decode(api.SignInReply, self._post(api.SIGN_INS, request))

    def sync(self, request: api.SyncRequest) -> api.SyncReply:
        return decode(api.SyncReply, self._post(api.SYNC, request))

    def unit(self, request: api.UnitRequest) -> bytes:
        return self._post(api.UNITS, request)

    def acknowledge(self, request: api.AcknowledgementRequest) -> api.AcknowledgementReply:
        return decode(api.AcknowledgementReply, self._post(api.ACKNOWLEDGEMENTS, request))

    def _post(self, path: str, message: object) -> bytes:
        body = encode(message)
        try:
            return self._signed(path, body, self._now())
        except Refused as refused:
            if refused.reply.error != STALE or not refused.reply.server_time:
                raise
            return self._signed(path, body, refused.reply.server_time)

    def _signed(self, path: str, body: bytes, at: int) -> bytes:
        at = max(at, 0)
        signature = self._sign(signing.request_bytes("POST", path, self._device, at, body))
        headers = {
            "Content-Type": "application/json",
            signing.DEVICE_HEADER: self._device,
            signing.TIME_HEADER: str(at),
            signing.SIGNATURE_HEADER: signing.to_header(signature),
        }
        return accepted(*self._connection.request("POST", path, body, headers))


def accepted(status: int, content: bytes) -> bytes:
    """Return the body of a success. Raises Refused with the server's error."""
    if status == 200:
        return content
    try:
        raise Refused(decode(api.ErrorReply, content))
    except BadMessage:
        words = f"the answer (status {status}) is not one of this API"
        raise Refused(api.ErrorReply("bad-answer", words, "check the address of the server")) from None


@contextlib.contextmanager
def conversation(
    servers: list[str],
    ca_certificate: bytes,
    device: str,
    sign: Callable[[bytes], bytes],
    now: Callable[[], int],
) -> Iterator[ServerClient]:
    """Open a client for one conversation, and close its connection at the end."""
    connection = Connection([read_address(server) for server in servers], trusting(ca_certificate))
    try:
        yield ServerClient(connection, device, sign, now)
    finally:
        connection.close()
