"""Fixtures that every test directory may use: real databases, full counts; and the check for `make faults`.

Rules: a fixture that starts a process is used only by tests marked `services`; a database is never shared by two tests.
"""

import gc
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import sparekey
from sparekey.storage import schema
from sparekey.storage.engine import open_engine
from sparekey.storage.unit_of_work import Database
from tests.clean_databases import CleanDatabases
from tests.order import group_of, stretches
from tests.quick_argon2 import choose_argon2
from tests.shared_statements import open_copy, open_database
from tests.swtpm import Swtpm
from tools.counts import Count
from tools.postgresql import PostgresqlServer

SERVICES = pytest.mark.services
_HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="full counts: what `make soak` runs, minutes to hours a test")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Order(), "order of tests")
    # no deadlines: the machine is shared, and a slow example is no wrong one
    relaxed = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("small", relaxed, max_examples=50)
    settings.register_profile("full", relaxed, max_examples=5000)
    settings.load_profile("full" if config.getoption("--full") else "small")
    # `make faults` names the copy with the planted fault: a run that tests the real tree by mistake proves nothing.
    copy = os.environ.get("SPAREKEY_FAULT_COPY")
    if copy and not Path(sparekey.__file__).resolve().is_relative_to(Path(copy).resolve()):
        pytest.exit(f"sparekey was imported from {sparekey.__file__}, not from the copy {copy}", returncode=3)


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by the marks that are set here
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests that need PostgreSQL or a TPM. Split counted tests: small counts here, full ones under `--full`."""
    full = config.getoption("--full")
    for item in items:
        if {"postgresql_server", "swtpm"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(SERVICES)
        if full and is_counted(item):
            item.add_marker(pytest.mark.soak)
    if not full:
        big = [item for item in items if item.get_closest_marker("soak")]
        if big:
            items[:] = [item for item in items if not item.get_closest_marker("soak")]
            config.hook.pytest_deselected(items=big)


class _Order:
    """A separate plugin, because a module can have only one hook of each name."""

    @pytest.hookimpl(trylast=True)  # after they were shuffled, and chosen by `-m`
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        groups: dict[str, list[pytest.Item]] = {"": []}
        for item in items:
            groups.setdefault(group_of(item.path.relative_to(_HERE)), []).append(item)
        short = groups.pop("")
        items[:] = stretches(groups, short, getattr(config, "workerinput", {}).get("workercount", 1))


@pytest.hookimpl(tryfirst=True)  # before the fixtures of the test, wider ones among them
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the test hash quickly, if no other process shares its hashes."""
    has_mark = item.get_closest_marker("real_argon2") or item.get_closest_marker("alone")
    choose_argon2(item.path.relative_to(_HERE), has_mark=has_mark is not None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip other files under `-m alone`, which needs only a few."""
    is_test = config.option.markexpr == "alone" and collection_path.suffix == ".py"
    return True if is_test and "mark.alone" not in collection_path.read_text(encoding="utf-8") else None


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # all modules and tests: they stay to the end, and each collection of garbage would look through them


def is_counted(item: pytest.Item) -> bool:
    """Return True if a test has a full count: by the fixture `count`, or as the property test of an S-requirement."""
    if "count" in getattr(item, "fixturenames", ()):
        return True
    is_property = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    return is_property and re.match(r"test_s\d\d", item.name) is not None


@pytest.fixture(scope="session")  # for property tests, which take no narrower fixture
def count(request: pytest.FixtureRequest) -> Count:
    """Return `count(small=20, full=1000)`, which gives the number of rounds. `make soak` repeats tests that use it."""
    return Count(is_full=request.config.getoption("--full"))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One PostgreSQL 17 for the whole run, started at its first use.

    It does not wait for the disk: no test cuts the power, and what a killed process has written is kept.
    """
    with PostgresqlServer({"fsync": "off", "full_page_writes": "off"}) as server:
        yield server


@pytest.fixture(scope="session")
def clean_databases(postgresql_server: PostgresqlServer) -> Iterator[CleanDatabases]:
    """Lend PostgreSQL databases with empty tables; migrations run once."""
    url = postgresql_server.create_database()
    _make_tables(url)
    with closing(CleanDatabases(postgresql_server, url.rpartition("/")[2])) as databases:
        yield databases


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with its tables and nothing in them, to be copied."""
    path = tmp_path_factory.mktemp("tables") / "sparekey.db"
    _make_tables(f"sqlite:///{path}")
    return path


def _make_tables(url: str) -> None:
    engine = open_engine(url)
    schema.upgrade(engine)
    engine.dispose()  # SQLite merges its log now; PostgreSQL copies only databases without connections


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest, postgresql_server: PostgresqlServer) -> Iterator[str]:
    """The SQLAlchemy URL of a PostgreSQL database of this test's own: empty unless the test takes `database`, too."""
    if "database" in request.fixturenames:
        databases: CleanDatabases = request.getfixturevalue("clean_databases")
        with databases.one() as url:
            yield url
    else:
        url = postgresql_server.create_database()
        yield url
        postgresql_server.drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=SERVICES)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The SQLAlchemy URL of a database of this test's own, empty unless the test takes `database`, too.

    The test runs on an SQLite file and on PostgreSQL.
    """
    if request.param == "sqlite":
        path = tmp_path / "sparekey.db"
        if "database" in request.fixturenames:
            shutil.copy(request.getfixturevalue("sqlite_with_tables"), path)  # its mode with it: the owner's only
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database with its tables: the test runs on an SQLite file and on PostgreSQL."""
    database = open_database(database_url)
    yield database
    database.close()


@pytest.fixture
def memory_database(sqlite_with_tables: Path) -> Iterator[Database]:
    """A fresh database with its tables, SQLite in memory: for tests where the kind of database is not the point."""
    database = open_copy(sqlite_with_tables)
    yield database
    database.close()


@pytest.fixture
def swtpm() -> Iterator[Swtpm]:
    """Yield an unused TPM in software."""
    with Swtpm() as started:
        yield started
