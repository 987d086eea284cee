"""SMTP as it is spoken: TLS or nothing, a login where one is set, headers, and waits that end."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparekey import clock
from sparekey.app.ports import MailError, MailFailure, Message
from sparekey.keystore import local_ca
from sparekey.keystore.ca_scope import CaScope
from sparekey.mail.smtp import SmtpMailer, Tls
from sparekey.secret import Secret
from tests.mail_servers import PASSWORD, SENDER, USER, SmtpServer

pytestmark = pytest.mark.services
MESSAGE = Message("b" * 32, "alice@example.org", "Hello", "Text\n", 1_800_000_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SmtpServer]:
    """Yield a server with STARTTLS, without a login."""
    server = SmtpServer(tmp_path)
    server.start()
    yield server
    server.stop()


def unreachable(mailer: SmtpMailer, words: str) -> None:
    with pytest.raises(MailError, match=words) as refused:
        mailer.send(MESSAGE)
    assert refused.value.failure is MailFailure.UNREACHABLE


@pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning")  # aiosmtpd does not see TLS from the start
@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
def test_the_mailer_logs_in_under_tls(tmp_path: Path, tls: Tls) -> None:
    server = SmtpServer(tmp_path, tls=tls, login=True)
    server.start()
    try:
        server.mailer.send(MESSAGE)
        (mail,) = server.received
        assert (mail.was_tls, mail.user) == (True, USER)
        wrong = replace(server.mailer, password=Secret("not " + PASSWORD))
        with pytest.raises(MailError, match="user and password") as refused:
            wrong.send(MESSAGE)
        assert PASSWORD not in f"{refused.value} {wrong!r}"
    finally:
        server.stop()


def test_headers_name_sender_and_date_and_forbid_automatic_replies(server: SmtpServer) -> None:
    server.mailer.send(MESSAGE)
    (mail,) = server.received
    headers = {name: str(mail.mail[name]) for name in ("From", "To", "Date", "Message-ID", "Auto-Submitted")}
    assert headers == {
        "From": SENDER,
        "To": "alice@example.org",
        "Date": "Fri, 15 Jan 2027 08:00:00 +0000",
        "Message-ID": f"<{'b' * 32}@example.org>",
        "Auto-Submitted": "auto-generated",
    }
    assert mail.sender == SENDER
    assert mail.was_tls


def test_a_server_of_another_ca_or_name_gets_nothing(server: SmtpServer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    local_ca.create_ca(other, "other", clock.now(), CaScope.around(()))
    unreachable(replace(server.mailer, ca_file=str(other / local_ca.CA_FILE)), "certificate is not valid")
    unreachable(replace(server.mailer, ca_file=""), "certificate is not valid")
    unreachable(replace(server.mailer, host="127.0.0.2"), "no mail server answers")
    assert server.received == []


def test_a_server_without_starttls_gets_nothing(tmp_path: Path) -> None:
    server = SmtpServer(tmp_path, tls=Tls.OFF)
    server.start()
    try:
        unreachable(replace(server.mailer, tls=Tls.STARTTLS), "offers no STARTTLS")
        unreachable(replace(server.mailer, tls=Tls.IMPLICIT), "no mail server answers")
        assert server.received == []
    finally:
        server.stop()


def test_a_silent_server_times_out(server: SmtpServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        unreachable(replace(server.mailer, port=port, wait_seconds=0.2), "no mail server answers")


def test_a_server_that_goes_after_it_took_the_message_has_it(server: SmtpServer) -> None:
    """An error after the server's "yes" does not count: otherwise the message would be sent twice."""
    answers = [b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 taken\r\n"]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                for answer in answers:
                    connection.sendall(answer)
                    if answer.startswith(b"354"):
                        while lines.readline() != b".\r\n":
                            pass
                    elif answer != answers[-1]:
                        lines.readline()

        thread = threading.Thread(target=serve)
        thread.start()
        replace(server.mailer, port=listener.getsockname()[1], tls=Tls.OFF).send(MESSAGE)
        thread.join()
