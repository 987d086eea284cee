"""Migrations: they lead to exactly the tables of `tables.py`, on both databases, whole or not at all."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.engine.interfaces import ReflectedIndex

from sparekey.storage import schema
from sparekey.storage.engine import open_engine
from sparekey.storage.tables import metadata
from sparekey.storage.unit_of_work import Database

# on SQLite; what these indexes are is compared as text
pytestmark = [
    pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index"),
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index"),
]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def test_the_migrations_lead_to_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        differences = compare_metadata(context, metadata)
        operations = produce_migrations(context, metadata).upgrade_ops
        missing = render_python_code(operations) if operations else ""
    assert differences == [], f"a revision has to do this:\n{missing}"


def test_constraints_are_the_same_too(engine: Engine, tmp_path: Path) -> None:
    # compare_metadata does not look at primary keys, checks and the details of indexes
    schema.upgrade(engine)
    migrated, by_expression = constraints(engine), indexes_by_expression(engine)
    metadata.drop_all(engine)
    metadata.create_all(engine)
    assert migrated == constraints(engine)
    assert by_expression == indexes_by_expression(engine)


def indexes_by_expression(engine: Engine) -> set[str]:
    """Return the expression indexes as created. SQLAlchemy does not find them on SQLite."""
    if engine.dialect.name != "sqlite":
        return set()
    with engine.connect() as connection:
        made = connection.execute(text("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '%coalesce(%'"))
        return {" ".join(each.split()) for each in made.scalars()}


def constraints(engine: Engine) -> dict[str, object]:
    looked_at = inspect(engine)
    return {
        table: [
            looked_at.get_pk_constraint(table),
            sorted(looked_at.get_check_constraints(table), key=str),
            sorted(looked_at.get_unique_constraints(table), key=str),
            # without names, which SQLAlchemy does not find where SQLite added the column later
            sorted((key | {"name": None} for key in looked_at.get_foreign_keys(table)), key=str),
            sorted(index_words(index) for index in looked_at.get_indexes(table)),
            [(column["name"], str(column["type"]), column["nullable"]) for column in looked_at.get_columns(table)],
        ]
        for table in looked_at.get_table_names()
        if table != "alembic_version"
    }


def index_words(index: ReflectedIndex) -> list[str]:
    # the condition of a partial index is an object that equals only itself
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return [f"{name}={value}" for name, value in sorted((dict(index) | {"dialect_options": options}).items())]


def test_a_second_upgrade_changes_nothing(engine: Engine) -> None:
    schema.upgrade(engine)
    before = constraints(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO data_key (version, wrapped, created_at) VALUES (1, '', 1)"))
    schema.upgrade(engine)
    assert constraints(engine) == before
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM data_key")).scalar() == 1


def test_the_revisions_are_those_that_the_check_knows() -> None:
    config = Config()
    config.set_main_option("script_location", "sparekey.storage:migrations")
    config.set_main_option("path_separator", "os")
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert revisions[::-1] == schema.known_revisions()


def test_the_check_loads_no_alembic() -> None:
    program = "import sys; import sparekey.wiring.server; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_upgraded_database_is_current(engine: Engine) -> None:
    schema.upgrade(engine)
    schema.verify_current(engine)
    assert schema.current(engine) == schema.HEAD


def test_an_empty_database_names_the_next_step(engine: Engine) -> None:
    assert schema.current(engine) is None
    with pytest.raises(schema.SchemaError, match="run: sparekey init") as refused:
        schema.verify_current(engine)
    password = engine.url.password
    assert password is None or password not in str(refused.value)


def test_a_newer_database_is_left_alone(engine: Engine) -> None:
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(schema.SchemaError, match="newer"):
        schema.verify_current(engine)
    with pytest.raises(schema.SchemaError, match="newer"):
        schema.upgrade(engine)
    assert schema.current(engine) == "9999"


def test_s85_a_failed_upgrade_leaves_nothing(engine: Engine) -> None:
    # the last table of the first revision is in the way
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE emergency_showing (x INTEGER)"))
    with pytest.raises(Exception, match="emergency_showing"):
        schema.upgrade(engine)
    assert set(inspect(engine).get_table_names()) == {"emergency_showing"}


def test_two_upgrades_at_once_both_succeed(database_url: str) -> None:
    failures: list[Exception] = []

    def upgrade() -> None:
        engine = open_engine(database_url)
        try:
            schema.upgrade(engine)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test shows it
            failures.append(error)
        engine.dispose()

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
