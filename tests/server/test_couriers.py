"""Couriers: each at its own interval, robust against failing steps, and stopped on request."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sparekey.app.audit_log.outbox import KEEP_WITHOUT_SERVER
from sparekey.app.notices import notify_user
from sparekey.clock import monotonic
from sparekey.core.audit_log.notices import Notice
from sparekey.mail.smtp import SmtpMailer
from sparekey.secret import Secret
from sparekey.server.settings import Settings
from sparekey.storage.audit_log import outbox
from sparekey.storage.unit_of_work import Database
from sparekey.syslog.collector import SyslogCollector
from sparekey.wiring.couriers import Courier, CourierStep, MailSteps, collector_of, couriers, mailer_of, stop
from tests.builders import NOW, a_user, an_instance, set_mail
from tests.mail_servers import MemoryMailWorld

_PATIENCE = 20.0


class Steps:
    """A courier that reports the given results in turn, then that nothing is due."""

    def __init__(self, *said: CourierStep | Exception) -> None:
        self.said = list(said)
        self.taken = 0
        self.is_done = threading.Event()

    def __call__(self, _now: int) -> CourierStep:
        self.taken += 1
        if not self.said:
            self.is_done.set()
            return CourierStep.IDLE
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


def started(step: Callable[[int], CourierStep]) -> Courier:
    return Courier("test", step, lambda: NOW).start()


def test_while_there_is_more_a_courier_does_not_pause() -> None:
    steps = Steps(*[CourierStep.MORE] * 200)
    begun = monotonic()
    courier = started(steps)
    assert steps.is_done.wait(_PATIENCE)
    assert monotonic() - begun < _PATIENCE
    stop([courier])
    assert steps.taken >= 201


def test_a_blocked_courier_stops_at_once_on_request() -> None:
    steps = Steps(*[CourierStep.BLOCKED] * 10)
    courier = started(steps)
    begun = monotonic()
    stop([courier])
    assert monotonic() - begun < 4
    assert steps.taken <= 1


def test_a_step_that_fails_is_no_end(capsys: pytest.CaptureFixture[str]) -> None:
    """It is logged by its kind, and tried again after a pause."""
    steps = Steps(RuntimeError("a canary of a word"))
    courier = started(steps)
    assert steps.is_done.wait(_PATIENCE)
    stop([courier])
    said = capsys.readouterr()
    assert "RuntimeError" in said.out + said.err
    assert "canary" not in said.out + said.err


def test_without_a_mail_server_old_notices_are_forgotten_and_none_is_tried(memory_database: Database) -> None:
    instance = an_instance(memory_database)
    user = a_user(instance)
    set_mail(instance, user, "alice@example.org")
    with memory_database.write() as connection:
        notify_user(connection, NOW, user.account_id, Notice.ACCOUNT_LOCKED)
    steps = MailSteps(memory_database, None, ())
    assert steps(NOW) is CourierStep.IDLE
    assert steps(NOW + KEEP_WITHOUT_SERVER + 1) is CourierStep.IDLE
    with memory_database.read() as connection:
        assert outbox.count_waiting(connection).messages == 0


def test_steps_report_their_result(memory_database: Database) -> None:
    instance = an_instance(memory_database)
    user = a_user(instance)
    set_mail(instance, user, "alice@example.org")
    with memory_database.write() as connection:
        notify_user(connection, NOW, user.account_id, Notice.ACCOUNT_LOCKED)
    world = MemoryMailWorld()
    steps = MailSteps(memory_database, world.mailer, ())
    assert steps(NOW) is CourierStep.BLOCKED
    world.start()
    assert steps(NOW + 60) is CourierStep.MORE
    assert steps(NOW + 60) is CourierStep.IDLE
    assert len(world.received) == 1


def test_the_settings_decide_which_couriers_run(memory_database: Database, tmp_path: Path) -> None:
    assert mailer_of(Settings()) is None
    assert collector_of(Settings(), "one") is None
    assert len(couriers(memory_database, Settings(), "one", lambda: NOW)) == 1
    settings = Settings(
        smtp_host="mail.example.org",
        smtp_port=465,
        smtp_tls="implicit",
        smtp_user="relay",
        smtp_password=Secret("x"),
        mail_from="a@example.org",
        syslog="[::1]:6514",
        syslog_ca=str(tmp_path / "ca.pem"),
    )
    assert len(couriers(memory_database, settings, "one", lambda: NOW)) == 2
    mailer, collector = mailer_of(settings), collector_of(settings, "one")
    assert isinstance(mailer, SmtpMailer)
    assert (mailer.host, mailer.port, mailer.tls, mailer.user, mailer.sender) == (
        "mail.example.org",
        465,
        "implicit",
        "relay",
        "a@example.org",
    )
    assert isinstance(collector, SyslogCollector)
    assert (collector.host, collector.port, collector.sender) == ("::1", 6514, "one")
