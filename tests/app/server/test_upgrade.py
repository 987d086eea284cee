"""Upgrades: a database of the first release is brought to the newest tables with everything that it held."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from sqlalchemy import Connection, MetaData, event, insert, inspect, select, text

from sparekey.app.audit_log.sequencer import chain
from sparekey.app.audit_log.verification import verify_record
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import users
from sparekey.app.policies_in_force import policy_in
from sparekey.app.ports import KeyPurpose
from sparekey.app.server.upgrade import Upgrade, upgrade_database
from sparekey.core.audit_log.actions import Action
from sparekey.core.policy.lockout import LockoutPolicy
from sparekey.core.policy.token import TokenPolicy
from sparekey.storage import schema
from sparekey.storage.seal_sides import SEALED_SINCE
from sparekey.storage.unit_of_work import Database
from tests.builders import (
    DAY,
    NOW,
    ROOT,
    User,
    a_filled_device,
    a_user,
    account_row,
    an_instance,
    granted,
    logged_events,
    shown_code,
    submit,
)
from tests.memory_keystore import MemoryCheckpoints, MemoryKeystore, MemorySealMark
from tests.shared_statements import open_database
from tools.counts import Count

# on SQLite; only the rows are compared here
pytestmark = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")

FIRST = "0001"
VERSION = "alembic_version"


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    """A database without tables: the test runs on an SQLite file and on PostgreSQL."""
    database = open_database(database_url)
    yield database
    database.close()


def tables_of(connection: Connection) -> MetaData:
    """Return the tables as they are in the database."""
    found = MetaData()
    found.reflect(connection)
    return found


def rows_of(connection: Connection, tables: MetaData) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of these tables."""
    return {
        table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
        for table in tables.sorted_tables
        if table.name != VERSION
    }


def at_first_release(new: Database, old: Database) -> MetaData:
    """Makes the tables of the first release in `old`, with every row of `new` as it was then."""
    with new.read() as there, old.write() as here:
        schema.upgrade_in(here, FIRST)
        then, now = tables_of(here), tables_of(there)
        for table in then.sorted_tables:
            if table.name == VERSION:
                continue
            columns = [now.tables[table.name].c[each.name] for each in table.c]
            rows = [dict(row._mapping) for row in there.execute(select(*columns))]
            rows.sort(key=lambda row: row.get("parent_id") is not None)  # the top domain first
            if rows:
                here.execute(insert(table), rows)
        if here.dialect.name == "postgresql":
            here.execute(text("SELECT setval(pg_get_serial_sequence('audit', 'id'), max(id)) FROM audit"))
    return then


@pytest.fixture
def seeded(memory_database: Database) -> tuple[Instance, User]:
    """A server with a user whose device holds days and codes."""
    instance = an_instance(memory_database)
    user = a_user(instance, "alice", pin="4711abcd")
    a_filled_device(instance, user)
    shown_code(instance, user)
    chain(memory_database, instance.keystore, MemoryCheckpoints(), NOW)
    return instance, user


def test_s85_a_database_of_the_first_release_keeps_everything(seeded: tuple[Instance, User], empty: Database) -> None:
    instance, user = seeded
    then = at_first_release(instance.database, empty)
    with empty.read() as connection:
        before = rows_of(connection, then)
    assert len(before["unit_receipt"]) >= 3
    assert before["emergency_showing"]

    mark = MemorySealMark()
    done = upgrade_database(empty, instance.keystore, mark, ROOT, NOW)
    assert (done.before, done.after) == (FIRST, schema.HEAD)
    assert done.sealed is not None
    assert done.sealed > 10
    assert mark.sealed_at() == SEALED_SINCE
    schema.verify_current(empty.engine)
    upgraded = Instance("one", empty, instance.keystore, instance.vault, instance.ca_certificate)
    (upgrade,) = logged_events(upgraded, Action.SERVER_UPGRADED)
    assert upgrade.detail == f'{{"after":"{schema.HEAD}","before":"{FIRST}"}}'
    with empty.read() as connection:
        after = rows_of(connection, then)
    (sealing,) = logged_events(upgraded, Action.ROWS_SEALED)
    after["audit"] = [row for row in after["audit"] if row[0] not in (upgrade.id, sealing.id)]
    # the hashes of what is out are ids under a key now (S47)
    before["device_invitation"] = [
        tuple(empty.seals.id_of(value) if isinstance(value, bytes) else value for value in row)
        for row in before["device_invitation"]
    ]
    assert after == before

    # and it works: people sign in, under the policies that a new server has
    granted(submit(upgraded, user, NOW + DAY))
    assert users.show_user(upgraded, ROOT, "alice").mail == ""
    with empty.read() as connection:
        domain_id = account_row(upgraded, "alice").domain_id
        assert policy_in(connection, domain_id, TokenPolicy) == TokenPolicy()
        assert policy_in(connection, domain_id, LockoutPolicy) == LockoutPolicy()
    users.add_user(upgraded, ROOT, "bob", TOP_DOMAIN, now=NOW)
    chain(empty, instance.keystore, MemoryCheckpoints(), NOW + DAY)
    assert verify_record(empty, instance.keystore.public_key(KeyPurpose.CHECKPOINT)) == []


