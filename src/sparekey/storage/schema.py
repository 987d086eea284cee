"""Upgrades the tables of the database to those of this version, and checks that they are current.

Rules: all steps of an upgrade are one transaction; of two upgrades at once, one waits for the other; a database of a
newer version is refused, never changed.
"""

from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

_LOCK: Final = 0x5350_4152_454B_4559  # names the upgrade among PostgreSQL's advisory locks


class SchemaError(RuntimeError):
    """The database's tables are not those of this version. The message says what to do."""


def upgrade(engine: Engine) -> None:
    """Create or upgrade the tables; do nothing if they are current.

    Raises SchemaError if the database belongs to a newer version.
    """
    with engine.begin() as connection:
        upgrade_in(connection)


def upgrade_in(connection: Connection, target: str = "head") -> str | None:
    """Create or upgrade the tables in the caller's transaction, so that later writes are committed with them.

    Return the revision before; None: there were no tables. `target`: an earlier revision, for tests. Raises SchemaError
    if the database belongs to a newer version.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    revision = _revision(connection)
    if revision is not None and revision not in _known_revisions():
        raise SchemaError(_newer(revision))
    command.upgrade(_config(connection), target)
    return revision


def current(engine: Engine) -> str | None:
    """Return the revision of the database; None: it has no tables of Sparekey."""
    with engine.connect() as connection:
        return _revision(connection)


def verify_current(engine: Engine) -> None:
    """Raise SchemaError unless the database is at this version's revision."""
    revision = current(engine)
    if revision == head():
        return
    if revision is None:
        raise SchemaError(nothing_there(engine))
    if revision in _known_revisions():
        place = engine.url.render_as_string(hide_password=True)
        raise SchemaError(f"{place} is at revision {revision}, this version needs {head()}; run: sparekey upgrade")
    raise SchemaError(_newer(revision))


def nothing_there(engine: Engine) -> str:
    """Return the message for a database without tables of Sparekey."""
    return f"{engine.url.render_as_string(hide_password=True)} holds no Sparekey database; run: sparekey init"


def head() -> str:
    """Return the newest revision that this version knows. Raises SchemaError if the build has no migrations."""
    revision = _script().get_current_head()
    if revision is None:  # pragma: no cover - a build without its migrations
        raise SchemaError("this build holds no migrations; install it again")
    return revision


def _newer(revision: str) -> str:
    return f"the database is at revision {revision}, which this version does not know; install a newer Sparekey"


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known_revisions() -> set[str]:
    return {script.revision for script in _script().walk_revisions()}


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "sparekey.storage:migrations")
    config.set_main_option("path_separator", "os")
    return config
