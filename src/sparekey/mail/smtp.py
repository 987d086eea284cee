"""Sends mail by SMTP (RFC 5321) over TLS.

Rules: the mail server's certificate is verified against its name, and nothing is sent, password or mail, before TLS
stands; an address is one of ours or the message does not leave, and headers are made by `EmailMessage`, which refuses a
line break, so that no text becomes a header or a command; every wait has an end; an error never repeats what the
message says.
"""

import contextlib
import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from typing import Final

from sparekey.app.ports import MailError, MailFailure, Message
from sparekey.core.names import is_mail_address
from sparekey.secret import Secret

WAIT_SECONDS: Final = 10.0  # for each answer
_LONGEST_ANSWER: Final = 120  # characters of what the server said


class Tls(StrEnum):
    """When TLS begins."""

    STARTTLS = "starttls"  # RFC 3207, usually port 587
    IMPLICIT = "implicit"  # RFC 8314 section 3.3, usually port 465
    OFF = "off"  # a mail server on this machine


@dataclass(frozen=True)
class SmtpMailer:
    """A `Mailer` over one mail server. Each message has a connection of its own; safe to share between threads."""

    host: str
    port: int
    sender: str
    tls: Tls = Tls.STARTTLS
    ca_file: str = ""  # PEM; empty: the CAs that this machine trusts
    user: str = ""  # empty: without logging in
    password: Secret[str] = field(default_factory=lambda: Secret(""))
    wait_seconds: float = WAIT_SECONDS

    def send(self, message: Message) -> None:
        """Returns once the server has taken the message. Raises MailError, or ValueError for what can be no mail."""
        mail = self._mail(message)
        try:
            connection = self._connected()
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise MailError(MailFailure.UNREACHABLE, _why_unreachable(error)) from error
        try:
            connection.send_message(mail, self.sender, [message.recipient])
        except (smtplib.SMTPException, OSError) as error:
            raise _why_not_taken(error) from error
        finally:
            # Whatever happens from here on: the message was taken, or its error is on its way.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()

    def _mail(self, message: Message) -> EmailMessage:
        if not is_mail_address(message.recipient):
            raise ValueError("this is no address that mail can be sent to")
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self.sender
        mail["To"] = message.recipient
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(datetime.fromtimestamp(message.created_at, UTC))
        mail["Message-ID"] = f"<{message.id}@{self.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody is to answer that they are on holiday
        mail.set_content(message.body)
        return mail

    def _connected(self) -> smtplib.SMTP:
        """A connection on which mail may be sent."""
        if self.tls is Tls.IMPLICIT:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=self.wait_seconds, context=self._trust()
            )
        else:
            connection = smtplib.SMTP(self.host, self.port, timeout=self.wait_seconds)
        try:
            if self.tls is Tls.STARTTLS:
                connection.starttls(context=self._trust())  # raises where the server offers none
            if self.user:
                connection.login(self.user, self.password.reveal())
        except BaseException:
            connection.close()
            raise
        return connection

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file or None)


def _why_unreachable(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the mail server's certificate is not valid: {error.verify_message}"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the mail server does not accept user and password ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "the mail server offers no STARTTLS, or no way to log in"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the mail server said {error.smtp_code} {_first_line(error.smtp_error)}"
    return f"no mail server answers ({type(error).__name__})"


def _why_not_taken(error: Exception) -> MailError:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        (code, said), *_ = error.recipients.values()
        return _refusal(code, said)
    if isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPDataError):
        return _refusal(error.smtp_code, error.smtp_error)
    return MailError(MailFailure.UNREACHABLE, _why_unreachable(error))


def _refusal(code: int, said: bytes | str) -> MailError:
    return MailError(_failure_of(code), f"the mail server said {code} {_first_line(said)}")


def _failure_of(code: int) -> MailFailure:
    # RFC 5321 section 4.2.1: 4yz may be different later, 5yz will not. 421 ends the connection for every message.
    if code == 421:
        return MailFailure.UNREACHABLE
    return MailFailure.REFUSED if code >= 500 else MailFailure.DEFERRED


def _first_line(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    line = text.strip().partition("\n")[0][:_LONGEST_ANSWER]
    return "".join(each if each.isprintable() else "?" for each in line)
