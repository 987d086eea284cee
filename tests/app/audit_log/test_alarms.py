"""Alarms: an audit event each time, a line until an administrator marks it as seen, a notice to administrators; their
readers."""

import json

import pytest
from sqlalchemy import select

from sparekey.app.audit_log.alarms import acknowledge, list_alarms
from sparekey.app.audit_log.outbox import SendResult, send_next
from sparekey.app.audit_log.sequencer import chain
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.notices import MOST_TOLD, TOLD_AGAIN_AFTER, raise_alarm
from sparekey.app.people.domains import add_domain
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.checkpoint import Checkpoint
from sparekey.core.errors import Conflict, NotAllowed, NotFound
from sparekey.core.permissions import Actor, Grant, Permission
from sparekey.storage import tables
from sparekey.storage.rows import AnyRow
from tests.builders import NOW, ROOT, a_device, a_filled_device, a_user, account_row, logged_events
from tests.mail_servers import MemoryMailWorld

ADMINISTRATORS = ("one@example.org", "two@example.org")


def notices(server: Instance) -> list[AnyRow]:
    with server.database.read() as connection:
        query = select(tables.outbox).order_by(tables.outbox.c.created_at, tables.outbox.c.recipient)
        return [*connection.execute(query)]


def alarm(server: Instance, now: int, action: Action = Action.ALARM_CLOCK, device: str | None = None) -> None:
    with server.database.write() as connection:
        raise_alarm(connection, now, "system", action, device=device, number=7, reason="set back\r\nBcc: eve@x.org")


def send_all(server: Instance, world: MemoryMailWorld, now: int, to: tuple[str, ...] = ADMINISTRATORS) -> None:
    while send_next(server.database, world.mailer, to, now) is not SendResult.NOTHING_DUE:
        pass


def test_an_alarm_is_a_row_a_line_and_a_notice(any_server: Instance) -> None:
    user = a_user(any_server)
    device = a_filled_device(any_server, user, "laptop")
    alarm(any_server, NOW, device=device.device_id)
    (row,) = logged_events(any_server, Action.ALARM_CLOCK)
    (line,) = list_alarms(any_server, ROOT)
    assert (line.action, line.device, line.times, line.acknowledged_at) == ("alarm.clock", "laptop", 1, None)
    assert json.loads(row.detail) == line.detail == {"number": 7, "reason": "set back\r\nBcc: eve@x.org"}
    world = MemoryMailWorld(is_up=True)
    send_all(any_server, world, NOW)
    assert [each.recipients for each in world.received] == [["one@example.org"], ["two@example.org"]]
    for each in world.received:
        assert each.subject == "Alarm: clock"
        assert "A device's clock is wrong or was set back." in each.text
        assert "device: laptop" in each.text
        assert "reason: set back??Bcc: eve@x.org" in each.text
        assert f"sparekey alarm acknowledge {line.id}" in each.text
    assert len({each.mail["Message-ID"] for each in world.received}) == 2


def test_a_repeated_alarm_is_logged_counted_and_mailed_once_an_hour(any_server: Instance) -> None:
    device = a_device(any_server)
    for second in range(20):
        alarm(any_server, NOW + second, device=device.device_id)
    assert len(logged_events(any_server, Action.ALARM_CLOCK)) == 20
    (line,) = list_alarms(any_server, ROOT)
    assert (line.first_at, line.last_at, line.times) == (NOW, NOW + 19, 20)
    assert len(notices(any_server)) == 1
    alarm(any_server, NOW + TOLD_AGAIN_AFTER, device=device.device_id)
    assert len(notices(any_server)) == 2
    alarm(any_server, NOW + TOLD_AGAIN_AFTER + 1, device=device.device_id)
    assert len(notices(any_server)) == 2


def test_of_many_alarms_of_one_kind_twenty_are_mailed_and_all_listed(server: Instance) -> None:
    """For example after a certificate expired. An alarm of another kind is still mailed."""
    for number in range(40):
        alarm(server, NOW + number, Action.ALARM_TLS_FAILURE, f"device {number}")
    alarm(server, NOW + 50)
    told = notices(server)
    assert [row.kind for row in told] == ["alarm.tls-failure"] * MOST_TOLD + ["alarm.clock"]
    assert ["no more mails of this kind" in row.body for row in told] == [False] * (MOST_TOLD - 1) + [True, False]
    assert len(list_alarms(server, ROOT)) == 41
    later = NOW + TOLD_AGAIN_AFTER + 60
    alarm(server, later, Action.ALARM_TLS_FAILURE, "device 39")
    assert len(notices(server)) == MOST_TOLD + 2


