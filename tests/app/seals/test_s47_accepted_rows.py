"""S47: an administrator of the server looks at an altered row, and accepts it only where the log does not object."""

from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import insert, select, text, update

from sparekey.app.audit_log.altered_rows import ACCEPTED, SealedRow, accept_row, list_altered, show_row
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people.users import set_enabled, unlock
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict, NotFound
from sparekey.core.permissions import SUPER_ADMINISTRATOR, Actor
from sparekey.keystore.watch_file import WatchFile
from sparekey.storage import tables
from sparekey.storage.rows import by_name
from sparekey.storage.seal_sides import SIDES
from sparekey.storage.seals_in_use import AlteredRow
from tests.app.seals.sealed_world import a_sealed_world
from tests.builders import DAY, NOW, ROOT, User, a_user, denied, granted, logged_events, submit

LATER = NOW + DAY


def shown(server: Instance, table: str, key: str) -> SealedRow:
    with closing(WatchFile.temporary()) as book:
        return show_row(server, ROOT, table, key, book, now=LATER)


def accepted(server: Instance, table: str, key: str) -> SealedRow:
    row = shown(server, table, key)
    accept_row(server, ROOT, row, now=LATER)
    return row


def sql(server: Instance, statement: str, **values: object) -> None:
    """Execute a statement as an attacker with the database's password."""
    with server.database.write() as connection:
        connection.execute(text(statement), values)


def renamed(server: Instance, user: User, name: str = "Someone else") -> None:
    sql(server, "UPDATE account SET name = :name WHERE id = :id", name=name, id=user.account_id)


def test_s47_altered_rows_of_every_table_are_listed(any_server: Instance) -> None:
    world = a_sealed_world(any_server)
    assert list_altered(any_server, ROOT) == []
    keys = []
    for name, sides in SIDES.items():
        if sides.sealed:
            table, seal = tables.metadata.tables[name], next(iter(sides.sealed))
            key = [world.row(table)[column.name] for column in table.primary_key.columns]
            found = [column == part for column, part in zip(table.primary_key.columns, key, strict=True)]
            with any_server.database.write() as connection:
                connection.execute(update(table).where(*found).values({seal: b"another seal"}))
            keys.append(AlteredRow(name, "/".join(key)))
    assert sorted(list_altered(any_server, ROOT), key=repr) == sorted(keys, key=repr)
    for each in keys:
        assert shown(any_server, each.table, each.key).altered
        if each.table not in ACCEPTED:
            with pytest.raises(BadInput, match="are not accepted"):
                accepted(any_server, each.table, each.key)


def test_s47_a_row_of_a_foreign_type_is_listed_and_shown_and_not_accepted(server: Instance) -> None:
    alice, bob = a_user(server, "alice"), a_user(server, "bob")
    sql(server, "UPDATE token SET pin_salt = 'text', digits = x'00' WHERE id = :id", id=alice.token_id)
    renamed(server, bob)
    assert {each.key for each in list_altered(server, ROOT)} == {alice.token_id, bob.account_id}
    assert shown(server, "token", alice.token_id).values["digits"] == "1 bytes, SHA-256 6e340b9cffb37a98"
    with pytest.raises(BadInput, match="another type than its column"):
        accepted(server, "token", alice.token_id)


def test_s47_an_accepted_row_decides_again_and_raises_an_alarm(any_server: Instance) -> None:
    alice = a_user(any_server, "alice")
    renamed(any_server, alice)
    denied(submit(any_server, alice, NOW))
    row = accepted(any_server, "account", alice.account_id)
    assert (row.altered, row.user, row.values["name"], row.contradictions) == (True, "alice", "Someone else", [])
    assert row.logged is not None
    assert row.logged["enabled"] is True
    assert list_altered(any_server, ROOT) == []
    granted(submit(any_server, alice, NOW))
    (alarm,) = logged_events(any_server, Action.ALARM_ROW_ACCEPTED)
    assert (alarm.actor, alarm.account_id) == (ROOT.name, alice.account_id)
    assert f'"row":"{alice.account_id}"' in alarm.detail
    assert row.fingerprint in alarm.detail


def test_s47_a_shown_row_holds_no_secret(server: Instance) -> None:
    alice = a_user(server, "alice")
    with server.database.read() as connection:
        row = by_name(connection.execute(select(tables.token)).one())
    values = shown(server, "token", alice.token_id).values
    for name, value in row.items():
        if isinstance(value, bytes):
            assert value.hex() not in repr(values)
            assert repr(value) not in repr(values), name
    assert set(values) == {column for columns in SIDES["token"].sealed.values() for column in columns}


