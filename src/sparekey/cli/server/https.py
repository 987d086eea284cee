"""Calls the REST API of a server over HTTPS: one connection; each answer is a JSON object or empty.

Rules: the certificate is always verified, against the given CA or the CAs of this computer. HTTP without TLS is allowed
only to this computer. Redirects are not followed.
"""

import ipaddress
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit

from sparekey import https_client
from sparekey.core.errors import BadInput, SparekeyError
from sparekey.https_client import Address, ConnectionFault, NoAnswer, TransferLimits
from sparekey.json_value import Json
from sparekey.secret import Secret
from sparekey.wire.messages import BadMessage, parse

PATIENCE: Final = 120  # seconds for an answer: a report or an import takes its time
_LARGEST_REPLY: Final = 256 << 20


class Unreachable(SparekeyError):
    """The server did not answer, or not as a Sparekey server."""

    error = "unreachable"


class RemoteConnection:
    """A connection to one server. Not thread-safe."""

    def __init__(self, url: str, ca: bytes | None) -> None:
        """Prepare a connection. `ca`: the trusted CA as PEM; None: the CAs of this computer. Raises BadInput."""
        parts = _address_of(url)
        self.url: Final = url
        secure = parts.scheme == "https"
        address = Address(str(parts.hostname), parts.port or (443 if secure else 80))
        limits = TransferLimits(wait=PATIENCE, reply=_LARGEST_REPLY)
        self._https: Final = https_client.HttpsConnection([address], _trusting(ca) if secure else None, limits)

    def ask(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, object] | None = None,
        token: Secret[str] | None = None,
    ) -> tuple[int, dict[str, Json] | None]:
        """Send a request; return the status and the JSON object (None: no content). Raises Unreachable."""
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        content = b""
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, separators=(",", ":")).encode()
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            status, text = self._https.request(method, target, content, headers, may_repeat=False)
        except NoAnswer as error:
            raise self._unreachable(error) from error
        return status, self._object_of(text)

    def _unreachable(self, error: NoAnswer) -> Unreachable:
        if error.fault is ConnectionFault.UNTRUSTED:
            return Unreachable(
                f"the certificate of {self.url} is not trusted: {error.why}",
                "pass its CA with --ca FILE, a copy of DIR/keys/ca.pem on the server",
            )
        return Unreachable(f"{self.url} does not answer: {error.why}", "check the address and the server")

    def close(self) -> None:
        self._https.close()

    def _object_of(self, text: bytes) -> dict[str, Json] | None:
        if not text:
            return None
        try:
            value = parse(text)
        except BadMessage:
            value = None
        if not isinstance(value, dict):
            raise Unreachable(f"the server at {self.url} is not a Sparekey server", "check the address")
        return value


def _address_of(url: str) -> SplitResult:
    do = "write https://HOST:PORT"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BadInput(f"{url!r} is not the address of a server", do) from error
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise BadInput(f"{url!r} is not the address of a server", do)
    if parts.username or parts.password or not url.isprintable():
        raise BadInput("the address of a server must not contain a user name", do)
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise BadInput("http:// is allowed only for a server on this computer", do)
    return parts


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _trusting(ca: bytes | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=ca.decode("ascii", "replace") if ca is not None else None)
    except (ssl.SSLError, ValueError) as error:
        raise BadInput("the CA file has no certificate", "pass a copy of DIR/keys/ca.pem") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context
