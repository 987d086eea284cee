"""The server stores seeds, PINs and codes encrypted, and its answers hold none of them (S10, S20, S41)."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from sparekey.app.instance import Instance
from sparekey.app.policies.policies import effective_of
from sparekey.app.snapshots import token_state
from sparekey.app.tokens.tokens import NewToken, set_pin
from sparekey.app.vault import VaultError
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.sign_in.authenticate import TokenState
from sparekey.core.sign_in.pins import MEMORY_KIB, PASSES
from sparekey.passcode import grouped
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.sealed_rows import update_rows
from sparekey.storage.sign_in import statements as stored_sign_in
from sparekey.storage.tables import metadata
from sparekey.wire import messages
from sparekey.wire.agent_api import SignInReply
from tests.builders import NOW, PIN, ROOT, Device, User, a_device, a_user, edit_policy, granted, show, submit, token_row

SEED = b"canary-of-a-seed-00!"


def spellings(secret: bytes) -> Iterator[bytes]:
    """Yield the usual spellings of bytes: raw, in hex, base64 at each offset, base32."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield base64.b32encode(secret).rstrip(b"=")[:-1]
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(shift) + secret)[4:-4]


def everything_stored(server: Instance, directory: Path) -> bytes:
    """Return all values of all tables, and the raw files of the database if they are ours."""
    with server.database.read() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(select(table))]
    values = [value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row]
    return b"\n".join([*values, *(path.read_bytes() for path in directory.glob("sparekey.db*"))])


def a_person(server: Instance) -> tuple[User, Device, list[bytes]]:
    """Return a user whose device fetched everything for today, with all answers of the server to the device."""
    user, device = a_user(server, pin=PIN, token=NewToken(seed=Secret(SEED))), a_device(server)
    signed = device.sign_in(user, NOW)
    outcome = granted(signed.outcome)
    assert signed.key.offline_key is not None
    reply = SignInReply(
        result="granted",
        misread=[],
        user=outcome.account_id,
        method=outcome.method,
        token=user.token_id,
        step=outcome.step or 0,
        check=signed.key.check.hex(),
        offline_key=signed.key.offline_key.reveal().hex(),
        server_time=NOW,
    )
    replies = [messages.encode(reply)]
    replies += [messages.encode(said) for said in device.report(NOW)]
    device.contact(user, NOW)
    replies += [unit for _, unit in device.held.values()]
    replies += [messages.encode(said) for said in device.report(NOW)]
    return user, device, replies


def test_s20_a_seed_is_in_no_answer_to_a_device_and_in_no_unit(any_server: Instance) -> None:
    _, device, replies = a_person(any_server)
    assert {kind for _, kind, _, _ in device.held} == {"day", "emergency-tokencode", "emergency-passcode"}
    everything = b"\n".join(replies)
    assert [form for form in spellings(SEED) if form in everything] == []


def test_s20_the_check_finds_a_seed_in_each_spelling() -> None:
    texts = [
        SEED,
        SEED.hex().encode(),
        base64.b32encode(SEED),
        base64.b64encode(SEED),
        base64.b64encode(b"x" + SEED),
        base64.b64encode(b"xy" + SEED),
    ]
    for text in texts:
        assert any(form in text for form in spellings(SEED))


def test_s10_pins_and_seeds_are_in_the_database_only_encrypted(any_server: Instance, tmp_path: Path) -> None:
    user, _, _ = a_person(any_server)
    stored = everything_stored(any_server, tmp_path)
    pin = token_state_of(any_server, user).pin
    assert pin is not None
    for name, secret in {"seed": SEED, "PIN": PIN.encode(), "P": pin.verifier.reveal()}.items():
        assert [form for form in spellings(secret) if form in stored] == [], name


def token_state_of(server: Instance, user: User) -> TokenState:
    """The secrets behind the rows."""
    with server.database.read() as connection:
        account = stored_sign_in.find_sign_in_account(connection, user.login)
    assert account is not None
    return token_state(server.vault, account.tokens[0])


def test_s10_a_stored_pin_names_hash_costs_at_or_above_the_floor(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    row = token_row(any_server, user.serial)
    assert (row.pin_memory, row.pin_passes) == (MEMORY_KIB, PASSES)
    assert row.pin_memory is not None
    assert row.pin_memory >= 19 * 1024
    assert row.pin_passes is not None
    assert row.pin_passes >= 2
    before = (row.pin_salt, row.pin_sealed)
    edit_policy(any_server, {"pin_history": "0"}, kind=PolicyKind.TOKEN)
    for pin in ("other77", PIN):
        set_pin(any_server, ROOT, user.serial, Secret(pin), now=NOW)
    row = token_row(any_server, user.serial)
    # A new salt even for the same PIN: it names the units that were sealed with it.
    assert before[0] != row.pin_salt
    assert before[1] != row.pin_sealed


def test_s41_emergency_codes_are_in_the_database_only_encrypted(any_server: Instance, tmp_path: Path) -> None:
    user, _, replies = a_person(any_server)
    stored = everything_stored(any_server, tmp_path) + b"\n".join(replies)
    for kind in CodeKind:
        code = show(any_server, user, kind=kind).code.reveal()
        stored += everything_stored(any_server, tmp_path)  # showing it does not store it either
        for text in (code, code.lower(), grouped(code), grouped(code).lower()):
            assert [form for form in spellings(text.encode()) if form in stored] == []


@pytest.mark.parametrize("column", ["seed_sealed", "pin_sealed"])
def test_ciphertexts_swapped_in_the_database_do_not_open(server: Instance, column: str) -> None:
    alice, bob = a_user(server, pin=PIN), a_user(server, pin=PIN)
    stolen = getattr(token_row(server, bob.serial), column)
    with server.database.write() as connection:
        _overwrite(connection, alice.token_id, column, stolen)
    with pytest.raises(VaultError):
        submit(server, alice, NOW)


def test_s81_a_token_moved_to_another_user_inside_the_database_opens_to_nothing(server: Instance) -> None:
    mallory, boss = a_user(server), a_user(server)
    with server.database.write() as connection:
        _overwrite(connection, mallory.token_id, "account_id", boss.account_id)
    with pytest.raises(VaultError):
        submit(server, replace(boss, totp=mallory.totp), NOW)


def test_s65_results_of_use_cases_print_no_secrets(server: Instance) -> None:
    edit_policy(server, {"help_text": "call 4711"})
    user, device, _ = a_person(server)
    shown = show(server, user)
    signed = device.sign_in(user, NOW + 30)
    assert signed.key.offline_key is not None
    effective = effective_of(server, ROOT, user.login, None)
    printed = repr([shown, signed, user.totp, effective, token_state_of(server, user)])
    for secret in (SEED, PIN.encode(), shown.code.reveal().encode(), signed.key.offline_key.reveal()):
        assert [form for form in spellings(secret) if form.decode("latin-1") in printed] == []


def _overwrite(connection: Connection, token_id: str, column: str, value: object) -> None:
    """Change a column of a token as an attacker inside the database would who can make row seals."""
    update_rows(connection, tables.token, [tables.token.c.id == token_id], {column: value})
