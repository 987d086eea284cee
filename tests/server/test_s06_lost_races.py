"""S06: a lost race clears no count; an error on the way does not reveal whether a guess was right."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, text

from sparekey.app.tokens.tokens import set_lost
from sparekey.core.policy.lockout import LockoutPolicy
from sparekey.core.reasons import Method
from sparekey.core.sign_in.outcome import Granted
from sparekey.storage import schema
from sparekey.storage.sign_in import statements as stored
from sparekey.storage.unit_of_work import Database
from tests.builders import NOW, ROOT, a_user, account_row, an_instance, denied, granted, submit, token_row
from tests.server.interfaces import interfaces_of, is_granted, run
from tests.shared_statements import open_database

IMPATIENT = "200ms"


def test_s06_an_accept_that_comes_too_late_clears_no_failures(database: Database) -> None:
    instance = an_instance(database)
    alice = a_user(instance)
    early = Granted(alice.account_id, alice.login, Method.TOKENCODE, alice.token_id, alice.step(NOW), 0)
    for _ in range(1):
        submit(instance, alice, NOW, alice.wrong(NOW))
    set_lost(instance, ROOT, alice.serial, lost=True, now=NOW)
    with database.write() as connection:
        denied(stored.commit(connection, early, NOW, LockoutPolicy()))
    assert account_row(instance, alice.login).failures == 2
    assert token_row(instance, alice.serial).last_step == 0
    set_lost(instance, ROOT, alice.serial, lost=False, now=NOW)
    granted(submit(instance, alice, NOW))
    assert account_row(instance, alice.login).failures == 0


@pytest.fixture
def impatient(postgresql_url: str) -> Iterator[Database]:
    """A PostgreSQL database that waits for a lock for a moment only."""
    database = open_database(postgresql_url)

    @event.listens_for(database.engine, "connect")
    def hurry(connection: Any, _: object) -> None:
        connection.execute(f"SET lock_timeout = '{IMPATIENT}'")
        connection.commit()

    schema.upgrade(database.engine)
    yield database
    database.close()


def test_s06_where_nothing_can_be_counted_the_answer_does_not_depend_on_the_guess(impatient: Database) -> None:
    instance = an_instance(impatient)
    alice = a_user(instance)
    with interfaces_of(instance) as interfaces:
        with impatient.write() as busy:
            busy.execute(text("SELECT id FROM account FOR UPDATE"))
            replies = [
                run(interfaces.rest(alice.login, typed.reveal())) for typed in (alice.typed(NOW), alice.wrong(NOW))
            ]
        assert [reply.status for reply in replies] == [503, 503]
        assert replies[0].body == replies[1].body
        assert account_row(instance, alice.login).failures == 0
        assert is_granted(run(interfaces.rest(alice.login, alice.typed(NOW).reveal())))


@pytest.mark.services
def test_s09_a_connection_that_breaks_under_an_accept_is_no_answer(postgresql_url: str) -> None:
    database = open_database(postgresql_url)
    schema.upgrade(database.engine)
    instance = an_instance(database)
    alice = a_user(instance)
    typed = alice.typed(NOW).reveal()
    with interfaces_of(instance) as interfaces, ThreadPoolExecutor(1) as person:
        with database.write() as busy:
            busy.execute(text("SELECT id FROM account FOR UPDATE"))
            answer = person.submit(lambda: run(interfaces.rest(alice.login, typed)))
            while not _break_waiting_connection(database):
                assert not answer.done()
                threading.Event().wait(0.01)
            assert answer.result().status == 503
        assert token_row(instance, alice.serial).last_step == 0
        assert is_granted(run(interfaces.rest(alice.login, typed)))
    database.close()


def _break_waiting_connection(database: Database) -> bool:
    """Break the connection that waits for a lock; return whether there was one."""
    query = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with database.glance() as connection:
        return bool(connection.execute(query).all())
