"""The simulated server behind real HTTPS on loopback with its own CA, for `ServerClient`."""

import contextlib
import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sparekey import clock
from sparekey.agent.ground.ports import NotReached, Refused
from sparekey.wire import agent_api as api
from sparekey.wire import signing
from sparekey.wire.enrolment import EnrolmentCode, new_enrolment_code, proof_message
from sparekey.wire.messages import decode, encode
from tests.agent.simulator import DEVICE, SimulatedServer

ERRORS = {"stale-time": 401, "stale": 409}


@dataclass
class Authority:
    """A CA, and one certificate for 127.0.0.1."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.certificate = self._issue(self.key.public_key(), "test CA", ca=True)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def server_files(self, directory: Path) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(key.public_key(), "127.0.0.1", ca=False)
        directory.mkdir(exist_ok=True)
        (directory / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (directory / "server.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return directory / "server.crt", directory / "server.key"

    def _issue(self, key: ec.EllipticCurvePublicKey, name: str, *, ca: bool) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if ca else self.certificate.subject
        now = datetime.datetime.fromtimestamp(clock.now(), datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not ca,
                    key_cert_sign=ca,
                    crl_sign=ca,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )
        if not ca:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


@dataclass
class Served:
    """A running HTTPS server; `bodies` are all requests as they came."""

    url: str
    simulator: SimulatedServer
    authority: Authority
    public_key: bytes = b""
    code: EnrolmentCode | None = None
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    clock_skew: int = 0
    status: int = 0
    closes: bool = False
    stranger: dict[str, str] = field(default_factory=dict)

    def new_code(self) -> str:
        self.code = new_enrolment_code(self.simulator.signing_key, self.authority.der)
        return self.code.text().reveal()


@contextlib.contextmanager
def served(simulator: SimulatedServer, directory: Path, authority: Authority | None = None) -> Iterator[Served]:
    """Serve until the end of the block. Handlers hold one lock, so that the simulator needs none."""
    authority = authority or Authority()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server_files(directory))
    http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    state = Served(f"https://127.0.0.1:{http.server_address[1]}", simulator, authority)
    http.state = state  # type: ignore[attr-defined] # handlers find it here
    http.lock = threading.Lock()  # type: ignore[attr-defined] # the same
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._state.connections += 1

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()

    @property
    def _state(self) -> Served:
        return self.server.state  # type: ignore[attr-defined,no-any-return] # set by `served`

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        with self.server.lock:  # type: ignore[attr-defined] # set by `served`
            self._state.bodies.append(body)
            try:
                status, content = 200, self._decided(body)
            except Refused as refused:
                status, content = ERRORS.get(refused.reply.error, 403), encode(refused.reply)
            except NotReached:
                status, content = 503, b"down"
            if self._state.status:
                status, content = self._state.status, b"{}"
            if self._state.stranger:
                status, content = 400, json.dumps({"server_time": 0} | self._state.stranger).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if self._state.closes:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _decided(self, body: bytes) -> bytes:
        state, simulator = self._state, self._state.simulator
        if self.path == api.TRUST:
            return encode(
                api.TrustReply(ca_certificate=state.authority.der.hex(), signing_key=simulator.signing_key.hex())
            )
        if self.path == api.ENROL:
            return self._enrol(body)
        self._verify(body)
        calls: dict[str, tuple[type[Any], Any]] = {
            api.EVENTS: (api.EventsRequest, simulator.events),
            api.SIGN_INS: (api.SignInRequest, simulator.sign_in),
            api.SYNC: (api.SyncRequest, simulator.sync),
            api.UNITS: (api.UnitRequest, simulator.unit),
            api.ACKNOWLEDGEMENTS: (api.AcknowledgementRequest, simulator.acknowledge),
        }
        kind, call = calls[self.path]
        reply = call(decode(kind, body))
        return reply if isinstance(reply, bytes) else encode(reply)

    def _enrol(self, body: bytes) -> bytes:
        state = self._state
        request = decode(api.EnrolRequest, body)
        code, state.code = state.code, None
        if code is None or code.secret.reveal().hex() != request.secret:
            raise Refused(
                api.ErrorReply(error="not-allowed", message="this code is not valid (any more)", do="ask for a new one")
            )
        state.public_key = bytes.fromhex(request.public_key)
        message = proof_message(bytes.fromhex(request.secret), state.public_key)
        signing.verify_signature(state.public_key, bytes.fromhex(request.proof), message)
        key = state.simulator.signing_key.hex()
        return encode(
            api.EnrolReply(
                device=DEVICE,
                name=request.name or "laptop",
                signing_keys=[key],
                checkpoint_key="",
                server_time=state.simulator.now,
            )
        )

    def _verify(self, body: bytes) -> None:
        headers, now = self.headers, self._state.simulator.now + self._state.clock_skew
        at = int(headers[signing.TIME_HEADER])
        head = signing.BodyHead.from_header(headers[signing.BODY_HEADER])
        head.verify(body)
        message = signing.request_bytes("POST", self.path, headers[signing.DEVICE_HEADER], at, head)
        signing.verify_signature(
            self._state.public_key, signing.from_header(headers[signing.SIGNATURE_HEADER]), message
        )
        if abs(at - now) > signing.TOLERANCE:
            raise Refused(
                api.ErrorReply(error="stale-time", message="the time is off", do="try again", server_time=now)
            )

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is the base class's
        pass


def json_of(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value
