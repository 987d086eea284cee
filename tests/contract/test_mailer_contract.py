"""The contract of every mailer; SMTP against a real server, with each kind of TLS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sparekey.app.ports import MailError, MailFailure, Message
from sparekey.mail.smtp import Tls
from tests.mail_servers import MailWorld, MemoryMailWorld, SmtpServer

SERVICES = pytest.mark.services
NOW = 1_800_000_000


@pytest.fixture(params=["memory", *(pytest.param(tls, marks=SERVICES) for tls in Tls)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MailWorld]:
    """A mail server that is up."""
    made: MailWorld = MemoryMailWorld() if request.param == "memory" else SmtpServer(tmp_path, tls=request.param)
    made.start()
    yield made
    made.stop()


def a_message(recipient: str = "alice@example.org", subject: str = "Hello", body: str = "One line\n") -> Message:
    return Message("a" * 32, recipient, subject, body, NOW)


def test_a_message_arrives_as_it_was_written(world: MailWorld) -> None:
    body = "Gr\u00fc\u00dfe aus der Zentrale\n.\n.a dot at the start\n\n" + "x" * 2_000 + "\n"
    world.mailer.send(a_message(subject="\u00c4 notice", body=body))
    (mail,) = world.received
    assert (mail.recipients, mail.subject, mail.text) == (["alice@example.org"], "\u00c4 notice", body)
    assert mail.mail["Message-ID"].startswith(f"<{'a' * 32}@")


def test_an_unreachable_mail_server_is_reported_and_works_later(world: MailWorld) -> None:
    world.stop()
    with pytest.raises(MailError) as refused:
        world.mailer.send(a_message())
    assert refused.value.failure is MailFailure.UNREACHABLE
    world.start()
    world.mailer.send(a_message())
    assert len(world.received) == 1


@pytest.mark.parametrize(
    ("reply", "failure"),
    [("550 no such user", MailFailure.REFUSED), ("451 come back later", MailFailure.DEFERRED)],
)
def test_a_refused_recipient_differs_from_an_unreachable_server(
    world: MailWorld, reply: str, failure: MailFailure
) -> None:
    world.answer("nobody@example.org", reply)
    with pytest.raises(MailError, match=reply) as refused:
        world.mailer.send(a_message("nobody@example.org"))
    assert refused.value.failure is failure
    world.mailer.send(a_message("somebody@example.org"))
    assert [mail.recipients for mail in world.received] == [["somebody@example.org"]]


@pytest.mark.parametrize(
    ("recipient", "subject"),
    [
        ("alice@example.org\r\nBcc: eve@example.org", "Hello"),
        ("alice@example.org>\r\nRCPT TO:<eve@example.org", "Hello"),
        ("alice@example.org, eve@example.org", "Hello"),
        ("", "Hello"),
        ("alice@example.org", "Hello\r\nBcc: eve@example.org"),
        ("alice@example.org", "Hello\nBcc: eve@example.org"),
        ("alice@example.org", "Hello\r\n\r\nanother body"),
    ],
)
def test_s65_no_text_becomes_a_header_or_a_command(world: MailWorld, recipient: str, subject: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- each mailer has its own words for it
        world.mailer.send(a_message(recipient, subject))
    assert world.received == []


def test_a_body_cannot_end_the_message(world: MailWorld) -> None:
    body = "before\n.\nMAIL FROM:<eve@example.org>\nRCPT TO:<eve@example.org>\nafter\n"
    world.mailer.send(a_message(body=body))
    (mail,) = world.received
    assert mail.text == body
