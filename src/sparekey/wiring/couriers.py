"""Couriers of a server process: they send notices to the mail server, and events to the collector.

Rules: a courier has its own thread and delays no answer, no audit chain and no other courier; an error is logged and
the step is repeated, after longer and longer pauses while the other side does not answer; the work is read from the
database, so that any number of processes can run couriers without any state of their own.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

import structlog

from sparekey.app.audit_log.forwarding import forward_next
from sparekey.app.audit_log.outbox import SendResult, forget_old, send_next
from sparekey.app.ports import CollectorError, EventCollector, Mailer
from sparekey.mail.smtp import SmtpMailer, Tls
from sparekey.server.errors import log_unforeseen
from sparekey.server.settings import Settings
from sparekey.storage.unit_of_work import Database
from sparekey.syslog.collector import SyslogCollector

_IDLE_SECONDS: Final = 1.0
_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 60.0
_STOP_SECONDS: Final = 8.0  # for the current step; a server process has ten seconds to stop
_FORGET_EVERY: Final = 3_600  # seconds
_log: Final = structlog.get_logger()


class CourierStep(StrEnum):
    """The result of a step."""

    MORE = "more"  # there may be more to do at once
    IDLE = "idle"
    BLOCKED = "blocked"  # the other side does not answer


class Courier:
    """A thread that takes one step after the other until it is stopped."""

    def __init__(self, name: str, step: Callable[[int], CourierStep], now: Callable[[], int]) -> None:
        """Prepare the thread. `start` starts it."""
        self._step = step
        self._now = now
        self._end = threading.Event()
        # A daemon thread, so that a process that must end does not wait for a mail server that does not answer.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def end(self) -> None:
        """Stop the thread after its current step, without waiting for it."""
        self._end.set()

    def wait(self, seconds: float) -> None:
        """Wait for the current step. If it takes longer, its claim expires and another process repeats it."""
        self._thread.join(seconds)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._end.is_set():
            progress = self._try()
            if progress is CourierStep.BLOCKED:
                self._end.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            if progress is CourierStep.IDLE:
                self._end.wait(_IDLE_SECONDS)

    def _try(self) -> CourierStep:
        try:
            return self._step(self._now())
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next step tries again
            log_unforeseen(error)
            return CourierStep.BLOCKED


def couriers(database: Database, settings: Settings, sender: str, now: Callable[[], int]) -> Sequence[Courier]:
    """Return the couriers for these settings, not started. `sender`: this server's name in messages to a collector."""
    found = [Courier("mail", MailSteps(database, mailer_of(settings), settings.alarm_mail), now)]
    collector = collector_of(settings, sender)
    if collector is not None:
        found.append(Courier("syslog", SyslogSteps(database, collector), now))
    return found


def stop(running: Sequence[Courier]) -> None:
    """End all couriers, and wait a while for their current steps."""
    for courier in running:
        courier.end()
    for courier in running:
        courier.wait(_STOP_SECONDS / len(running))


def mailer_of(settings: Settings) -> Mailer | None:
    """Return the mailer for these settings; None: no mail server is configured."""
    if not settings.smtp_host:
        return None
    return SmtpMailer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.mail_from,
        tls=Tls(settings.smtp_tls),
        ca_file=settings.smtp_ca,
        user=settings.smtp_user,
        password=settings.smtp_password,
    )


def collector_of(settings: Settings, sender: str) -> EventCollector | None:
    """Return the collector for the events of the audit log; None: no collector is configured."""
    address = settings.syslog_address
    return SyslogCollector(*address, sender, settings.syslog_ca) if address else None


@dataclass
class MailSteps:
    """The steps of the mail courier: one message each. Once an hour, old messages are deleted."""

    database: Database
    mailer: Mailer | None
    administrators: Sequence[str]
    _forget_at: int = field(default=0, init=False)

    def __call__(self, now: int) -> CourierStep:
        if now >= self._forget_at:
            forget_old(self.database, now, with_mailer=self.mailer is not None)
            self._forget_at = now + _FORGET_EVERY
        if self.mailer is None:
            return CourierStep.IDLE
        sent = send_next(self.database, self.mailer, self.administrators, now)
        if sent is SendResult.UNREACHABLE:
            _log.warning("no mail server takes the notices", do="run: sparekey doctor")
            return CourierStep.BLOCKED
        return CourierStep.IDLE if sent is SendResult.NOTHING_DUE else CourierStep.MORE


@dataclass(frozen=True)
class SyslogSteps:
    """The steps of the syslog courier: one batch each."""

    database: Database
    collector: EventCollector

    def __call__(self, now: int) -> CourierStep:
        try:
            return CourierStep.MORE if forward_next(self.database, self.collector, now) else CourierStep.IDLE
        except CollectorError as error:
            _log.warning("the collector does not take the events", why=str(error))
            return CourierStep.BLOCKED
