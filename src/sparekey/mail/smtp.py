"""Sends mail by SMTP (RFC 5321) over TLS.

Rules:
- The mail server's certificate is verified against its name. Neither password nor mail is sent before TLS is set up.
- Addresses are verified, and `EmailMessage` refuses line breaks in headers, so that no text becomes a header or a
  command.
- Every wait has a time limit.
- An error never repeats the text of the message.
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
_LONGEST_ANSWER: Final = 120  # characters of the server's answer


class Tls(StrEnum):
    """The start of TLS on a connection."""

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
    user: str = ""  # empty: no login
    password: Secret[str] = field(default_factory=lambda: Secret(""))
    wait_seconds: float = WAIT_SECONDS

    def send(self, message: Message) -> None:
        """Return once the server has accepted the message.

        Raises MailError, or ValueError if the message cannot be a valid mail.
        """
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
            # An error from here on is irrelevant: the message was accepted, or its error is being raised.
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
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic replies
        mail.set_content(message.body)
        return mail

    def _connected(self) -> smtplib.SMTP:
        """Return a connection that is ready to send mail."""
        if self.tls is Tls.IMPLICIT:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=self.wait_seconds, context=self._trust()
            )
        else:
            connection = smtplib.SMTP(self.host, self.port, timeout=self.wait_seconds)
        try:
            if self.tls is Tls.STARTTLS:
                connection.starttls(context=self._trust())  # raises if the server does not offer TLS
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
        (code, answer), *_ = error.recipients.values()
        return _refusal(code, answer)
    if isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPDataError):
        return _refusal(error.smtp_code, error.smtp_error)
    return MailError(MailFailure.UNREACHABLE, _why_unreachable(error))


def _refusal(code: int, answer: bytes | str) -> MailError:
    return MailError(_failure_of(code), f"the mail server said {code} {_first_line(answer)}")


def _failure_of(code: int) -> MailFailure:
    # RFC 5321 section 4.2.1: 4yz is temporary, 5yz is permanent. 421 closes the connection for all messages.
    if code == 421:
        return MailFailure.UNREACHABLE
    return MailFailure.REFUSED if code >= 500 else MailFailure.DEFERRED


def _first_line(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    line = text.strip().partition("\n")[0][:_LONGEST_ANSWER]
    return "".join(character if character.isprintable() else "?" for character in line)
