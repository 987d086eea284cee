"""S47: genuine acts in any order are no difference to the watch, and each row put back is one.

An attacker who can write to the database puts back one row as it was before: an old version, a deleted one, or none.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from hypothesis import assume, event, given, reject
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, delete, insert, select
from sqlalchemy.exc import IntegrityError

from sparekey.app.audit_log.sequencer import chain
from sparekey.app.audit_log.watcher import Watcher
from sparekey.app.ports import KeyPurpose
from sparekey.core.audit_log.watched import Difference
from sparekey.keystore.watch_file import WatchFile
from sparekey.storage import tables
from tests.builders import an_instance
from tests.memory_keystore import MemoryCheckpoints
from tests.properties.examples import few_examples
from tests.properties.watched_acts import ACTS, Scene
from tests.shared_statements import open_copy

Values = tuple[object, ...]
Rows = Mapping[tuple[str, str], Mapping[str, object]]  # by table and id

# The columns of each table that the watch compares, as it must find each of them put back.
WATCHED: Final[Mapping[Table, tuple[str, ...]]] = {
    tables.account: ("domain_id", "enabled", "expires_at", "counts_version"),
    tables.token: (
        "account_id",
        "enabled",
        "lost",
        "expires_at",
        "last_step",
        "pin_set_at",
        "pin_must_change",
        "offline_code_online",
    ),
    tables.device: ("revoked_at",),
    tables.device_invitation: ("used_at",),
    tables.api_client: ("revoked_at",),
    tables.passkey: ("account_id",),
    tables.role: ("permissions",),
    tables.role_grant: ("role", "principal_id", "domain_id"),
    tables.security_domain: ("parent_id", *(f"{kind}_policy_id" for kind in ("offline", "token", "lockout"))),
    tables.offline_policy: ("revision", "is_default"),
    tables.token_policy: ("revision", "is_default"),
    tables.lockout_policy: ("revision", "is_default"),
    tables.online_emergency: ("created_at",),
    tables.admin_link: ("used_at",),
}
# A row whose disappearance is no roll back: it only takes away what works once.
MAY_VANISH: Final = (tables.device_invitation, tables.admin_link)

acts = st.lists(st.tuples(st.sampled_from(sorted(ACTS)), *[st.integers(0, 11)] * 3), min_size=1, max_size=10)


@contextmanager
def a_world(sqlite_with_tables: Path) -> Iterator[Scene]:
    database = open_copy(sqlite_with_tables)
    try:
        yield Scene.of(an_instance(database))
    finally:
        database.close()


def chained(world: Scene) -> None:
    chain(world.server.database, world.server.keystore, MemoryCheckpoints(), world.now)


def found(world: Scene, book: WatchFile) -> set[Difference]:
    """Return the differences of a whole round."""
    public_key = world.server.keystore.public_key(KeyPurpose.CHECKPOINT)
    watcher = Watcher(world.server.database, public_key, book, alarms=False)
    differences: set[Difference] = set()
    while True:
        step = watcher.step(world.now)
        assert not step.altered
        differences |= {*step.differences}
        if step.round_ended:
            return differences


def rows(connection: Connection) -> Rows:
    every = {}
    for table in WATCHED:
        key = next(iter(table.primary_key)).name
        for row in connection.execute(select(table)).mappings():
            every[table.name, str(row[key])] = dict(row)
    return every


def put_back(connection: Connection, table: Table, key: str, row: Mapping[str, object] | None) -> None:
    """Put a row back as an attacker with the database's password."""
    connection.execute(delete(table).where(next(iter(table.primary_key)) == key))
    if row is not None:
        connection.execute(insert(table).values(**row))


def rolled_back(table: Table, before: Mapping[str, object] | None, after: Mapping[str, object] | None) -> bool:
    """Return True if the watch must notice that `before` takes the place of `after`."""
    if before is None or after is None:
        return not (before is None and table in MAY_VANISH)
    return any(_decides(table, name, before) != _decides(table, name, after) for name in WATCHED[table])


def _decides(table: Table, column: str, row: Mapping[str, Any]) -> object:
    # Only that they were revoked or used decides, not when.
    once = column in ("revoked_at", "used_at")
    return row[column] is not None if once else row[column]


@few_examples
@given(acts=acts, chain_each=st.integers(1, 8))
def test_s47_genuine_acts_are_no_difference(
    sqlite_with_tables: Path, acts: list[tuple[str, int, int, int]], chain_each: int
) -> None:
    with a_world(sqlite_with_tables) as world, closing(WatchFile.temporary()) as book:
        for number, act in enumerate(acts):
            world.do(*act)
            if number % chain_each == 0:
                chained(world)
            if number % 3 == 0:  # some events are not chained yet
                assert found(world, book) == set(), act
        chained(world)
        assert found(world, book) == set()
        with closing(WatchFile.temporary()) as anew:
            assert found(world, anew) == set()


@few_examples
@given(earlier=acts, later=acts, which=st.integers(0, 1000), is_chained=st.booleans())
def test_s47_each_row_put_back_is_a_difference(
    sqlite_with_tables: Path,
    earlier: list[tuple[str, int, int, int]],
    later: list[tuple[str, int, int, int]],
    which: int,
    is_chained: bool,
) -> None:
    with a_world(sqlite_with_tables) as world, closing(WatchFile.temporary()) as book:
        for act in earlier:
            world.do(*act)
        with world.server.database.read() as connection:
            before = rows(connection)
        for act in later:
            world.do(*act)
        if is_chained:
            chained(world)
        with world.server.database.read() as connection:
            after = rows(connection)
        by_name = {table.name: table for table in WATCHED}
        choices = [
            named
            for named in sorted({*before, *after})
            if rolled_back(by_name[named[0]], before.get(named), after.get(named))
        ]
        assume(choices)
        name, key = choices[which % len(choices)]
        event(name)
        assert found(world, book) == set()
        with closing(world.server.database.engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA foreign_keys = OFF")
        try:
            with world.server.database.write() as connection:
                put_back(connection, by_name[name], key, before.get((name, key)))
        except IntegrityError:
            reject()  # another row has its name by now
        assert found(world, book), (name, before.get((name, key)), after.get((name, key)))
