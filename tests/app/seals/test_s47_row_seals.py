"""Row seals at work: an intruder with SQL write access gains nothing, and administrators get an alarm (S47)."""

import hashlib

import pytest
from sqlalchemy import insert, select, text, update

from sparekey.app.authorisation import actor_of
from sparekey.app.devices.devices import enrol
from sparekey.app.instance import Instance
from sparekey.app.people.admin_links import look_at_link, make_link
from sparekey.app.people.users import set_enabled
from sparekey.app.policies.policies import add_policy, make_default
from sparekey.app.row_seals import TOLD_AGAIN_AFTER, protect
from sparekey.app.server.upgrade import upgrade_database
from sparekey.app.sessions.administrators import begin_session, find_session, new_token
from sparekey.app.sessions.clients import add_client, find_client_interface
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import NotFound
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import Method
from sparekey.core.sign_in.outcome import Granted
from sparekey.storage import tables
from sparekey.storage.people import accounts
from sparekey.storage.rows import by_name
from sparekey.storage.seal_sides import SEALED_SINCE
from sparekey.storage.sealed_rows import insert_row, unsealed, update_rows
from sparekey.wire.enrolment import secret_hash
from tests.builders import NOW, ROOT, a_user, an_invited_device, denied, granted, logged_events, submit
from tests.memory_keystore import MemorySealMark
from tests.server.interfaces import make_administrator


def alarms(server: Instance) -> list[str]:
    return [row.detail for row in logged_events(server, Action.ALARM_ROW_ALTERED)]


def test_s47_an_inserted_grant_makes_no_super_administrator(any_server: Instance) -> None:
    mallory = a_user(any_server)
    with any_server.database.write() as connection:
        top = connection.execute(select(tables.security_domain.c.id)).scalar_one()
        grant = {"id": "9" * 32, "role": SUPER_ADMINISTRATOR, "principal_id": mallory.account_id, "domain_id": top}
        connection.execute(insert(tables.role_grant).values(**grant, created_at=NOW))
    with any_server.database.read() as connection:
        assert actor_of(connection, mallory.account_id).grants == ()
    (alarm,) = alarms(any_server)
    assert alarm == '{"row":"99999999999999999999999999999999","table":"role_grant"}'


def test_s47_two_logins_that_were_swapped_sign_nobody_in(any_server: Instance) -> None:
    alice, bob = a_user(any_server, "alice"), a_user(any_server, "bob")
    with any_server.database.write() as connection:
        for user, login in ((alice, "x"), (bob, "alice"), (alice, "bob")):
            connection.execute(update(tables.account).where(tables.account.c.id == user.account_id).values(login=login))
    assert denied(submit(any_server, alice, NOW, bob.typed(NOW))).account_id is None
    assert len(alarms(any_server)) == 1


def test_s47_a_token_without_its_pin_is_refused(any_server: Instance) -> None:
    alice = a_user(any_server, pin="4711abcd")
    with any_server.database.write() as connection:
        connection.execute(update(tables.token).values(with_pin=False, pin_sealed=None))
    denied(
        submit(
            any_server,
            alice,
            NOW,
        )
    )
    assert len(alarms(any_server)) == 1


def test_s47_an_inserted_default_policy_is_left_out(any_server: Instance) -> None:
    alice = a_user(any_server)
    with any_server.database.write() as connection:
        row = by_name(connection.execute(select(tables.lockout_policy)).one())
        connection.execute(insert(tables.lockout_policy).values(**row | {"id": "8" * 32, "name": "old"}))
    granted(submit(any_server, alice, NOW))
    assert len(alarms(any_server)) == 1


def test_s47_an_old_default_put_back_signs_nobody_in(any_server: Instance) -> None:
    """An older row of a policy that was the default is sealed, and would be in force beside the default."""
    alice = a_user(any_server)
    add_policy(any_server, ROOT, PolicyKind.LOCKOUT, "New", {}, now=NOW)
    with any_server.database.read() as connection:
        old = dict(
            connection.execute(select(tables.lockout_policy).where(tables.lockout_policy.c.is_default)).one()._mapping
        )
    make_default(any_server, ROOT, PolicyKind.LOCKOUT, "New", confirmed=True, now=NOW)
    with any_server.database.write() as connection:
        connection.execute(update(tables.lockout_policy).where(tables.lockout_policy.c.id == old["id"]).values(**old))
    denied(submit(any_server, alice, NOW))
    assert len(alarms(any_server)) == 2


def test_s47_a_later_change_seals_no_altered_row(any_server: Instance) -> None:
    alice = a_user(any_server, "alice")
    with any_server.database.write() as connection:
        connection.execute(update(tables.account).values(expires_at=NOW + 9_999))
        assert not accounts.set_enabled(connection, alice.account_id, enabled=False)
        assert update_rows(connection, tables.account, [], {"name": "Alice"}) == 0
        assert unsealed(connection, tables.account) == [(alice.account_id,)]
        row = connection.execute(select(tables.account)).one()
    assert (row.name, row.enabled) == ("Alice", False)  # the change itself went through
    denied(submit(any_server, alice, NOW))


def test_s47_an_altered_user_is_not_found_by_operators(any_server: Instance) -> None:
    a_user(any_server, "alice")
    with any_server.database.write() as connection:
        connection.execute(update(tables.account).values(enabled=False))
    with pytest.raises(NotFound):
        set_enabled(any_server, ROOT, "alice", enabled=True, now=NOW)
    assert len(alarms(any_server)) == 1


