"""A real server with two processes: its mail server and its collector are dead at first, and come back."""

from pathlib import Path

import pytest

from sparekey.app.audit_log.forwarding import next_events
from sparekey.app.people.users import unlock
from sparekey.app.sessions.clients import add_client
from sparekey.clock import now as clock_now
from sparekey.server.settings import read_settings
from sparekey.storage.audit_log import outbox
from sparekey.wiring.server import open_instance
from tests.builders import ROOT, a_user, set_mail
from tests.mail_servers import SENDER, SmtpServer
from tests.server.serving import a_data_directory, serving, wait_until
from tools.rsyslog import Rsyslog

pytestmark = [pytest.mark.services, pytest.mark.real_argon2]


def test_s42_a_locked_user_gets_the_notice_once_the_mail_server_is_back(tmp_path: Path, database_url: str) -> None:
    data = a_data_directory(tmp_path, database_url if database_url.startswith("postgresql") else "")
    mail, collector = SmtpServer(tmp_path), Rsyslog(tmp_path)
    instance = open_instance(data, read_settings(data, {}))
    alice = a_user(instance, "alice", now=clock_now())
    set_mail(instance, alice, "alice@example.org")
    key = add_client(instance, ROOT, "web", now=clock_now())
    variables = {
        "SPAREKEY_WORKERS": "2",
        "SPAREKEY_SMTP_HOST": "127.0.0.1",
        "SPAREKEY_SMTP_PORT": str(mail.port),
        "SPAREKEY_SMTP_CA": str(mail.ca_file),
        "SPAREKEY_MAIL_FROM": SENDER,
        "SPAREKEY_SYSLOG": f"127.0.0.1:{collector.port}",
        "SPAREKEY_SYSLOG_CA": str(collector.ca_file),
    }
    try:
        with serving(data, variables=variables) as served:
            for _ in range(5):
                served.sign_in(key, "alice", alice.wrong(clock_now()).reveal())
            wait_until(lambda: "no mail server takes the notices" in served.log.read_text(), served)
            wait_until(lambda: "the collector does not take the events" in served.log.read_text(), served)
            mail.start()
            collector.start()
            wait_until(lambda: mail.received, served)
            unlock(instance, ROOT, "alice", now=clock_now())
            wait_until(lambda: len(mail.received) == 2, served)
            wait_until(lambda: "account.unlocked" in {each["msgid"] for each in collector.messages()}, served)
            assert served.stop() == 0
        told, unlocked = mail.received
        assert unlocked.subject == "Your account was unlocked"
        assert (told.recipients, told.subject) == (["alice@example.org"], "Your account is locked")
        assert told.was_tls
        with instance.database.read() as connection:
            assert outbox.count_waiting(connection).messages == 0
        forwarded = [each["msg"] for each in collector.messages()]
        assert [each["id"] for each in forwarded] == list(range(1, len(forwarded) + 1))
        assert forwarded[: len(first := next_events(instance, ROOT))] == first
    finally:
        mail.stop()
        collector.stop()
        instance.database.close()
