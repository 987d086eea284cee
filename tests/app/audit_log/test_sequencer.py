"""The audit log in the database: chained by any number of processes, and each kind of tampering named (S80)."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from sparekey.app.audit import SYSTEM, AuditEntry, append
from sparekey.app.audit_log.sequencer import BATCH_ROWS, chain, find_newest
from sparekey.app.audit_log.verification import verify_record
from sparekey.app.ports import CheckpointStore, KeyPurpose
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.chain import next_batch
from sparekey.core.audit_log.checkpoint import Checkpoint
from sparekey.core.audit_log.verifier import LogFault, LogFinding
from sparekey.keystore.checkpoint_file import CheckpointFile
from sparekey.keystore.file import FileKeystore
from sparekey.storage import schema
from sparekey.storage.audit_log.chain import RowsVanished, contains, find_head, insert_batch, list_unchained
from sparekey.storage.audit_log.events import AuditFilter, list_rows
from sparekey.storage.unit_of_work import Database
from tests.memory_keystore import MemoryCheckpoints, MemoryKeystore
from tests.shared_statements import open_database

NOW = 1_800_000_000
KEYS = MemoryKeystore()


@pytest.fixture
def store() -> MemoryCheckpoints:
    return MemoryCheckpoints()


@pytest.fixture
def chained(database: Database, store: MemoryCheckpoints) -> Database:
    """Return a database with four batches of three rows: 1-3, 4-6, 7-9, 10-12."""
    for batch in range(4):
        add_rows(database, 3)
        chain(database, KEYS, store, NOW + batch)
    return database


def add_rows(database: Database, number: int) -> None:
    with database.write() as connection:
        for index in range(number):
            entry = AuditEntry(NOW * 1_000_000 + index, SYSTEM, Action.SIGN_IN_GRANTED, detail={"index": index})
            append(connection, entry)


def execute(database: Database, *statements: str) -> None:
    """Execute statements as an attacker with the database's password."""
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def findings(database: Database, *witnesses: Checkpoint) -> list[LogFinding]:
    return verify_record(database, KEYS.public_key(KeyPurpose.CHECKPOINT), witnesses)


def faults(database: Database, *witnesses: Checkpoint) -> list[tuple[LogFault, int | None, int | None, int | None]]:
    return [(found.fault, found.batch, found.first, found.last) for found in findings(database, *witnesses)]


def newest(database: Database) -> Checkpoint:
    checkpoint = find_newest(database)
    assert checkpoint
    return checkpoint


def test_an_untouched_audit_log_is_intact(chained: Database, store: MemoryCheckpoints) -> None:
    assert faults(chained, newest(chained)) == []
    assert store.newest() == newest(chained)
    assert newest(chained).total == 12


def test_an_empty_audit_log_is_intact_without_a_checkpoint(database: Database, store: MemoryCheckpoints) -> None:
    assert chain(database, KEYS, store, NOW) is None
    assert store.newest() is None
    assert faults(database) == []


def test_nothing_new_means_nothing_signed(chained: Database, store: MemoryCheckpoints) -> None:
    before = newest(chained)
    assert chain(chained, KEYS, store, NOW + 3600) == before
    assert newest(chained) == before


def test_rows_of_the_last_second_are_not_covered_yet(chained: Database) -> None:
    add_rows(chained, 1)
    execute(chained, "DELETE FROM audit WHERE batch IS NULL")
    assert faults(chained, newest(chained)) == []


def test_many_rows_are_chained_in_batches_of_bounded_size(memory_database: Database, store: MemoryCheckpoints) -> None:
    add_rows(memory_database, 2 * BATCH_ROWS + 7)
    checkpoint = chain(memory_database, KEYS, store, NOW)
    assert checkpoint
    assert (checkpoint.number, checkpoint.total) == (3, 2 * BATCH_ROWS + 7)
    assert faults(memory_database, checkpoint) == []


@pytest.mark.parametrize(
    "change",
    [
        "at = at + 1",
        "actor = 'os:root'",
        "action = 'sign-in.denied'",
        "account_id = 'a'",
        "token_id = 't'",
        "device_id = 'd'",
        "result = 'x'",
        "detail = '{}'",
    ],
)
def test_s80_a_flipped_row_is_named(chained: Database, change: str) -> None:
    execute(chained, f"UPDATE audit SET {change} WHERE id = 5")
    assert faults(chained) == [(LogFault.CHANGED, 2, 5, 5)]


