"""The counts of failures under their seal: SQL write access without keys gives no guess more (S47)."""

import re

import pytest
from sqlalchemy import insert, text, update

from sparekey.app.instance import Instance
from sparekey.app.people.users import show_user, unlock
from sparekey.app.server.upgrade import upgrade_database
from sparekey.app.sessions.administrators import begin_session, find_session, new_token
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.core.policy.lockout import InterfaceGroup
from sparekey.core.reasons import Method, Reason
from sparekey.core.sign_in.outcome import Granted
from sparekey.storage import tables
from sparekey.storage.failure_counts import CLEARED
from sparekey.storage.rows import by_name
from sparekey.storage.seal_sides import SEALED_SINCE
from sparekey.storage.sealed_rows import unsealed
from tests.builders import LIMIT, NOW, PIN, ROOT, User, a_user, account_row, denied, granted, logged_events, submit
from tests.memory_keystore import MemorySealMark
from tests.server.interfaces import make_administrator

MINUTE = 60


def alarms(server: Instance) -> list[str]:
    return [row.detail for row in logged_events(server, Action.ALARM_ROW_ALTERED)]


def alter(server: Instance, **values: object) -> None:
    """Write to all accounts as the intruder would."""
    with server.database.write() as connection:
        connection.execute(update(tables.account).values(**values))


def stored(server: Instance) -> dict[str, object]:
    """Return the stored counts of the only account with their version and seal, for the intruder to put back."""
    with server.database.read() as connection:
        return by_name(connection.execute(text("SELECT * FROM account")).one())


def fail(server: Instance, user: User, times: int, now: int = NOW) -> None:
    for _ in range(times):
        denied(submit(server, user, now, user.wrong(now)))


@pytest.mark.parametrize(
    "values",
    [
        dict(CLEARED),
        {**CLEARED, "counts_version": 0},
        {**CLEARED, "counts_seal": None},
        {"locked_at": None},
        {"locked_at": 1, "locked_until": 2},
        {"failures": -100},
    ],
)
def test_s47_counts_of_the_intruders_choice_are_a_lock(any_server: Instance, values: dict[str, object]) -> None:
    alice = a_user(any_server, "alice")
    fail(any_server, alice, LIMIT)
    alter(any_server, **values)
    for guess in (alice.wrong(NOW), alice.typed(NOW), alice.typed(NOW)):
        assert denied(submit(any_server, alice, NOW, guess)).reason is Reason.LOCKED
    assert len(alarms(any_server)) == 1
    assert show_user(any_server, ROOT, "alice").locked
    granted_after_unlocking(any_server, alice)


def test_s47_counts_with_a_seal_of_another_type_are_a_lock(server: Instance) -> None:
    """An intruder can store any type in any column of SQLite."""
    alice = a_user(server, "alice")
    with server.database.write() as connection:
        connection.execute(text("UPDATE account SET counts_seal = 'text', counts_version = 'one'"))
    assert denied(submit(server, alice, NOW)).reason is Reason.LOCKED
    assert show_user(server, ROOT, "alice").locked
    granted_after_unlocking(server, alice)


def granted_after_unlocking(server: Instance, user: User) -> None:
    """Unlocking seals cleared counts, whatever the intruder wrote."""
    assert unlock(server, ROOT, user.login, now=NOW)
    assert not show_user(server, ROOT, user.login).locked
    granted(submit(server, user, NOW + MINUTE))
    with server.database.read() as connection:
        assert unsealed(connection, tables.account) == []


def test_s47_altered_counts_end_sessions_but_those_of_passkeys(any_server: Instance) -> None:
    """No lock refuses a passkey: an intruder must not keep an administrator from the console."""
    alice = a_user(any_server, "alice")
    make_administrator(any_server, "alice")
    tokens = {method: new_token() for method in (Method.PASSKEY, Method.TOKENCODE)}
    with any_server.database.write() as connection:
        for method, token in tokens.items():
            begin_session(connection, token, Granted(alice.account_id, "alice", method), "", NOW)
    assert all(find_session(any_server, token, NOW) for token in tokens.values())
    alter(any_server, admin_failures=1)
    assert find_session(any_server, tokens[Method.PASSKEY], NOW) is not None
    assert find_session(any_server, tokens[Method.TOKENCODE], NOW) is None


def test_s47_an_inserted_grant_does_not_end_a_lock(any_server: Instance) -> None:
    """Locks of administrators end automatically. A row without a seal makes no administrator."""
    alice = a_user(any_server, "alice")
    with any_server.database.write() as connection:
        top = connection.execute(text("SELECT id FROM security_domain")).scalar_one()
        grant = {"id": "9" * 32, "role": SUPER_ADMINISTRATOR, "principal_id": alice.account_id, "domain_id": top}
        connection.execute(insert(tables.role_grant).values(**grant, created_at=NOW))
    fail(any_server, alice, LIMIT)
    count = account_row(any_server, "alice").count_at(InterfaceGroup.ELSEWHERE)
    assert (count.locked_at, count.locked_until) == (NOW, None)


def test_s47_each_change_has_the_next_version_and_its_event_names_it(any_server: Instance) -> None:
    alice = a_user(any_server, "alice", pin=PIN)
    granted(submit(any_server, alice, NOW))
    fail(any_server, alice, 2)
    granted(submit(any_server, alice, NOW + MINUTE))
    granted(submit(any_server, alice, NOW + 2 * MINUTE))
    events = logged_events(any_server, Action.SIGN_IN_GRANTED, Action.SIGN_IN_DENIED)
    told = [re.sub(r'"step":\d+', "S", row.detail) for row in events]
    assert told == [
        '{"method":"tokencode",S}',
        '{"counts_version":1}',
        '{"counts_version":2}',
        '{"cleared":true,"counts_version":3,"method":"tokencode",S}',
        '{"counts_version":3,"method":"tokencode",S}',
    ]
    assert account_row(any_server, "alice").counts_version == 3


def test_s47_no_row_from_before_an_unlock_fits_the_version_after_it(any_server: Instance) -> None:
    alice = a_user(any_server, "alice")
    versions = []
    for _ in range(3):
        fail(any_server, alice, 1)
        unlock(any_server, ROOT, "alice", now=NOW)
        versions.append(account_row(any_server, "alice").counts_version)
    assert min(versions) > 1_000
    assert len({*versions}) == 3
    told = [row.detail for row in logged_events(any_server, Action.ACCOUNT_UNLOCKED)]
    assert told == [f'{{"counts_version":{version}}}' for version in versions]


def test_s47_the_upgrade_seals_counts_as_it_finds_them_but_of_no_altered_user(any_server: Instance) -> None:
    alice, mallory = a_user(any_server, "alice"), a_user(any_server, "mallory")
    fail(any_server, alice, LIMIT - 1)
    alter(any_server, counts_seal=None)
    with any_server.database.write() as connection:
        row = tables.account.c.id == mallory.account_id
        connection.execute(update(tables.account).where(row).values(expires_at=NOW * 2))
    mark = MemorySealMark("0020")
    assert upgrade_database(any_server.database, any_server.keystore, mark, ROOT, NOW).sealed
    assert mark.sealed_at() == SEALED_SINCE
    assert account_row(any_server, "alice").failures == LIMIT - 1
    with any_server.database.read() as connection:
        assert unsealed(connection, tables.account) == [(mallory.account_id,)]
    alter(any_server, counts_seal=None)
    assert upgrade_database(any_server.database, any_server.keystore, mark, ROOT, NOW).sealed is None
