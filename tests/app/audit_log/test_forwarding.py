"""Events to a collector: each one, in the order of the chain, while the collector comes and goes."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import delete

from sparekey.app.audit_log.forwarding import CLAIM_SECONDS, CURSOR, forward_next, next_events
from sparekey.app.audit_log.sequencer import chain
from sparekey.app.instance import Instance, log
from sparekey.app.ports import CheckpointStore, CollectorError
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.audit_log.checkpoint import Checkpoint
from sparekey.core.audit_log.export import ExportedEvent, line_of
from sparekey.core.errors import NotAllowed
from sparekey.core.permissions import Actor, Grant, Permission
from sparekey.storage import tables
from sparekey.storage.audit_log import export as audit_export
from tests.builders import NOW, ROOT, a_device, a_user


class NoStore(CheckpointStore):
    """A store that keeps nothing."""

    def newest(self) -> Checkpoint | None:
        return None

    def keep(self, checkpoint: Checkpoint) -> None:
        pass

    def set_aside(self) -> None:
        pass


@dataclass
class Collector:
    """A collector that takes events, or fails."""

    taken: list[ExportedEvent] = field(default_factory=list)
    calls: int = 0
    is_up: bool = True
    while_taking: Callable[[], object] = lambda: None

    def send(self, events: Sequence[ExportedEvent]) -> None:
        self.calls += 1
        if not self.is_up:
            raise CollectorError("the collector does not answer")
        self.while_taking()
        self.taken += events

    @property
    def ids(self) -> list[int]:
        return [event.row.id for event in self.taken]


def happen(server: Instance, count: int, now: int = NOW) -> None:
    for _ in range(count):
        with server.database.write() as connection:
            log(connection, now, "system", Action.USER_CHANGED, note="\u00e4\n")
    chain_all(server, now)


def chain_all(server: Instance, now: int = NOW) -> None:
    chain(server.database, server.keystore, NoStore(), now)


def forward_all(server: Instance, collector: Collector, now: int) -> None:
    while forward_next(server.database, collector, now):
        pass


def every_event(server: Instance) -> list[dict[str, Any]]:
    """Return all events, read batch by batch like a program."""
    found: list[dict[str, Any]] = []
    while events := next_events(server, ROOT, after=found[-1]["batch"] if found else 0):
        found += events
    return found


def every_id(server: Instance) -> list[int]:
    return [event["id"] for event in every_event(server)]


def test_every_chained_event_arrives_once_in_order(any_server: Instance) -> None:
    collector = Collector()
    happen(any_server, 5)
    forward_all(any_server, collector, NOW)
    happen(any_server, 3)
    forward_all(any_server, collector, NOW + 1)
    assert collector.ids == every_id(any_server)
    assert len(collector.ids) == len(set(collector.ids)) >= 8
    assert forward_next(any_server.database, collector, NOW + 2) == 0
    assert collector.calls == 2


def test_unchained_events_wait(server: Instance) -> None:
    collector = Collector()
    with server.database.write() as connection:
        log(connection, NOW, "system", Action.USER_CHANGED)
    assert forward_next(server.database, collector, NOW) == 0
    chain_all(server)
    assert forward_next(server.database, collector, NOW) > 0


def test_nothing_is_lost_while_the_collector_is_down(any_server: Instance) -> None:
    collector = Collector(is_up=False)
    for day in range(3):
        happen(any_server, 4, NOW + day)
        with pytest.raises(CollectorError):
            forward_next(any_server.database, collector, NOW + day)
    collector.is_up = True
    forward_all(any_server, collector, NOW + 4)
    assert collector.ids == every_id(any_server)


def test_one_process_at_a_time_forwards(any_server: Instance) -> None:
    happen(any_server, 2)
    inner = Collector()
    outer = Collector(while_taking=lambda: forward_next(any_server.database, inner, NOW))
    assert forward_next(any_server.database, outer, NOW) > 0
    assert inner.calls == 0


def test_four_processes_at_once_hand_over_each_event_once(any_server: Instance) -> None:
    for second in range(5):
        happen(any_server, 3, NOW + second)
    collector = Collector()
    threads = [threading.Thread(target=forward_all, args=(any_server, collector, NOW + 9)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    forward_all(any_server, collector, NOW + 9)
    assert collector.ids == every_id(any_server)


def test_a_process_that_dies_leaves_its_batch_to_the_next(any_server: Instance) -> None:
    happen(any_server, 2)
    with any_server.database.write() as connection:
        audit_export.make_cursor(connection, CURSOR)
        assert audit_export.claim_cursor(connection, CURSOR, 0, "dead", NOW, NOW + CLAIM_SECONDS)
    collector = Collector()
    forward_all(any_server, collector, NOW + CLAIM_SECONDS - 1)
    assert collector.ids == []
    forward_all(any_server, collector, NOW + CLAIM_SECONDS)
    assert collector.ids == every_id(any_server)


def test_an_exporter_with_a_lapsed_claim_does_not_move_the_cursor(any_server: Instance) -> None:
    happen(any_server, 2)
    first = Collector(while_taking=lambda: forward_next(any_server.database, second, NOW + CLAIM_SECONDS))
    second = Collector(is_up=False)
    with pytest.raises(CollectorError):
        forward_next(any_server.database, first, NOW)
    third = Collector()
    forward_all(any_server, third, NOW + CLAIM_SECONDS)
    assert third.ids == every_id(any_server)


# Content of an event


def test_an_event_names_its_user_in_one_line(server: Instance) -> None:
    user, device = a_user(server, "alice"), a_device(server, "l\u00e4p top")
    with server.database.write() as connection:
        log(
            connection,
            NOW,
            "client:web",
            Action.ALARM_CLOCK,
            account=user.account_id,
            token=user.token_id,
            device=device.device_id,
            reason="set\nback",
        )
    chain_all(server)
    *_, last = every_event(server)
    line = line_of(last)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {
        "schema": "sparekey/event/1",
        "batch": 1,
        "id": last["id"],
        "at": "2027-01-15T23:50:00.000000Z",
        "actor": "client:web",
        "action": "alarm.clock",
        "result": "ok",
        "alarm": True,
        "account_id": user.account_id,
        "user": "alice",
        "token_id": user.token_id,
        "token": user.serial,
        "device_id": device.device_id,
        "device": "l\u00e4p top",
        "detail": {"reason": "set\nback"},
    }


def test_an_event_that_is_too_long_loses_its_detail() -> None:
    row = AuditRow(1, NOW * 1_000_000, "system", "user.changed", None, None, None, "ok", '{"x":"' + "y" * 500 + '"}')
    event = ExportedEvent(1, row, None, None, None)
    assert json.loads(event.as_json(5_000))["detail"] == {"x": "y" * 500}
    short = json.loads(event.as_json(400))
    assert (short["detail"], short["detail_left_out"], short["id"]) == (None, 508, 1)


def test_a_batch_with_deleted_rows_is_still_forwarded(server: Instance) -> None:
    for second in range(3):
        happen(server, 2, NOW + second)
    with server.database.write() as connection:
        connection.execute(delete(tables.audit).where(tables.audit.c.batch == 2))
    assert {event["batch"] for event in every_event(server)} == {1, 3}
    collector = Collector()
    for _ in range(3):
        forward_next(server.database, collector, NOW + 9)
    assert collector.ids == every_id(server)


def test_an_export_needs_the_whole_audit_log_in_scope(server: Instance) -> None:
    chain_all(server)
    here = Actor("user:x", (Grant(frozenset({Permission.AUDIT_VIEW}), frozenset({"some domain"})),))
    with pytest.raises(NotAllowed):
        next_events(server, here)
