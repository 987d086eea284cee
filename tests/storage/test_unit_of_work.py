"""Promises of a transaction: one snapshot, all or nothing, one winner of each race, on both databases."""

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from sparekey.storage.tables import account, data_key
from sparekey.storage.unit_of_work import Database


def add_key(connection: Connection, version: int) -> None:
    connection.execute(insert(data_key), {"version": version, "wrapped": b"w", "created_at": 0})


def versions(connection: Connection) -> list[int]:
    return list(connection.execute(select(data_key.c.version).order_by(data_key.c.version)).scalars())


def in_threads(number: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_committed_rows_stay(database: Database) -> None:
    with database.write() as connection:
        add_key(connection, 1)
    with database.read() as connection:
        assert versions(connection) == [1]


def test_an_exception_takes_everything_back(database: Database) -> None:
    def fail_after_writing() -> None:
        with database.write() as connection:
            add_key(connection, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_writing()
    with database.read() as connection:
        assert versions(connection) == []


def test_a_read_sees_one_snapshot(database: Database) -> None:
    with database.write() as connection:
        add_key(connection, 1)
    with database.read() as reader:
        assert versions(reader) == [1]
        with database.write() as writer:
            add_key(writer, 2)
        assert versions(reader) == [1]
    with database.read() as reader:
        assert versions(reader) == [1, 2]


def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"), database.read() as connection:
        add_key(connection, 1)
    with database.write() as connection:  # and the connection is as good as before
        add_key(connection, 2)
    with database.read() as connection:
        assert versions(connection) == [2]


def test_uncommitted_rows_are_not_seen(database: Database) -> None:
    with database.write() as writer:
        add_key(writer, 1)
        with database.read() as reader:
            assert versions(reader) == []


def test_references_are_enforced(database: Database) -> None:
    row = {"id": "a", "login": "a", "name": "A", "domain_id": "none", "enabled": True, "failures": 0, "created_at": 0}
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(account), row)


def test_one_conditional_write_has_one_winner(database: Database) -> None:
    with database.write() as connection:
        add_key(connection, 1)
    won: list[int] = []

    def attempt(index: int) -> None:
        with database.write() as connection:
            raised = update(data_key).where(data_key.c.created_at < 7).values(created_at=7)
            if connection.execute(raised).rowcount == 1:
                won.append(index)

    in_threads(8, attempt)
    assert len(won) == 1


def test_writers_of_one_process_all_get_their_turn(database: Database) -> None:
    def add(index: int) -> None:
        for round_ in range(10):
            with database.write() as connection:
                add_key(connection, index * 100 + round_)

    in_threads(8, add)
    with database.read() as connection:
        assert len(versions(connection)) == 80


def test_threads_share_a_database_in_memory(memory_database: Database) -> None:
    def add(index: int) -> None:
        with memory_database.write() as connection:
            add_key(connection, index)
        with memory_database.read() as connection:
            assert index in versions(connection)

    in_threads(8, add)
    with memory_database.read() as connection:
        assert versions(connection) == list(range(8))


COUNT_UP = """
import sys
from sqlalchemy import text
from sparekey.storage.engine import open_engine
from sparekey.storage.unit_of_work import Database

database = Database(open_engine(sys.stdin.readline().strip()))
with database.read() as connection:
    print("ready", flush=True)
sys.stdin.readline()
for _ in range(200):
    with database.write() as connection:
        # read, then write: without BEGIN IMMEDIATE this fails on SQLite as soon as another process wrote in between
        connection.execute(text("SELECT created_at FROM data_key")).scalar()
        connection.execute(text("UPDATE data_key SET created_at = created_at + 1"))
database.close()
"""


@pytest.mark.services
def test_s83_writers_of_several_processes_wait_for_each_other(database: Database, database_url: str) -> None:
    with database.write() as connection:
        add_key(connection, 1)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT_UP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin
        assert process.stdout
        process.stdin.write(database_url + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in processes] == ["", "", ""]
    with database.read() as connection:
        assert connection.execute(text("SELECT created_at FROM data_key")).scalar() == 600
