"""The PostgreSQL of the other tests: real, durable, one database per test, and removed afterwards."""

import os
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tools.postgresql import PostgresqlServer


def scalar(url: str, statement: str) -> object:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            return connection.execute(text(statement)).scalar()
    finally:
        engine.dispose()


def processes_of(directory: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(directory) in command:
                found.append(entry.name)
    return found


def test_postgresql_is_version_17_and_waits_for_commits(postgresql_url: str) -> None:
    assert str(scalar(postgresql_url, "SHOW server_version")).startswith("17.")
    assert scalar(postgresql_url, "SHOW synchronous_commit") == "on"
    assert scalar(postgresql_url, "SHOW listen_addresses") == "127.0.0.1"


@pytest.mark.parametrize("run", [1, 2])
def test_each_test_gets_an_empty_database(postgresql_url: str, run: int) -> None:
    assert scalar(postgresql_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    engine = create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_behind (run integer)"))
    engine.dispose()


def test_a_database_is_refused_without_the_password(postgresql_server: PostgresqlServer, postgresql_url: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://postgres:wrong@127.0.0.1:{postgresql_server.port}/postgres")


def test_database_url_names_both_databases(database_url: str, request: pytest.FixtureRequest) -> None:
    assert database_url.startswith(("sqlite:///", "postgresql+psycopg://"))
    assert scalar(database_url, "SELECT 1") == 1
    is_marked = request.node.get_closest_marker("services") is not None
    assert is_marked == database_url.startswith("postgresql")


@pytest.mark.services
def test_after_a_kill_committed_rows_remain_and_after_a_close_nothing() -> None:
    with PostgresqlServer() as server:
        url = server.create_database()
        assert scalar(url, "SHOW fsync") == "on"
        with psycopg.connect(server.libpq_url(url.rpartition("/")[2])) as connection:
            connection.execute("CREATE TABLE kept (n integer)")
            connection.execute("INSERT INTO kept VALUES (1)")
            connection.commit()
            connection.execute("INSERT INTO kept VALUES (2)")
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.commit()
        server.start()
        assert scalar(url, "SELECT sum(n) FROM kept") == 1
        directory = server._directory
        assert processes_of(directory)
    assert not directory.exists()
    assert processes_of(directory) == []
