"""Envelope encryption: contexts that open a secret, and no plain text in the database."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import LargeBinary, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from sparekey.app.ports import KeystoreError
from sparekey.app.vault import Vault, VaultError
from sparekey.secret import Secret
from sparekey.storage import schema
from sparekey.storage.data_keys import insert_wrapped, list_wrapped
from sparekey.storage.tables import metadata, token
from sparekey.storage.unit_of_work import Database
from tests.memory_keystore import MemoryKeystore
from tests.shared_statements import open_database

SEED = bytes(range(20))
COLUMN = "token.seed_sealed"


@pytest.fixture
def keystore() -> MemoryKeystore:
    return MemoryKeystore()


@pytest.fixture
def vault(memory_database: Database, keystore: MemoryKeystore) -> Vault:
    with memory_database.write() as connection:
        return Vault.create(connection, keystore, now=1_800_000_000)


def a_vault(keystore: MemoryKeystore, *versions: int) -> Vault:
    """Return a vault with its own data keys, without a database."""
    return Vault(keystore, {v: keystore.wrap(bytes([v]) * 32, _context(v)) for v in versions})


def _context(version: int) -> bytes:
    return b"sparekey/1/data-key" + version.to_bytes(4, "big")


def test_a_sealed_value_opens_as_a_secret(vault: Vault) -> None:
    sealed = vault.seal(COLUMN, "t1", "token:t1", SEED)
    assert vault.open(COLUMN, "t1", "token:t1", sealed) == Secret(SEED)
    assert SEED not in sealed


def test_the_same_value_never_looks_the_same(vault: Vault) -> None:
    assert vault.seal(COLUMN, "t1", "token:t1", SEED) != vault.seal(COLUMN, "t1", "token:t1", SEED)


def test_s81_every_part_of_the_place_is_bound(vault: Vault) -> None:
    places = list(
        itertools.product(
            ["token.seed_sealed", "token.pin_sealed", "tokens.eed_sealed"], ["t1", "t2"], ["token:t1", "user:t1"]
        )
    )
    for sealed_at, opened_at in itertools.product(places, places):
        sealed = vault.seal(*sealed_at, SEED)
        if sealed_at == opened_at:
            assert vault.open(*opened_at, sealed) == Secret(SEED)
        else:
            with pytest.raises(VaultError):
                vault.open(*opened_at, sealed)


def test_s81_the_parts_of_a_place_do_not_run_into_each_other(vault: Vault) -> None:
    sealed = vault.seal("token.seed", "ab", "c", SEED)
    for column, row_id, owner in (("token.seed", "a", "bc"), ("token.seeda", "b", "c"), ("toke.nseed", "ab", "c")):
        with pytest.raises(VaultError):
            vault.open(column, row_id, owner, sealed)


def test_s81_swapping_two_users_ciphertexts_in_the_database_fails(database: Database, keystore: MemoryKeystore) -> None:
    with database.write() as connection:
        vault = Vault.create(connection, keystore, now=1)
        for token_id in ("alice-token", "bob-token"):
            connection.execute(insert(token), a_token(token_id, vault))
    with database.write() as connection:
        seeds = {row.id: row.seed_sealed for row in connection.execute(select(token.c.id, token.c.seed_sealed))}
        for mine, other in (("alice-token", "bob-token"), ("bob-token", "alice-token")):
            assert vault.open(COLUMN, mine, f"token:{mine}", seeds[mine]) == Secret(mine.encode())
            connection.execute(update(token).where(token.c.id == mine).values(seed_sealed=seeds[other]))
    with database.read() as connection:
        vault = Vault.load(connection, keystore)
        for token_id, sealed in connection.execute(select(token.c.id, token.c.seed_sealed)):
            with pytest.raises(VaultError):
                vault.open(COLUMN, token_id, f"token:{token_id}", sealed)


def a_token(token_id: str, vault: Vault) -> dict[str, object]:
    return {
        "id": token_id,
        "serial": token_id,
        "type": "totp",
        "digits": 6,
        "interval": 60,
        "algorithm": "sha1",
        "seed_sealed": vault.seal(COLUMN, token_id, f"token:{token_id}", token_id.encode()),
        "drift": 0,
        "last_step": 0,
        "replay_step": 0,
        "enabled": True,
        "lost": False,
        "with_pin": True,
        "offline_code_online": False,
        "created_at": 1,
    }


def test_s81_the_key_version_is_bound_too(keystore: MemoryKeystore) -> None:
    # both versions with the same data key: only the version differs
    key = bytes(32)
    vault = Vault(keystore, {version: keystore.wrap(key, _context(version)) for version in (1, 2)})
    sealed = vault.seal(COLUMN, "t1", "token:t1", SEED)
    assert sealed[:4] == b"\x00\x00\x00\x02"
    with pytest.raises(VaultError):
        vault.open(COLUMN, "t1", "token:t1", b"\x00\x00\x00\x01" + sealed[4:])


@pytest.mark.usefixtures("vault")
def test_s81_a_data_key_moved_to_another_version_does_not_unwrap(
    memory_database: Database, keystore: MemoryKeystore
) -> None:
    with memory_database.write() as connection:
        insert_wrapped(connection, 2, list_wrapped(connection)[1], now=2)
        with pytest.raises(KeystoreError):
            Vault.load(connection, keystore)


def test_an_older_key_still_opens(keystore: MemoryKeystore) -> None:
    sealed = a_vault(keystore, 1).seal(COLUMN, "t1", "token:t1", SEED)
    assert a_vault(keystore, 1, 2).open(COLUMN, "t1", "token:t1", sealed) == Secret(SEED)
    with pytest.raises(VaultError):
        a_vault(keystore, 2).open(COLUMN, "t1", "token:t1", sealed)


@given(data=st.data(), plaintext=st.binary(max_size=100))
def test_no_altered_or_cut_ciphertext_opens(data: st.DataObject, plaintext: bytes) -> None:
    vault = a_vault(MemoryKeystore(), 1)
    sealed = vault.seal(COLUMN, "t1", "token:t1", plaintext)
    place = data.draw(st.integers(0, len(sealed) - 1))
    flipped = sealed[:place] + bytes([sealed[place] ^ data.draw(st.integers(1, 255))]) + sealed[place + 1 :]
    for altered in (flipped, sealed[:place], sealed + b"\x00"):
        with pytest.raises(VaultError):
            vault.open(COLUMN, "t1", "token:t1", altered)


def test_every_failure_has_the_same_message(vault: Vault) -> None:
    sealed = vault.seal(COLUMN, "t1", "token:t1", SEED)
    words = set()
    for altered in (b"", sealed[:10], sealed[:-1], b"\x09" + sealed[1:]):
        with pytest.raises(VaultError) as failed:
            vault.open(COLUMN, "t1", "token:t1", altered)
        words.add(str(failed.value))
        assert failed.value.__cause__ is None
        assert failed.value.__suppress_context__ or failed.value.__context__ is None
    assert len(words) == 1


@pytest.mark.parametrize(
    ("column", "row_id", "owner"),
    [
        ("token", "t1", "o"),
        (".seed", "t1", "o"),
        ("token.", "t1", "o"),
        ("token.seed", "", "o"),
        ("token.seed", "t1", ""),
    ],
)
def test_a_place_is_named_in_full(vault: Vault, column: str, row_id: str, owner: str) -> None:
    with pytest.raises(ValueError, match=r"table\.column"):
        vault.seal(column, row_id, owner, SEED)


@pytest.mark.usefixtures("vault")
def test_a_database_has_one_first_key(memory_database: Database, keystore: MemoryKeystore) -> None:
    with pytest.raises(IntegrityError), memory_database.write() as connection:
        Vault.create(connection, keystore, now=2)


def test_a_database_without_keys_has_no_vault(memory_database: Database, keystore: MemoryKeystore) -> None:
    with pytest.raises(VaultError), memory_database.read() as connection:
        Vault.load(connection, keystore)


@pytest.mark.usefixtures("vault")
def test_the_keys_of_another_keystore_do_not_load(memory_database: Database) -> None:
    with pytest.raises(KeystoreError), memory_database.read() as connection:
        Vault.load(connection, MemoryKeystore())


def test_the_newest_key_seals(memory_database: Database, keystore: MemoryKeystore, vault: Vault) -> None:
    with memory_database.write() as connection:
        insert_wrapped(connection, 2, keystore.wrap(bytes(32), _context(2)), now=2)
        assert sorted(list_wrapped(connection)) == [1, 2]
        newer = Vault.load(connection, keystore)
    assert vault.seal(COLUMN, "t1", "token:t1", SEED)[:4] == b"\x00\x00\x00\x01"
    assert newer.seal(COLUMN, "t1", "token:t1", SEED)[:4] == b"\x00\x00\x00\x02"


def test_s33_no_file_of_the_database_has_the_vault_s_secrets(tmp_path: Path, keystore: MemoryKeystore) -> None:
    canary = b"canary-" + bytes(range(200, 232))
    url = f"sqlite:///{tmp_path / 'x.db'}"
    database = open_database(url)
    schema.upgrade(database.engine)
    with database.write() as connection:
        vault = Vault.create(connection, keystore, now=1)
        row = a_token("t1", vault)
        row["seed_sealed"] = vault.seal(COLUMN, "t1", "token:t1", canary)
        row["pin_sealed"] = vault.seal("token.pin_sealed", "t1", "token:t1", canary)
        connection.execute(insert(token), row)
        assert connection.execute(text("SELECT count(*) FROM token")).scalar() == 1
        data_keys = [keystore.unwrap(wrapped, _context(v)) for v, wrapped in list_wrapped(connection).items()]
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert b"t1" in b"".join(files.values())
    for name, content in files.items():
        for secret in (canary, *data_keys):
            assert secret not in content, name
    database.close()


# Columns with unencrypted bytes: hashes, salts, public keys, signatures, and keys that the keystore wrapped.
PLAIN_BYTES = {
    "api_client.key_hash",
    "audit_batch.hash",
    "audit_batch.previous",
    "audit_batch.row_list",
    "audit_batch.rows_hash",
    "audit_batch.signature",
    "data_key.wrapped",
    "device.event_hash",
    "device.public_key",
    "device_account.check",
    "device_account.confirmed_check",
    "device_invitation.secret_hash",
    "offline_event.event_hash",
    "passkey.credential_id",
    "passkey.public_key",
    "token.pin_salt",
    "unit_receipt.unit_hash",
}


def test_s33_no_column_can_hold_a_unit_or_a_key_in_the_clear() -> None:
    columns = {
        str(column)
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and not column.name.endswith(("_sealed", "seal"))
    }
    assert columns <= PLAIN_BYTES