class BrokenOffError(Exception):
    """The process ended here."""


@contextmanager
def ends_at_statement(database: Database, number: int) -> Iterator[list[str]]:
    """Interrupt an upgrade at its statement of this number; yield the statements so far."""
    seen: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)
        if len(seen) == number:
            raise BrokenOffError

    event.listen(database.engine, "before_cursor_execute", count)
    yield seen
    event.remove(database.engine, "before_cursor_execute", count)


def test_s85_an_upgrade_that_breaks_off_anywhere_changes_nothing(
    seeded: tuple[Instance, User], empty: Database, count: Count
) -> None:
    """The full test breaks off at each statement. The small one begins each database at another statement."""
    then = at_first_release(seeded[0].database, empty)
    with empty.read() as connection:
        before = rows_of(connection, then)
    tables = sorted(inspect(empty.engine).get_table_names())
    done, mark = None, MemorySealMark()
    number, apart = len(empty.engine.dialect.name) % 7 - 7, count(small=7, full=1)
    while done is None:
        number += apart
        with ends_at_statement(empty, number) as seen, suppress(BrokenOffError):
            done = upgrade_database(empty, seeded[0].keystore, mark, ROOT, NOW)
        if done is None:
            assert mark.sealed_at() is None
            assert schema.current(empty.engine) == FIRST, seen
            assert sorted(inspect(empty.engine).get_table_names()) == tables, seen
    assert (done.before, done.after) == (FIRST, schema.HEAD)
    assert number > 20
    with empty.read() as connection:
        assert {name: len(rows) for name, rows in rows_of(connection, then).items()} == {
            name: len(rows) + 2 * (name == "audit") for name, rows in before.items()
        }


def test_a_second_upgrade_does_nothing(empty: Database) -> None:
    keystore, mark = an_instance(empty).keystore, MemorySealMark(SEALED_SINCE)
    with empty.read() as connection:
        before = rows_of(connection, tables_of(connection))
    assert upgrade_database(empty, keystore, mark, ROOT, NOW) == Upgrade(schema.HEAD, schema.HEAD)
    with empty.read() as connection:
        assert rows_of(connection, tables_of(connection)) == before


def test_no_server_is_made_by_an_upgrade(empty: Database) -> None:
    with pytest.raises(schema.SchemaError, match="run: sparekey init"):
        upgrade_database(empty, MemoryKeystore(), MemorySealMark(), ROOT, NOW)
    assert inspect(empty.engine).get_table_names() == []


def test_a_newer_database_is_refused(empty: Database) -> None:
    keystore = an_instance(empty).keystore
    with empty.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(schema.SchemaError, match="newer"):
        upgrade_database(empty, keystore, MemorySealMark(), ROOT, NOW)


def test_an_older_database_names_the_upgrade_command(empty: Database) -> None:
    with empty.write() as connection:
        schema.upgrade_in(connection, FIRST)
    with pytest.raises(schema.SchemaError, match="run: sparekey upgrade"):
        schema.verify_current(empty.engine)
