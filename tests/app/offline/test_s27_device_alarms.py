"""S27: a device that uploads many bad events loses none of them, and raises few alarms."""

from sqlalchemy import RowMapping

from sparekey.app.audit_log.alarms import acknowledge
from sparekey.app.instance import Instance
from sparekey.app.offline.device_alarms import MOST_ALARMS
from sparekey.core.audit_log.actions import Action
from sparekey.storage import tables
from sparekey.wire.agent_api import MOST_EVENTS
from sparekey.wire.events import EventKind
from tests.builders import NOW, ROOT, Device, a_device, logged_events


def upload_alarms(device: Device, number: int, now: int) -> None:
    """Upload so many events of which each raises an alarm."""
    sent = len(device.events)
    for _ in range(number):
        device.event(kind=EventKind.TLS_FAILURE, reason="another certificate")
    device.upload(now, device.events[sent:])


def alarm_lines(server: Instance) -> list[RowMapping]:
    with server.database.read() as connection:
        return list(connection.execute(tables.alarm.select()).mappings())


def logged_of(server: Instance, device: Device, action: Action) -> int:
    return len([row for row in logged_events(server, action) if row.device_id == device.device_id])


def test_s27_many_events_raise_few_alarms_and_none_is_lost(server: Instance) -> None:
    hostile, other = a_device(server), a_device(server)
    upload_alarms(hostile, MOST_EVENTS, NOW)
    assert logged_of(server, hostile, Action.DEVICE_EVENT) == MOST_EVENTS
    assert logged_of(server, hostile, Action.ALARM_TLS_FAILURE) == MOST_ALARMS
    (line,) = alarm_lines(server)
    assert line["times"] == MOST_EVENTS  # the list of alarms has them all
    upload_alarms(other, 1, NOW)
    assert logged_of(server, other, Action.ALARM_TLS_FAILURE) == 1


def test_s27_an_alarm_after_an_acknowledgement_or_an_hour_is_raised(server: Instance) -> None:
    device = a_device(server)
    upload_alarms(device, MOST_ALARMS + 1, NOW)
    (line,) = alarm_lines(server)
    acknowledge(server, ROOT, line["id"], now=NOW)
    upload_alarms(device, 1, NOW)
    assert logged_of(server, device, Action.ALARM_TLS_FAILURE) == MOST_ALARMS + 1
    assert len(alarm_lines(server)) == 2
    upload_alarms(device, 1, NOW)
    assert logged_of(server, device, Action.ALARM_TLS_FAILURE) == MOST_ALARMS + 1
    upload_alarms(device, 1, NOW + 3_600)
    assert logged_of(server, device, Action.ALARM_TLS_FAILURE) == MOST_ALARMS + 2