def test_s80_deleted_rows_are_named(chained: Database) -> None:
    execute(chained, "DELETE FROM audit WHERE id IN (5, 6, 8)")
    assert faults(chained) == [(LogFault.MISSING, 2, 5, 6), (LogFault.MISSING, 3, 8, 8)]


COLUMNS = "at, actor, action, account_id, token_id, device_id, result, detail"


def test_s80_an_inserted_row_is_named(chained: Database) -> None:
    copied = f"INSERT INTO audit (id, {COLUMNS}, batch) SELECT 100, at + 1, {COLUMNS[4:]}, 2 FROM audit WHERE id = 5"
    execute(chained, copied)
    assert faults(chained) == [(LogFault.INSERTED, 2, 100, 100)]


def test_s80_reordered_rows_are_named(chained: Database) -> None:
    execute(
        chained,
        "UPDATE audit SET id = 1000 WHERE id = 4",
        "UPDATE audit SET id = 4 WHERE id = 5",
        "UPDATE audit SET id = 5 WHERE id = 1000",
    )
    assert faults(chained) == [(LogFault.REORDERED, 2, 4, 4), (LogFault.REORDERED, 2, 5, 5)]


def test_s80_a_renumbered_row_is_named(chained: Database) -> None:
    execute(chained, "UPDATE audit SET id = 1000 WHERE id = 5")
    assert faults(chained) == [(LogFault.REORDERED, 2, 1000, 1000)]
    assert "what was recorded as row 5" in findings(chained)[0].words


def test_s80_a_row_moved_to_another_batch_is_named(chained: Database) -> None:
    execute(chained, "UPDATE audit SET batch = 3 WHERE id = 5")
    assert faults(chained) == [(LogFault.REORDERED, 3, 5, 5)]


def test_s80_a_row_taken_out_of_its_batch_is_named_even_if_chained_again(
    chained: Database, store: MemoryCheckpoints
) -> None:
    execute(chained, "UPDATE audit SET batch = NULL WHERE id IN (5, 8)", "UPDATE audit SET result = 'x' WHERE id = 8")
    chain(chained, KEYS, store, NOW + 9)
    # what has its seal is chained again; what has not is refused
    expected = [(LogFault.MISSING, 2, 5, 5), (LogFault.MISSING, 3, 8, 8), (LogFault.INSERTED, None, 8, 8)]
    assert sorted(faults(chained), key=str) == sorted(expected, key=str)


def test_s80_a_row_of_no_batch_is_named(chained: Database) -> None:
    execute(chained, f"INSERT INTO audit (id, {COLUMNS}, batch) SELECT 100, {COLUMNS}, 0 FROM audit WHERE id = 5")
    assert faults(chained) == [(LogFault.INSERTED, None, 100, 100)]


def test_s80_a_cut_head_is_named(chained: Database) -> None:
    execute(chained, "DELETE FROM audit WHERE batch <= 2", "DELETE FROM audit_batch WHERE number <= 2")
    assert faults(chained) == [(LogFault.HEAD_CUT, 3, None, None)]
    assert findings(chained)[0].words == "batches 1 to 2 missing, 6 rows: the beginning was cut off"


def test_s80_a_cut_head_is_named_when_the_rest_is_renumbered(chained: Database) -> None:
    execute(
        chained,
        "DELETE FROM audit WHERE batch <= 2",
        "DELETE FROM audit_batch WHERE number <= 2",
        "UPDATE audit SET batch = batch - 2",
        "UPDATE audit_batch SET number = number - 2",
    )
    named = {fault for fault, *_ in faults(chained)}
    assert named == {LogFault.BAD_SIGNATURE, LogFault.CHAIN_BROKEN}


def test_s80_batches_cut_out_of_the_middle_are_named(chained: Database) -> None:
    execute(chained, "DELETE FROM audit WHERE batch = 2", "DELETE FROM audit_batch WHERE number = 2")
    assert faults(chained) == [(LogFault.BATCHES_MISSING, 3, None, None)]