def test_s47_each_altered_row_has_one_alarm_a_minute(server: Instance) -> None:
    alice, moment = a_user(server), [NOW]
    protect(server.database, server.vault, lambda: moment[0])
    with server.database.write() as connection:
        connection.execute(update(tables.account).values(enabled=True, expires_at=NOW * 2))
    for _ in range(5):
        denied(submit(server, alice, NOW))
    assert len(alarms(server)) == 1
    moment[0] += TOLD_AGAIN_AFTER
    denied(submit(server, alice, NOW))
    denied(submit(server, alice, NOW))
    assert len(alarms(server)) == 2


def test_s47_only_the_first_upgrade_seals_what_it_finds(any_server: Instance) -> None:
    alice, mark = a_user(any_server), MemorySealMark(SEALED_SINCE)
    database = any_server.database
    with database.write() as connection:
        connection.execute(update(tables.account).values(expires_at=NOW * 2, seal=None))
    assert upgrade_database(database, any_server.keystore, mark, ROOT, NOW).sealed is None
    denied(submit(any_server, alice, NOW))
    # nor does an instance without the mark, because rows that others sealed with the same keys show that it was done
    assert upgrade_database(database, any_server.keystore, MemorySealMark(), ROOT, NOW).sealed is None
    denied(submit(any_server, alice, NOW))


def test_s47_the_first_upgrade_seals_every_row(any_server: Instance) -> None:
    alice, mark = a_user(any_server), MemorySealMark()
    with any_server.database.write() as connection:
        for table in ("account", "token", "security_domain", "lockout_policy", "token_policy", "offline_policy"):
            connection.execute(text(f"UPDATE {table} SET seal = NULL"))
    denied(submit(any_server, alice, NOW))
    done = upgrade_database(any_server.database, any_server.keystore, mark, ROOT, NOW)
    assert done.sealed is not None
    assert mark.sealed_at() == SEALED_SINCE
    granted(submit(any_server, alice, NOW))


def test_disabling_and_enabling_keep_the_seal(any_server: Instance) -> None:
    alice = a_user(any_server, "alice")
    set_enabled(any_server, ROOT, "alice", enabled=False, now=NOW)
    denied(submit(any_server, alice, NOW))
    set_enabled(any_server, ROOT, "alice", enabled=True, now=NOW)
    granted(submit(any_server, alice, NOW + 60))
    assert alarms(any_server) == []


def test_s47_an_inserted_session_is_never_found(any_server: Instance) -> None:
    """The session of a token of the intruder's own, under the hash that was its id before ids had a key."""
    alice, token = a_user(any_server), new_token()
    make_administrator(any_server, alice.login)
    digest = hashlib.sha256(b"sparekey/1/session" + token.reveal().encode()).hexdigest()
    row: dict[str, object] = {"id": digest, "account_id": alice.account_id, "created_at": NOW, "last_used_at": NOW}
    row |= {"expires_at": NOW + 999, "second_factor_at": NOW, "method": "passkey", "address": ""}
    with any_server.database.write() as connection:
        insert_row(connection, tables.admin_session, row)  # even with a seal: the id is not the one of the token
    assert find_session(any_server, token, NOW) is None
    with any_server.database.write() as connection:
        begin_session(connection, token, Granted(alice.account_id, alice.login, Method.PASSKEY), "", NOW)
    assert find_session(any_server, token, NOW) is not None


def test_s47_what_is_out_goes_on_working_after_the_upgrade(any_server: Instance) -> None:
    """Keys, sessions, links and invitations from before ids had a key."""
    alice, token = a_user(any_server, "alice"), new_token()
    make_administrator(any_server, "alice")
    key = add_client(any_server, ROOT, "web", now=NOW)
    link = make_link(any_server, ROOT, now=NOW)
    request = an_invited_device(any_server)
    with any_server.database.write() as connection:
        begin_session(connection, token, Granted(alice.account_id, "alice", Method.PASSKEY), "", NOW)
        former = {
            tables.admin_session.c.id: hashlib.sha256(b"sparekey/1/session" + token.reveal().encode()).hexdigest(),
            tables.admin_link.c.id: hashlib.sha256(b"sparekey/1/admin-link" + link.code.reveal().encode()).hexdigest(),
            tables.api_client.c.key_hash: hashlib.sha256(b"sparekey/1/client-key" + key.reveal().encode()).digest(),
            tables.device_invitation.c.secret_hash: secret_hash(request.secret),
        }
        for column, value in former.items():
            connection.execute(update(column.table).values({column.name: value}))
        for name in ("security_domain", *(column.table.name for column in former)):
            connection.execute(text(f"UPDATE {name} SET seal = NULL"))
    assert find_session(any_server, token, NOW) is None
    upgrade_database(any_server.database, any_server.keystore, MemorySealMark(), ROOT, NOW)
    assert find_session(any_server, token, NOW) is not None
    assert find_client_interface(any_server, key, "192.0.2.7", NOW) is not None
    assert look_at_link(any_server, link.code, NOW).expires_at > NOW
    assert enrol(any_server, request, now=NOW).device_id


def test_s47_a_used_step_cannot_be_set_back_to_one_of_the_intruders_choice(any_server: Instance) -> None:
    alice = a_user(any_server)
    granted(submit(any_server, alice, NOW))
    with any_server.database.write() as connection:
        connection.execute(update(tables.token).values(last_step=0))
    denied(submit(any_server, alice, NOW))
    denied(submit(any_server, alice, NOW + 60))
    assert len(alarms(any_server)) == 1
    with any_server.database.write() as connection:
        connection.execute(update(tables.token).values(last_step=alice.step(NOW)))
    granted(submit(any_server, alice, NOW + 60))
