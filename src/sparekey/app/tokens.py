"""Tokens: add, PIN, enable, disable, lost, found.

Every change that makes a device's offline data wrong raises the user's generation in its own transaction
(offline-day.md, server rule 3).
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_account, get_assigned_token, get_token
from sparekey.app.snapshots import NO_PIN, seal_pin, token_owner
from sparekey.core.errors import BadInput, Conflict
from sparekey.core.events import Action
from sparekey.core.names import verify_serial
from sparekey.core.pins import PinError, new_verifier
from sparekey.core.tokens import TokenError, Totp
from sparekey.core.tokens.totp import SEED_BYTES
from sparekey.secret import Secret
from sparekey.storage import devices, tokens
from sparekey.storage.rows import AnyRow

_SERIAL_DIGITS = 8


@dataclass(frozen=True)
class NewToken:
    """How a token is to be made; `seed` None: a fresh one of the hash's own size."""

    digits: int = 6
    interval: int = 30
    algorithm: str = "sha1"
    with_pin: bool = True
    seed: Secret[bytes] | None = None
    serial: str = ""
    expires_at: int | None = None


@dataclass(frozen=True)
class AddedToken:
    serial: str
    totp: Totp  # the only time that a seed leaves the server: into the token


@dataclass(frozen=True)
class TokenView:
    serial: str
    type: str
    login: str | None
    digits: int
    interval: int
    algorithm: str
    with_pin: bool
    pin_set: bool
    enabled: bool
    lost: bool
    expires_at: int | None
    offline_code_online: bool


def add_token(instance: Instance, actor: str, login: str, wish: NewToken, *, now: int) -> AddedToken:
    """A new TOTP token for a user, enabled; with a PIN it works once the PIN is set."""
    try:
        seed = wish.seed or Secret(secrets.token_bytes(SEED_BYTES.get(wish.algorithm, 20)))
        totp = Totp(seed, wish.digits, wish.interval, wish.algorithm)
    except TokenError as error:
        raise BadInput(str(error), "see `sparekey token add --help`") from error
    if wish.serial:
        verify_serial(wish.serial)
    token_id = new_id()
    with instance.database.write() as connection:
        account = get_account(connection, login)
        serial = wish.serial or _free_serial(connection)
        if tokens.find_token(connection, serial) is not None:
            raise Conflict(f"there is a token {serial!r} already", "choose another serial number")
        tokens.insert_token(
            connection,
            {
                "id": token_id,
                "serial": serial,
                "type": totp.kind,
                "account_id": account.id,
                "digits": totp.digits,
                "interval": totp.interval,
                "algorithm": totp.algorithm,
                "seed_sealed": instance.vault.seal(
                    "token.seed_sealed", token_id, token_owner(account.id, token_id), seed.reveal()
                ),
                "enabled": True,
                "expires_at": wish.expires_at,
                "with_pin": wish.with_pin,
                "created_at": now,
            },
        )
        devices.raise_generation(connection, account.id)
        log(connection, now, actor, Action.TOKEN_ADDED, account=account.id, token=token_id, serial=serial)
    return AddedToken(serial, totp)


def list_tokens(instance: Instance, limit: int = 100, after: str = "", login: str | None = None) -> list[TokenView]:
    """By serial, from the one after `after`; of one user if given."""
    with instance.database.read() as connection:
        account_id = get_account(connection, login).id if login else None
        return [_view(row) for row in tokens.list_tokens(connection, limit, after, account_id)]


def show_token(instance: Instance, serial: str) -> TokenView:
    with instance.database.read() as connection:
        return _view(get_token(connection, serial))


def set_pin(instance: Instance, actor: str, serial: str, pin: Secret[str], *, now: int) -> None:
    """Set or change the PIN of a token that is typed with one."""
    try:
        verifier = new_verifier(pin.reveal())
    except PinError as error:
        raise BadInput(str(error), "choose another PIN") from error
    with instance.database.write() as connection:
        row = get_assigned_token(connection, serial)
        if not row.with_pin:
            raise Conflict(f"token {serial!r} is used without a PIN", "add a token with a PIN instead")
        tokens.update_token(connection, row.id, **seal_pin(instance.vault, row.account_id, row.id, verifier))
        _touched(connection, row, actor, Action.TOKEN_PIN_SET, now)


def clear_pin(instance: Instance, actor: str, serial: str, *, now: int) -> None:
    """No PIN: the token cannot be used until one is set."""
    with instance.database.write() as connection:
        row = get_assigned_token(connection, serial)
        if not row.with_pin:
            raise Conflict(f"token {serial!r} is used without a PIN", "there is none to clear")
        if row.pin_sealed is None:
            return
        tokens.update_token(connection, row.id, **NO_PIN)
        _touched(connection, row, actor, Action.TOKEN_PIN_CLEARED, now)


def set_enabled(instance: Instance, actor: str, serial: str, *, enabled: bool, now: int) -> None:
    with instance.database.write() as connection:
        row = get_token(connection, serial)
        if row.enabled is enabled:
            return
        tokens.update_token(connection, row.id, enabled=enabled)
        _touched(connection, row, actor, Action.TOKEN_ENABLED if enabled else Action.TOKEN_DISABLED, now)


def set_lost(instance: Instance, actor: str, serial: str, *, lost: bool, now: int) -> None:
    """A lost token's codes are refused; its offline emergency tokencode goes on working."""
    with instance.database.write() as connection:
        row = get_token(connection, serial)
        if row.lost is lost:
            return
        tokens.update_token(connection, row.id, lost=lost)
        _touched(connection, row, actor, Action.TOKEN_LOST if lost else Action.TOKEN_FOUND, now)


def _free_serial(connection: Connection) -> str:
    while True:
        serial = f"SK{secrets.randbelow(10**_SERIAL_DIGITS):0{_SERIAL_DIGITS}d}"
        if tokens.find_token(connection, serial) is None:
            return serial


def _touched(connection: Connection, row: AnyRow, actor: str, action: Action, now: int) -> None:
    if row.account_id is not None:
        devices.raise_generation(connection, row.account_id)
    log(connection, now, actor, action, account=row.account_id, token=row.id, serial=row.serial)


def _view(row: AnyRow) -> TokenView:
    return TokenView(
        serial=row.serial,
        type=row.type,
        login=row.login,
        digits=row.digits,
        interval=row.interval,
        algorithm=row.algorithm,
        with_pin=row.with_pin,
        pin_set=row.pin_sealed is not None,
        enabled=row.enabled,
        lost=row.lost,
        expires_at=row.expires_at,
        offline_code_online=row.offline_code_online,
    )