def test_s80_a_cut_tail_is_named_by_a_witness(chained: Database) -> None:
    witness = newest(chained)
    execute(chained, "DELETE FROM audit WHERE batch = 4", "DELETE FROM audit_batch WHERE number = 4")
    assert faults(chained) == []  # only who kept a checkpoint can know
    assert faults(chained, witness) == [(LogFault.TAIL_CUT, 4, None, None)]
    with chained.read() as connection:
        assert not contains(connection, witness)


def test_s80_a_cut_tail_that_left_its_rows_is_named_without_a_witness(chained: Database) -> None:
    execute(chained, "DELETE FROM audit_batch WHERE number = 4")
    assert faults(chained) == [(LogFault.TAIL_CUT, 4, 10, 12)]


def test_s80_an_audit_log_cut_at_a_batch_is_found_by_a_witness(chained: Database) -> None:
    witness = newest(chained)
    execute(chained, "DELETE FROM audit", "DELETE FROM audit_batch")
    assert faults(chained, witness) == [(LogFault.TAIL_CUT, 4, None, None)]


def test_s80_a_changed_batch_is_named(chained: Database) -> None:
    execute(chained, "UPDATE audit_batch SET signed_at = signed_at + 1 WHERE number = 2")
    assert faults(chained) == [(LogFault.BAD_SIGNATURE, 2, None, None)]


def test_s80_a_batch_rewritten_without_the_key_is_reported(chained: Database) -> None:
    with chained.write() as connection:
        connection.execute(text("UPDATE audit SET result = 'x' WHERE id = 11"))
        rows = list(reversed(list_rows(connection, limit=3)))
        connection.execute(text("UPDATE audit SET batch = NULL WHERE batch = 4"))
        connection.execute(text("DELETE FROM audit_batch WHERE number = 4"))
        forged = next_batch(find_head(connection), rows, NOW + 3)
        forged = type(forged)(
            **vars(forged) | {"signature": MemoryKeystore().sign(KeyPurpose.CHECKPOINT, forged.signed_message)}
        )
        assert insert_batch(connection, forged, [row.id for row in rows])
    assert faults(chained) == [(LogFault.BAD_SIGNATURE, 4, None, None)]


def roll_back_to_batch_2(database: Database) -> None:
    """Replace the database by yesterday's copy."""
    execute(database, "DELETE FROM audit WHERE batch > 2", "DELETE FROM audit_batch WHERE number > 2")


def test_s80_a_database_rolled_back_to_yesterday_is_found_by_witnesses(
    chained: Database, store: MemoryCheckpoints
) -> None:
    witness = newest(chained)
    roll_back_to_batch_2(chained)
    with chained.read() as connection:
        assert not contains(connection, witness)  # the first agent in contact learns this
    assert faults(chained, witness) == [(LogFault.TAIL_CUT, 4, None, None)]
    for day in range(3):  # the server continues: the audit log becomes longer than the witness saw
        add_rows(chained, 3)
        chain(chained, KEYS, MemoryCheckpoints(), NOW + 86_400 + day)
    assert newest(chained).number > witness.number
    with chained.read() as connection:
        assert not contains(connection, witness)
    assert faults(chained) == []
    assert faults(chained, witness) == [(LogFault.ROLLED_BACK, 4, None, None)]
    assert store.newest() == witness


def test_s80_a_server_notices_at_its_next_step_that_its_database_was_rolled_back(
    chained: Database, store: MemoryCheckpoints
) -> None:
    witness = newest(chained)
    roll_back_to_batch_2(chained)
    for second in range(3):
        chain(chained, KEYS, store, NOW + 100 + second)
    with chained.read() as connection:
        alarms = list_rows(connection, AuditFilter(actions=[Action.ALARM_AUDIT_ROLLED_BACK]), limit=10)
    assert [alarm.detail for alarm in alarms] == ['{"batch":4,"rows":12,"witness":"instance"}']
    assert store.set_aside_ones == [witness]
    assert store.newest() == newest(chained)


