"""Brings the database to the tables that this version needs, and says whether it is there.

Rules: all steps of an upgrade are one transaction; two upgrades at once wait for one another; a database made by a
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
    """The database's tables are not those of this version; says what to do."""


def upgrade(engine: Engine) -> None:
    """Makes or brings forward the tables; does nothing when they are current. Raises SchemaError."""
    with engine.begin() as connection:
        upgrade_in(connection)


def upgrade_in(connection: Connection, target: str = "head") -> str | None:
    """The same within the caller's transaction, so that what follows is there with the tables or not at all.

    The revision before; None: there were no tables. `target`: a test stops at an earlier one.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    revision = _revision(connection)
    if revision is not None and revision not in _known_revisions():
        raise SchemaError(_newer(revision))
    command.upgrade(_config(connection), target)
    return revision


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None: it has no tables of ours."""
    with engine.connect() as connection:
        return _revision(connection)


def verify_current(engine: Engine) -> None:
    """Raises SchemaError unless the database is at this version's revision."""
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
    """That this is no database of ours, and what to do."""
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
