"""A real SMTP server on loopback that keeps what it takes, and a fake of the port beside it.

Rules: the code that starts it stops it; its certificate comes from a CA of this test.
"""

import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Protocol

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sparekey import clock
from sparekey.app.ports import Mailer, MailError, MailFailure, Message
from sparekey.core.names import is_mail_address
from sparekey.keystore import local_ca
from sparekey.keystore.ca_scope import CaScope
from sparekey.mail.smtp import SmtpMailer, Tls
from sparekey.secret import Secret

SENDER = "sparekey@example.org"
USER, PASSWORD = "relay", "a canary of a password"
PATIENCE = 5.0


@dataclass(frozen=True)
class Received:
    """One mail as it came in."""

    sender: str
    recipients: list[str]
    mail: EmailMessage
    was_tls: bool
    user: str

    @property
    def subject(self) -> str:
        return str(self.mail["Subject"])

    @property
    def text(self) -> str:
        return str(self.mail.get_content()).replace("\r\n", "\n")


class MailWorld(Protocol):
    """A mail server as tests see it, real or not."""

    @property
    def mailer(self) -> Mailer:
        """Sends to it."""
        ...

    @property
    def received(self) -> list[Received]:
        """Return the messages that the server took."""
        ...

    def answer(self, recipient: str, reply: str) -> None:
        """Answer this for the recipient from now on; empty: accept."""

    def stop(self) -> None:
        """Stop answering."""

    def start(self) -> None:
        """Answer again."""


@dataclass
class _Handler:
    """Called by aiosmtpd for each step of a session."""

    received: list[Received] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        reply = self.answers.get(address, "")
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- see above
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=default)
        assert isinstance(mail, EmailMessage)
        assert server.transport is not None
        was_tls = session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None
        user = getattr(session.auth_data, "login", b"").decode()
        self.received.append(Received(envelope.mail_from or "", [*envelope.rcpt_tos], mail, was_tls, user))
        return "250 taken"


class SmtpServer:
    """A `MailWorld` over aiosmtpd. Not started yet."""

    def __init__(self, directory: Path, *, tls: Tls = Tls.STARTTLS, login: bool = False) -> None:
        self.tls = tls
        self._login = login
        self._handler = _Handler()
        self.port = _free_port()
        self._keys = directory / "mail-keys"
        self._keys.mkdir(mode=0o700)
        local_ca.create_ca(self._keys, "mail", clock.now(), CaScope.around(()))
        local_ca.renew_server_certificate(self._keys, ["localhost", "127.0.0.1"], clock.now())
        self._controller: Controller | None = None

    @property
    def received(self) -> list[Received]:
        return self._handler.received

    @property
    def ca_file(self) -> Path:
        return self._keys / local_ca.CA_FILE

    @property
    def mailer(self) -> SmtpMailer:
        """Return a mailer that reaches this server."""
        user, password = (USER, PASSWORD) if self._login else ("", "")
        ca = str(self.ca_file)
        return SmtpMailer("127.0.0.1", self.port, SENDER, self.tls, ca, user, Secret(password), PATIENCE)

    def answer(self, recipient: str, reply: str) -> None:
        self._handler.answers[recipient] = reply

    def start(self) -> None:
        options: dict[str, Any] = {}
        if self.tls is not Tls.OFF:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._keys / local_ca.SERVER_FILE)
            options["tls_context" if self.tls is Tls.STARTTLS else "ssl_context"] = context
        if self.tls is Tls.STARTTLS:
            options["require_starttls"] = True
        if self._login:
            options |= {"authenticator": _authenticate, "auth_required": True}
            options["auth_require_tls"] = self.tls is Tls.STARTTLS  # it does not count TLS from the start as TLS
        self._controller = Controller(self._handler, "127.0.0.1", self.port, **options)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, auth_data=data, handled=is_right)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class MemoryMailWorld:
    """A `MailWorld` without a server, and its mailer: for tests in which SMTP is not the point."""

    taken: list[Received] = field(default_factory=list)
    is_up: bool = False
    answers: dict[str, str] = field(default_factory=dict)
    tried: list[str] = field(default_factory=list)  # ids, in order
    while_sending: Callable[[Message], None] = lambda _: None

    @property
    def mailer(self) -> Mailer:
        return self

    @property
    def received(self) -> list[Received]:
        return self.taken

    def send(self, message: Message) -> None:
        if not is_mail_address(message.recipient):
            raise ValueError("no address")
        mail = EmailMessage()
        mail["To"], mail["Subject"], mail["Message-ID"] = message.recipient, message.subject, f"<{message.id}@x>"
        mail.set_content(message.body)
        self.tried.append(message.id)
        self.while_sending(message)
        if not self.is_up:
            raise MailError(MailFailure.UNREACHABLE, "no mail server answers")
        reply = self.answers.get(message.recipient, "")
        if reply:
            raise MailError(MailFailure.REFUSED if reply[0] == "5" else MailFailure.DEFERRED, f"it said {reply}")
        self.received.append(Received(SENDER, [message.recipient], mail, was_tls=False, user=""))

    def answer(self, recipient: str, reply: str) -> None:
        self.answers[recipient] = reply

    def stop(self) -> None:
        self.is_up = False

    def start(self) -> None:
        self.is_up = True


def is_answering(port: int) -> bool:
    """Return True if an SMTP server greets on this port."""
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE):
            return True
    except OSError:
        return False
