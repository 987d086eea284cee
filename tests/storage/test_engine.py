"""Opening the database: durability, privacy, and refused addresses."""

import stat
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from sparekey.storage.engine import DatabaseFileError, DatabaseUrlError, open_engine
from sparekey.storage.unit_of_work import Database


def pragma(database: Database, name: str) -> object:
    with database.read() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


@pytest.fixture
def file_database(tmp_path: Path) -> Database:
    return Database(open_engine(f"sqlite:///{tmp_path / 'x.db'}"))


def test_a_commit_on_sqlite_is_on_disk(file_database: Database) -> None:
    assert pragma(file_database, "journal_mode") == "wal"
    assert pragma(file_database, "synchronous") == 2  # FULL
    assert pragma(file_database, "foreign_keys") == 1
    file_database.close()


def test_s26_the_sqlite_files_are_for_their_owner(file_database: Database, tmp_path: Path) -> None:
    with file_database.write() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}
    file_database.close()


def test_s26_a_sqlite_file_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch(mode=0o644)
    with pytest.raises(DatabaseFileError, match="chmod 600"):
        open_engine(f"sqlite:///{tmp_path / 'x.db'}")


def test_s26_a_link_in_the_place_of_the_sqlite_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.db").touch(mode=0o600)
    (tmp_path / "x.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(DatabaseFileError, match="no regular file"):
        open_engine(f"sqlite:///{tmp_path / 'x.db'}")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseFileError, match="missing"):
        open_engine(f"sqlite:///{tmp_path / 'missing' / 'x.db'}")


@pytest.mark.parametrize(
    "url",
    ["", "x.db", "mysql://u:hush@h/d", "postgresql+asyncpg://u:hush@h/d", "sqlite:///x.db?mode=memory", "://hush"],
)
def test_another_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(DatabaseUrlError, match=r"give sqlite:////PATH") as refused:
        open_engine(url)
    assert "hush" not in str(refused.value)


def test_the_commits_on_postgresql_are_on_disk(postgresql_url: str) -> None:
    database = Database(open_engine(postgresql_url))
    with database.write() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "read committed"
    with database.read() as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "repeatable read"
    with database.write() as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "read committed"
    database.close()


def test_s65_an_error_does_not_show_the_values(database: Database) -> None:
    values = {"version": 1, "wrapped": b"hush", "now": "hush"}
    with pytest.raises(DBAPIError) as failed, database.write() as connection:
        connection.execute(text("INSERT INTO no_table VALUES (:version, :wrapped, :now)"), values)
    assert "hush" not in str(failed.value)
    assert "hush" not in repr(failed.value)
