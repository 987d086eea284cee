"""Upgrades the tables of the database to those of this version, and checks that they are current.

Rules:
- All steps of an upgrade are one transaction; of two upgrades at once, one waits for the other.
- A database of a newer version is refused, never changed.
- Only an upgrade loads Alembic and the revisions. The check runs at the start of each command and of the server, and
  reads one row. A test compares HEAD with the revisions.
"""

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, inspect, text

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0021"
"""The newest revision that this version knows."""
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
    if revision is not None:
        verify_known(connection)
    if revision == HEAD and target == "head":
        return revision
    from alembic import command  # noqa: PLC0415 -- takes longer to load than most commands take to run

    command.upgrade(_config(connection), target)
    return revision


def current(engine: Engine) -> str | None:
    """Return the revision of the database; None: it has no tables of Sparekey."""
    with engine.connect() as connection:
        return current_in(connection)


def current_in(connection: Connection) -> str | None:
    """Return the revision of the connection's database; None: it has no tables of Sparekey."""
    return _revision(connection)


def verify_current(engine: Engine) -> None:
    """Raise SchemaError unless the database is at this version's revision."""
    revision = current(engine)
    if revision == HEAD:
        return
    if revision is None:
        raise SchemaError(_nothing_there(engine))
    if revision in known_revisions():
        place = engine.url.render_as_string(hide_password=True)
        raise SchemaError(f"{place} is at revision {revision}, this version needs {HEAD}; run: sparekey upgrade")
    raise SchemaError(_newer(revision))


def verify_known(connection: Connection) -> None:
    """Raise SchemaError if the database has no tables of Sparekey, or those of a newer version."""
    revision = _revision(connection)
    if revision is None:
        raise SchemaError(_nothing_there(connection.engine))
    if revision not in known_revisions():
        raise SchemaError(_newer(revision))


def _nothing_there(engine: Engine) -> str:
    return f"{engine.url.render_as_string(hide_password=True)} holds no Sparekey database; run: sparekey init"


def known_revisions() -> list[str]:
    """Return the revisions that this version knows, the oldest first: four digits, counted from 1."""
    return [f"{number:04}" for number in range(1, int(HEAD) + 1)]


def _newer(revision: str) -> str:
    return f"the database is at revision {revision}, which this version does not know; install a newer Sparekey"


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _config(connection: Connection) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 -- see above

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "sparekey.storage:migrations")
    config.set_main_option("path_separator", "os")
    return config
