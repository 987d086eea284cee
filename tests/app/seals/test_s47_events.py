"""Events that an intruder wrote into the database are never signed (S47)."""

import pytest
from sqlalchemy import insert, select, text, update

from sparekey.app.audit_log.sequencer import chain
from sparekey.app.audit_log.verification import verify_record
from sparekey.app.instance import Instance
from sparekey.app.ports import KeyPurpose
from sparekey.app.server.upgrade import upgrade_database
from sparekey.core.audit_log.actions import Action
from sparekey.storage.audit_log.events import REFUSED
from sparekey.storage.rows import by_name
from sparekey.storage.tables import audit
from tests.builders import NOW, ROOT, a_user, granted, logged_events, submit
from tests.memory_keystore import MemoryCheckpoints, MemorySealMark

FORGED = {"at": NOW * 1_000_000, "actor": "os:root", "action": "role.granted", "result": "ok", "detail": "{}"}


@pytest.fixture
def store() -> MemoryCheckpoints:
    return MemoryCheckpoints()


def chain_all(server: Instance, store: MemoryCheckpoints) -> None:
    chain(server.database, server.keystore, store, NOW)
    chain(server.database, server.keystore, store, NOW)  # the alarm, too


def refused(server: Instance) -> list[int]:
    with server.database.read() as connection:
        waiting = connection.execute(select(audit.c.id).where(audit.c.batch.is_(None))).scalars().all()
        assert waiting == []
        return list(connection.execute(select(audit.c.id).where(audit.c.batch == REFUSED)).scalars())


def named(server: Instance) -> set[int | None]:
    """Return the rows that `audit verify` names."""
    found = verify_record(server.database, server.keystore.public_key(KeyPurpose.CHECKPOINT))
    return {finding.first for finding in found}


def test_s47_our_own_events_are_chained(any_server: Instance, store: MemoryCheckpoints) -> None:
    alice = a_user(any_server)
    for step in range(3):
        granted(submit(any_server, alice, NOW + 30 * step))
    chain_all(any_server, store)
    assert refused(any_server) == []
    assert named(any_server) == set()


def test_s47_an_inserted_event_is_not_signed(any_server: Instance, store: MemoryCheckpoints) -> None:
    a_user(any_server)
    with any_server.database.write() as connection:
        connection.execute(insert(audit).values(**FORGED, id=700))
    chain_all(any_server, store)
    assert refused(any_server) == [700]
    (alarm,) = logged_events(any_server, Action.ALARM_ROW_ALTERED)
    assert alarm.detail == '{"row":"700","rows":1,"table":"audit"}'
    assert named(any_server) == {700}
    assert 700 not in [row.id for row in logged_events(any_server)]


def test_s47_an_event_that_was_changed_is_not_signed(any_server: Instance, store: MemoryCheckpoints) -> None:
    alice = a_user(any_server)
    granted(submit(any_server, alice, NOW))
    (row,) = logged_events(any_server, Action.SIGN_IN_GRANTED)
    for column in ("at", "actor", "action", "account_id", "token_id", "device_id", "result", "detail"):
        value = row.at + 1 if column == "at" else "x"
        with any_server.database.write() as connection:
            before = by_name(connection.execute(select(audit).where(audit.c.id == row.id)).one())
            fresh = before | {"id": before["id"] + 1000, "batch": None}
            connection.execute(insert(audit).values(**fresh | {column: value}))
        chain_all(any_server, store)
        assert refused(any_server) == [row.id + 1000], column
        with any_server.database.write() as connection:
            connection.execute(text(f"DELETE FROM audit WHERE batch = {REFUSED}"))


@pytest.mark.parametrize("is_chained", [True, False])
def test_s47_a_copy_of_an_event_is_not_signed(any_server: Instance, store: MemoryCheckpoints, is_chained: bool) -> None:
    alice = a_user(any_server)
    granted(submit(any_server, alice, NOW))
    if is_chained:
        chain_all(any_server, store)
    (row,) = logged_events(any_server, Action.SIGN_IN_GRANTED)
    with any_server.database.write() as connection:
        before = by_name(connection.execute(select(audit).where(audit.c.id == row.id)).one())
        connection.execute(insert(audit).values(**before | {"id": 700, "batch": None}))
    chain_all(any_server, store)
    assert refused(any_server) == [700]


def test_s47_many_forged_events_hold_up_no_other(any_server: Instance, store: MemoryCheckpoints) -> None:
    with any_server.database.write() as connection:
        connection.execute(insert(audit), [FORGED] * 1_200)
    alice = a_user(any_server)
    granted(submit(any_server, alice, NOW))
    chain_all(any_server, store)
    assert len(refused(any_server)) == 1_200
    with any_server.database.read() as connection:
        found = connection.execute(select(audit.c.batch).where(audit.c.action == "sign-in.granted")).scalar_one()
    assert found > 0


def test_s47_an_upgrade_seals_the_events_that_wait(any_server: Instance, store: MemoryCheckpoints) -> None:
    a_user(any_server)
    with any_server.database.write() as connection:
        connection.execute(update(audit).values(seal=None))
        connection.execute(text("UPDATE security_domain SET seal = NULL"))
    upgrade_database(any_server.database, any_server.keystore, MemorySealMark(), ROOT, NOW)
    chain_all(any_server, store)
    assert refused(any_server) == []
