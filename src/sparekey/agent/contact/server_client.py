"""The agent API over HTTPS, with TLS that trusts only the CA of the enrolment.

- "Not reached" has several distinct reasons: no route, no name, no answer in time, an answer of another machine, a 5xx.
  Any other answer without success is a refusal by the server.
- A request carries the device's signature over its head, with length and hash of the body. A wrong clock costs one
  more round: the server sends its time, and the request is signed again.
"""

import contextlib
import ssl
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from sparekey import https_client
from sparekey.agent.ground.ports import Distance, NotReached, Refused
from sparekey.agent.platform.posix import has_route
from sparekey.https_client import Address, ConnectionFault, NoAnswer, TransferLimits
from sparekey.wire import agent_api as api
from sparekey.wire import signing
from sparekey.wire.messages import BadMessage, decode, encode

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

M = TypeVar("M")

LARGEST_REPLY: Final = 8 << 20
DEFAULT_PATIENCE: Final = 3.0
STALE: Final = "stale-time"
_DISTANCES: Final = {
    ConnectionFault.UNTRUSTED: Distance.TLS,
    ConnectionFault.NO_TLS: Distance.TLS,
    ConnectionFault.DOWN: Distance.SERVER_DOWN,
    ConnectionFault.OFFLINE: Distance.OFFLINE,
}


class BadAddress(ValueError):
    """A server address that is not https://host:port."""


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
    """Return a TLS context without verification, for the one request before there is trust.

    Safe because its reply is compared with the pin in the enrolment code.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class ServerConnection:
    """One HTTPS connection to the first address that accepts it. All calls share one deadline."""

    def __init__(self, addresses: list[Address], context: ssl.SSLContext) -> None:
        limits = TransferLimits(wait=DEFAULT_PATIENCE, reply=LARGEST_REPLY)
        self._https: Final = https_client.HttpsConnection(addresses, context, limits, has_route)
        self.allow(DEFAULT_PATIENCE)

    def allow(self, seconds: float) -> None:
        """Limit the time of all calls from here on, in seconds."""
        self._https.allow(seconds)

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body. Raises NotReached."""
        try:
            # A sign-in is never sent twice.
            status, content = self._https.request(method, path, body, headers, may_repeat=path != api.SIGN_INS)
        except NoAnswer as error:
            raise NotReached(_DISTANCES[error.fault], _why(error)) from error
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            raise NotReached(Distance.SERVER_DOWN, f"the server did not answer (status {status})")
        return status, content

    def close(self) -> None:
        self._https.close()


def _why(error: NoAnswer) -> str:
    if error.address is None:
        return error.why
    if error.fault is ConnectionFault.UNTRUSTED:
        return f"{error.address.url} is not the enrolled server: {error.why}"
    return f"{error.address.url}: {error.why}"


class ServerClient:
    """The `ports.AgentApi` of one enrolled device, with signed requests."""

    def __init__(
        self, connection: ServerConnection, device: str, sign: Callable[[bytes], bytes], now: Callable[[], int]
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

    def _post(self, path: str, message: "DataclassInstance") -> bytes:
        body = encode(message)
        try:
            return self._signed(path, body, self._now())
        except Refused as refused:
            if refused.reply.error != STALE or not refused.reply.server_time:
                raise
            return self._signed(path, body, refused.reply.server_time)

    def _signed(self, path: str, body: bytes, at: int) -> bytes:
        at, head = max(at, 0), signing.BodyHead.of(body)
        signature = self._sign(signing.request_bytes("POST", path, self._device, at, head))
        headers = {
            "Content-Type": "application/json",
            signing.DEVICE_HEADER: self._device,
            signing.TIME_HEADER: str(at),
            signing.BODY_HEADER: head.to_header(),
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
        message = f"the answer (status {status}) is not one of this API"
        refusal = api.ErrorReply(error="bad-answer", message=message, do="check the address of the server")
        raise Refused(refusal) from None


@contextlib.contextmanager
def open_connection(
    servers: list[str],
    ca_certificate: bytes,
    device: str,
    sign: Callable[[bytes], bytes],
    now: Callable[[], int],
) -> Iterator[ServerClient]:
    """Open a client with one connection, and close the connection at the end."""
    connection = ServerConnection([read_address(server) for server in servers], trusting(ca_certificate))
    try:
        yield ServerClient(connection, device, sign, now)
    finally:
        connection.close()
