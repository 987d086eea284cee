"""The server's database after a device fetched everything: no unit, no key, no code in the clear (S33)."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from sparekey.app.instance import DEFAULT_POLICY, TOP_DOMAIN, Instance
from sparekey.app.offline.device_sign_in import sign_in_on_device
from sparekey.app.offline.sealing import seal_for_device
from sparekey.app.offline.sync import acknowledge, sync_users
from sparekey.app.people.users import add_user
from sparekey.app.snapshots import open_code, token_state
from sparekey.app.tokens.tokens import NewToken, add_token, set_pin
from sparekey.app.vault import Vault
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.lockout import LockoutPolicy
from sparekey.core.policy.offline import OfflinePolicy, ProtectionLevel
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from sparekey.storage.devices import devices, receipts
from sparekey.storage.emergency.offline import code_of
from sparekey.storage.people import domains
from sparekey.storage.policies import policies
from sparekey.storage.tables import metadata
from sparekey.storage.tokens import tokens
from sparekey.storage.unit_of_work import Database
from sparekey.wire.agent_api import UnitRequest
from tests.builders import ROOT
from tests.memory_keystore import MemoryKeystore

NOW = 1_800_057_000  # ten minutes before a UTC day ends: a day unit has few records
PIN = "4711abcd"


@dataclass(frozen=True)
class Given:
    """The units of one device, and the secrets behind them."""

    units: list[bytes]
    secrets: dict[str, bytes]


@pytest.fixture
def instance(database: Database) -> Instance:
    keystore = MemoryKeystore()
    policy = OfflinePolicy(days=1, protection_level=ProtectionLevel.LIGHT)
    with database.write() as connection:
        vault = Vault.create(connection, keystore, NOW)
        for kind, default in (
            (PolicyKind.OFFLINE, policy),
            (PolicyKind.TOKEN, TokenPolicy()),
            (PolicyKind.LOCKOUT, LockoutPolicy()),
        ):
            policies.insert_policy(connection, kind, "policy", DEFAULT_POLICY, default, is_default=True)
        domains.insert_domain(connection, "top", TOP_DOMAIN, None)
    return Instance("test", database, keystore, vault, ca_certificate=b"")


def a_device(instance: Instance) -> devices.Device:
    public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    with instance.database.write() as connection:
        devices.insert_device(
            connection,
            device_id="laptop",
            name="laptop",
            domain_id="top",
            public_key=der,
            supports_offline=True,
            hardware_bound=False,
            now=NOW,
        )
        device = devices.find_device(connection, "laptop")
    assert device is not None
    return device


def give_everything(instance: Instance) -> Given:
    """Sign Alice in on her laptop, fetch every unit and acknowledge it."""
    device = a_device(instance)
    add_user(instance, ROOT, "alice", TOP_DOMAIN, now=NOW)
    added = add_token(instance, ROOT, "alice", NewToken(interval=60), now=NOW)
    set_pin(instance, ROOT, added.serial, Secret(PIN), now=NOW)
    typed = Secret(PIN + added.otp.code(NOW // 60))
    signed_in = sign_in_on_device(instance, device, "alice", typed, b"", NOW)
    assert isinstance(signed_in.outcome, Granted)
    assert signed_in.key.offline_key is not None
    with instance.database.write() as connection:
        (user,) = sync_users(connection, instance, device, [], NOW)
    units = [
        seal_for_device(
            instance,
            device,
            UnitRequest(user=user.user, kind=unit.kind, token=unit.token, day=unit.day, generation=user.generation),
            now=NOW,
        )
        for unit in user.wanted
    ]
    assert {unit.kind for unit in user.wanted} == {"day", "emergency-tokencode", "emergency-passcode"}
    secrets = {
        "offline key": signed_in.key.offline_key.reveal(),
        "seed": added.parameters.seed.reveal(),
        "PIN": PIN.encode(),
    }
    return Given(units, secrets | stored_secrets(instance))


def stored_secrets(instance: Instance) -> dict[str, bytes]:
    """The PIN hash P and the emergency codes, as the server opens them."""
    found = {}
    with instance.database.read() as connection:
        for token in tokens.list_tokens(connection, 1_000):
            state = token_state(instance.vault, token)
            assert state.pin
            found["P"] = state.pin.verifier.reveal()
        for row in connection.execute(select(metadata.tables["emergency_code"])):
            found[row.kind] = open_code(instance.vault, code_of(row)).reveal().encode()
    return found


def everything_stored(database: Database, directory: Path) -> bytes:
    """Return all values of all rows, and the database's files if they are ours, like a dump or a backup."""
    with database.read() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(select(table))]
    values = [value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row]
    return b"\n".join([*values, *(path.read_bytes() for path in directory.glob("sparekey.db*"))])


def parts_of(unit: bytes) -> tuple[bytes, bytes]:
    """Return the header and all bytes after it. Besides the salt, the header holds only ids and figures."""
    start = unit.index(b"\n") + 5
    end = start + int.from_bytes(unit[start - 4 : start], "big")
    return unit[start:end], unit[end:]


def spellings(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield secret.hex().encode()
    yield base64.b64encode(secret).rstrip(b"=")[:-1]
    yield base64.b32encode(secret).rstrip(b"=")[:-1]


def test_s33_no_unit_and_no_secret_behind_it_is_stored(instance: Instance, tmp_path: Path) -> None:
    given = give_everything(instance)
    assert set(given.secrets) == {"offline key", "seed", "PIN", "P", "tokencode", "passcode"}
    stored = everything_stored(instance.database, tmp_path)
    assert b"sparekey-offline/1" not in stored
    for header, sealed in map(parts_of, given.units):
        assert header not in stored
        salt = json.loads(header)["salt"]
        for start in range(0, len(sealed), 24):  # hash, signature and every record
            assert sealed[start : start + 24] not in stored
        assert salt.encode() not in stored
        assert bytes.fromhex(salt) not in stored
    for name, secret in given.secrets.items():
        for spelling in spellings(secret):
            assert spelling not in stored, name


def test_s33_receipts_tell_which_units_a_device_holds(instance: Instance) -> None:
    # the other half of the promise: without the bytes, the server still knows every device's units
    given = give_everything(instance)
    with instance.database.write() as connection:
        device = devices.find_device(connection, "laptop")
        assert device is not None
        known = receipts.list_receipts(connection, "laptop")
        assert len(known) == len(given.units)
        assert acknowledge(connection, device, [row.unit_hash for row in known], NOW) == len(given.units)