def test_s80_a_damaged_checkpoint_file_is_an_alarm(chained: Database, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text("nothing\n")
    file = CheckpointFile(tmp_path / "checkpoint")
    head = chain(chained, KEYS, file, NOW + 100)
    assert file.newest() == head
    assert (tmp_path / "checkpoint.lost-1").read_text() == "nothing\n"
    with chained.read() as connection:
        (alarm,) = list_rows(connection, AuditFilter(actions=[Action.ALARM_AUDIT_ROLLED_BACK]), limit=10)
    assert alarm.result == "checkpoint file damaged"


def test_a_batch_number_is_taken_once(chained: Database) -> None:
    add_rows(chained, 2)
    with chained.read() as connection:
        rows = list_unchained(connection, 10).rows
        batch = next_batch(find_head(connection), rows, NOW)
    row_ids = [row.id for row in rows]
    with chained.write() as connection:
        assert insert_batch(connection, batch, row_ids)
    with chained.write() as connection:
        assert not insert_batch(connection, batch, row_ids)


def test_rows_that_vanish_while_they_are_chained_undo_the_batch(chained: Database) -> None:
    add_rows(chained, 2)
    with chained.read() as connection:
        rows = list_unchained(connection, 10).rows
        batch = next_batch(find_head(connection), rows, NOW)
    execute(chained, f"DELETE FROM audit WHERE id = {rows[0].id}")
    with pytest.raises(RowsVanished), chained.write() as connection:
        insert_batch(connection, batch, [row.id for row in rows])
    assert newest(chained).number == 4


@contextmanager
def slow_sign_in(database: Database) -> Iterator[Connection]:
    with database.write() as connection:
        append(connection, AuditEntry(NOW * 1_000_000, SYSTEM, Action.SIGN_IN_GRANTED))
        yield connection


def test_a_row_committed_late_is_chained_late(postgresql_url: str, store: MemoryCheckpoints) -> None:
    # on PostgreSQL a row with a lower id may be committed after one with a higher id was chained
    database = open_database(postgresql_url)
    schema.upgrade(database.engine)
    with slow_sign_in(database):
        add_rows(database, 3)
        first = chain(database, KEYS, store, NOW)
    second = chain(database, KEYS, store, NOW + 1)
    assert first
    assert second
    assert (first.total, second.total) == (3, 4)
    assert faults(database, first, second) == []
    database.close()


CHAIN = """
import sys
from pathlib import Path
from sparekey.app.audit import SYSTEM, AuditEntry, append
from sparekey.app.audit_log.sequencer import chain
from sparekey.core.audit_log.actions import Action
from sparekey.core.row_seals import RowSeals
from sparekey.keystore.checkpoint_file import CheckpointFile
from sparekey.keystore.file import FileKeystore
from sparekey.secret import Secret
from sparekey.storage.engine import open_engine
from sparekey.storage.unit_of_work import Database

url, directory, rounds = (sys.stdin.readline().strip() for _ in range(3))
database = Database(open_engine(url))
database.use_seals(RowSeals({1: Secret(bytes(32))}, Secret(bytes(32))), print)
keystore, store = FileKeystore(Path(directory) / "keys"), CheckpointFile(Path(directory) / "checkpoint")
print("ready", flush=True)
sys.stdin.readline()
for index in range(int(rounds)):
    for _ in range(5):
        with database.write() as connection:
            append(connection, AuditEntry(index, SYSTEM, Action.SIGN_IN_GRANTED, detail={"index": index}))
    chain(database, keystore, store, index)
database.close()
"""


@pytest.mark.services
def test_two_servers_may_chain_the_same_audit_log(database: Database, database_url: str, tmp_path: Path) -> None:
    keystore = FileKeystore.create(tmp_path / "keys")
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", CHAIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for server in servers:
        assert server.stdin
        assert server.stdout
        server.stdin.write(f"{database_url}\n{tmp_path}\n30\n")
        server.stdin.flush()
        assert server.stdout.readline() == "ready\n"
    for server in servers:
        assert server.stdin
        server.stdin.write("go\n")
        server.stdin.flush()
    assert [server.communicate(timeout=120)[1] for server in servers] == ["", ""]
    store: CheckpointStore = CheckpointFile(tmp_path / "checkpoint")
    head = chain(database, keystore, store, NOW)
    assert head
    assert head.total == 300
    assert verify_record(database, keystore.public_key(KeyPurpose.CHECKPOINT), [head]) == []
    with database.read() as connection:
        assert list_rows(connection, AuditFilter(actions=[Action.ALARM_AUDIT_ROLLED_BACK]), limit=1) == []