def test_s47_a_row_that_contradicts_the_log_is_not_accepted(any_server: Instance) -> None:
    alice = a_user(any_server, "alice")
    set_enabled(any_server, ROOT, "alice", enabled=False, now=NOW)
    sql(any_server, "UPDATE account SET enabled = true WHERE id = :id", id=alice.account_id)
    (difference,) = shown(any_server, "account", alice.account_id).contradictions
    assert (difference.fact, difference.logged, difference.stored) == ("enabled", False, True)
    with pytest.raises(Conflict, match="contradicts the audit log"):
        accepted(any_server, "account", alice.account_id)
    sql(any_server, "UPDATE account SET enabled = false WHERE id = :id", id=alice.account_id)
    with pytest.raises(Conflict, match="the seal of this row holds"):
        accepted(any_server, "account", alice.account_id)
    assert logged_events(any_server, Action.ALARM_ROW_ACCEPTED) == []


def test_s47_an_inserted_row_is_not_accepted(any_server: Instance) -> None:
    a_user(any_server, "alice")
    with any_server.database.write() as connection:
        row = by_name(connection.execute(select(tables.account)).one())
        connection.execute(insert(tables.account).values(**row | {"id": "9" * 32, "login": "mallory"}))
    assert shown(any_server, "account", "9" * 32).logged is None
    with pytest.raises(Conflict, match="may have been inserted"):
        accepted(any_server, "account", "9" * 32)


def test_s47_an_inserted_grant_is_not_accepted(any_server: Instance) -> None:
    alice = a_user(any_server, "alice")
    with any_server.database.write() as connection:
        top = connection.execute(select(tables.security_domain.c.id)).scalar_one()
        grant = {"id": "9" * 32, "role": SUPER_ADMINISTRATOR, "principal_id": alice.account_id, "domain_id": top}
        connection.execute(insert(tables.role_grant).values(**grant, created_at=NOW))
    with pytest.raises(BadInput, match="rows of role_grant are not accepted"):
        accepted(any_server, "role_grant", "9" * 32)


def test_s47_a_row_that_changes_after_it_was_shown_is_not_accepted(any_server: Instance) -> None:
    alice = a_user(any_server, "alice")
    renamed(any_server, alice)
    row = shown(any_server, "account", alice.account_id)
    renamed(any_server, alice, "Yet another one")
    with pytest.raises(Conflict, match="has changed since it was shown"):
        accept_row(any_server, ROOT, row, now=LATER)
    assert len(list_altered(any_server, ROOT)) == 1


def test_s47_a_log_that_was_altered_accepts_nothing(server: Instance) -> None:
    alice = a_user(server, "alice")
    renamed(server, alice)
    row = shown(server, "account", alice.account_id)
    accept_row(server, ROOT, replace(row), now=LATER)
    sql(server, "UPDATE token SET with_pin = false WHERE id = :id", id=alice.token_id)
    sql(server, "INSERT INTO audit_batch SELECT 1, x'00', x'00', '1', 1, 1, x'00', 1, x'00'")
    with pytest.raises(Conflict, match="the audit log was altered"):
        accepted(server, "token", alice.token_id)


def test_s47_the_top_domain_can_be_accepted(any_server: Instance) -> None:
    """Without it no user signs in, and no command makes it again."""
    alice = a_user(any_server, "alice")
    with any_server.database.write() as connection:
        top = connection.execute(select(tables.security_domain.c.id)).scalar_one()
        connection.execute(update(tables.security_domain).values(seal=None))
    denied(submit(any_server, alice, NOW))
    assert accepted(any_server, "security_domain", top).values["name"] == TOP_DOMAIN
    granted(submit(any_server, alice, NOW))


def test_s47_counts_of_failures_are_not_accepted(any_server: Instance) -> None:
    """An intruder who clears them would have more guesses. Unlocking makes new ones."""
    alice = a_user(any_server, "alice")
    sql(any_server, "UPDATE account SET failures = 2 WHERE id = :id", id=alice.account_id)
    with pytest.raises(Conflict, match="only the counts of failures were altered"):
        accepted(any_server, "account", alice.account_id)
    renamed(any_server, alice)
    accepted(any_server, "account", alice.account_id)
    assert shown(any_server, "account", alice.account_id).altered
    denied(submit(any_server, alice, NOW))
    assert unlock(any_server, ROOT, "alice", now=NOW)
    assert list_altered(any_server, ROOT) == []
    granted(submit(any_server, alice, NOW))


@pytest.mark.parametrize(
    ("table", "key"), [("account", "nothing"), ("audit", "1"), ("no table", "1"), ("device_token", "without a slash")]
)
def test_a_row_that_does_not_exist_is_not_found(server: Instance, table: str, key: str) -> None:
    with pytest.raises(NotFound):
        shown(server, table, key)


def test_s47_only_a_system_account_sees_and_accepts_rows(server: Instance) -> None:
    alice = a_user(server, "alice")
    renamed(server, alice)
    row, other = shown(server, "account", alice.account_id), Actor(f"user:{alice.account_id}", ROOT.grants)
    with closing(WatchFile.temporary()) as book:
        for act in (
            lambda: list_altered(server, other),
            lambda: show_row(server, other, "account", alice.account_id, book, now=NOW),
            lambda: accept_row(server, other, row, now=NOW),
        ):
            with pytest.raises(BadInput, match="only on the server itself"):
                act()
