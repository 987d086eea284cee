"""Filters of the audit log: each way through its indexes gives the rows that a plain reading gives."""

import itertools
from typing import Any

import pytest
from sqlalchemy import text

from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.audit_log.chain import AuditRow
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.unit_of_work import Database

GRANTED, DENIED, CHANGED = Action.SIGN_IN_GRANTED.value, Action.SIGN_IN_DENIED.value, Action.POLICY_ADDED.value
ACTORS = ("device:d1", "device:d2", "client:c", "user:u", "system")
# a device acts on itself; on another one; on none
DEVICES = (None, "d1", "d2")


@pytest.fixture
def rows(database: Database) -> list[AuditRow]:
    """Every combination; times run against the ids in part, as those of two servers may."""
    combined = itertools.product(ACTORS, DEVICES, (GRANTED, DENIED, CHANGED), (None, "a1"))
    values = [
        {
            "at": 1_000 + number // 2 * 2 - number % 2,
            "actor": actor,
            "action": action,
            "account_id": account,
            "token_id": None,
            "device_id": device,
            "result": OK if action != DENIED else "locked",
            "detail": "{}",
        }
        for number, (actor, device, action, account) in enumerate(combined)
    ]
    with database.write() as connection:
        audit_events.insert_rows(connection, values)
        return [
            AuditRow(*row)
            for row in connection.execute(
                text(
                    "SELECT id, at, actor, action, account_id, token_id, "
                    "device_id, result, detail FROM audit ORDER BY id DESC"
                )
            )
        ]


@pytest.mark.parametrize("few", [0, 20])
def test_every_way_gives_the_same(
    database: Database, rows: list[AuditRow], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_events, "_FEW", few)
    actors = ((), ("device:d1",), ("device:d1", "device:d2", "user:u"), ("client:c",), ("user:u", "system"))
    actions = ((), (GRANTED,), (DENIED, CHANGED), (GRANTED, DENIED))
    about: tuple[dict[str, Any], ...] = ({}, {"account_id": "a1"}, {"device_id": "d1"})
    times: tuple[dict[str, Any], ...] = ({}, {"since": 1_030}, {"until": 1_050}, {"since": 1_020, "until": 1_040})
    with database.read() as connection:
        for by, kinds, whom, when in itertools.product(actors, actions, about, times):
            expected = [
                row
                for row in rows
                if (not by or row.actor in by)
                and (not kinds or row.action in kinds)
                and all(getattr(row, name) == value for name, value in whom.items())
                and when.get("since", 0) <= row.at <= when.get("until", 10_000)
            ]
            wanted = audit_events.AuditFilter(actors=by, actions=kinds, **whom, **when)
            found = audit_events.list_rows(connection, wanted, limit=5)
            assert found == expected[:5], wanted
            if len(expected) > 5:
                rest = audit_events.list_rows(connection, wanted, limit=100, before=found[-1].id)
                assert rest == expected[5:], wanted