def test_alarms_come_page_by_page(any_server: Instance) -> None:
    for number in range(7):
        alarm(any_server, NOW + number // 3, Action.ALARM_TLS_FAILURE, f"device {number}")
    whole = [line.id for line in list_alarms(any_server, ROOT)]
    assert [line.last_at for line in list_alarms(any_server, ROOT)] == [NOW + 2, *[NOW + 1] * 3, *[NOW] * 3]
    for every in (False, True):
        found: list[str] = []
        while page := list_alarms(any_server, ROOT, limit=2, after=found[-1] if found else "", acknowledged=every):
            found += [line.id for line in page]
        assert found == whole
    # one that was acknowledged meanwhile is still where the next page begins
    acknowledge(any_server, ROOT, whole[3], now=NOW + 9)
    assert [line.id for line in list_alarms(any_server, ROOT, after=whole[3])] == whole[4:]
    # nor does one that is raised again hide another
    alarm(any_server, NOW + 60, Action.ALARM_TLS_FAILURE, "device 0")
    again = list_alarms(any_server, ROOT)[0].id
    assert {line.id for line in list_alarms(any_server, ROOT, after=again)} == {*whole} - {again, whole[3]}
    assert list_alarms(any_server, ROOT, after="nothing") == []


def test_another_device_or_kind_is_a_separate_alarm(server: Instance) -> None:
    for device in (None, a_device(server).device_id, a_device(server).device_id):
        for action in (Action.ALARM_CLOCK, Action.ALARM_TLS_FAILURE):
            alarm(server, NOW, action, device)
    assert len(list_alarms(server, ROOT)) == len(notices(server)) == 6


def test_an_acknowledged_alarm_that_recurs_is_listed_again(any_server: Instance) -> None:
    alarm(any_server, NOW)
    (line,) = list_alarms(any_server, ROOT)
    acknowledge(any_server, ROOT, line.id, now=NOW + 5)
    assert list_alarms(any_server, ROOT) == []
    (row,) = logged_events(any_server, Action.ALARMS_ACKNOWLEDGED)
    assert (row.actor, json.loads(row.detail)) == ("os:root", {"alarm": line.id, "of": "alarm.clock", "times": 1})
    alarm(any_server, NOW + 10)
    assert [each.id != line.id for each in list_alarms(any_server, ROOT)] == [True]
    assert [each.acknowledged_by for each in list_alarms(any_server, ROOT, acknowledged=True)] == [None, "os:root"]
    with pytest.raises(Conflict, match="os:root"):
        acknowledge(any_server, ROOT, line.id, now=NOW + 20)
    with pytest.raises(NotFound):
        acknowledge(any_server, ROOT, "no such alarm", now=NOW + 20)


def test_people_have_names_on_the_list(any_server: Instance) -> None:
    user = a_user(any_server)
    operator = Actor(f"user:{user.account_id}", ROOT.grants)
    with any_server.database.write() as connection:
        raise_alarm(connection, NOW, operator.name, Action.ALARM_OPERATOR_BUSY, operator=operator.name)
    (line,) = list_alarms(any_server, ROOT)
    acknowledge(any_server, operator, line.id, now=NOW + 5)
    (line,) = list_alarms(any_server, ROOT, acknowledged=True)
    assert (line.detail["operator"], line.acknowledged_by) == (user.login, user.login)
    with pytest.raises(Conflict, match=user.login):
        acknowledge(any_server, ROOT, line.id, now=NOW + 20)


def test_acknowledging_is_no_alarm() -> None:
    assert not Action.ALARMS_ACKNOWLEDGED.is_alarm
    assert Action.ALARM_CLOCK.is_alarm


def test_an_action_that_is_no_alarm_cannot_be_raised(server: Instance) -> None:
    with pytest.raises(ValueError, match="no alarm"):
        alarm(server, NOW, Action.TOKEN_LOST)
    assert logged_events(server, Action.TOKEN_LOST) == []


def test_without_addresses_an_alarm_is_listed_and_not_mailed(server: Instance) -> None:
    alarm(server, NOW)
    world = MemoryMailWorld(is_up=True)
    send_all(server, world, NOW, ())
    assert world.received == []
    (row,) = notices(server)
    assert (row.next_attempt_at, row.last_error) == (None, "no address in alarm_mail")
    assert len(list_alarms(server, ROOT)) == 1


def test_a_wrong_address_does_not_stop_mail_to_other_administrators(server: Instance) -> None:
    alarm(server, NOW)
    world = MemoryMailWorld(is_up=True, answers={"one@example.org": "550 no such user"})
    send_all(server, world, NOW)
    assert [each.recipients for each in world.received] == [["two@example.org"]]


class LostCheckpoint:
    """A store with a checkpoint that the database does not know."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint: Checkpoint | None = checkpoint

    def newest(self) -> Checkpoint | None:
        return self.checkpoint

    def keep(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def set_aside(self) -> None:
        self.checkpoint = None


def test_a_rolled_back_audit_log_raises_an_alarm(server: Instance) -> None:
    store = LostCheckpoint(Checkpoint(1_000, 2_000, NOW, bytes(32), bytes(64)))
    chain(server.database, server.keystore, store, NOW)
    (line,) = list_alarms(server, ROOT)
    assert (line.action, line.result) == ("alarm.audit-rolled-back", "batch missing")
    assert line.detail == {"witness": "instance", "batch": 1_000, "rows": 2_000}
    assert "sparekey audit verify" in notices(server)[0].body


# Permissions to see and acknowledge


def an_auditor(domain_id: str, *permissions: Permission) -> Actor:
    return Actor("user:x", (Grant(frozenset(permissions), frozenset({domain_id})),))


def test_an_alarm_is_seen_where_its_user_or_device_is(server: Instance) -> None:
    add_domain(server, ROOT, "Branch", TOP_DOMAIN, now=NOW)
    inside, outside = a_user(server, domain="Branch"), a_user(server)
    branch = account_row(server, inside.login).domain_id
    for account in (inside.account_id, outside.account_id, None):
        with server.database.write() as connection:
            raise_alarm(connection, NOW, "system", Action.ALARM_EMERGENCY_UNSHOWN, account=account)
    looks = an_auditor(branch, Permission.AUDIT_VIEW)
    assert [line.user for line in list_alarms(server, looks)] == [inside.login]
    everything = list_alarms(server, ROOT)
    assert len(everything) == 3
    for line in everything:
        with pytest.raises(NotAllowed if line.user == inside.login else NotFound):
            acknowledge(server, looks, line.id, now=NOW)
    both = an_auditor(branch, Permission.AUDIT_VIEW, Permission.ALARM_ACKNOWLEDGE)
    acknowledge(server, both, list_alarms(server, looks)[0].id, now=NOW)
    with pytest.raises(NotAllowed):
        list_alarms(server, an_auditor(branch, Permission.USER_VIEW))
