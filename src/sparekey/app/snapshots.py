"""From rows to what the core judges: stored secrets are opened here and nowhere else."""

from typing import Any

from sparekey.app.vault import Vault
from sparekey.core.authenticate import AccountState, CodeState, TokenState
from sparekey.core.lockout import FailureCount
from sparekey.core.pins import PinVerifier
from sparekey.core.tokens import TOKEN_TYPES, Parameters
from sparekey.secret import Secret

_VERIFIER_BYTES = 32


def account_state(row: Any) -> AccountState:
    """From a row of `account`."""
    failures = FailureCount(row.failures, row.first_failure_at, row.locked_at)
    return AccountState(row.id, row.login, row.enabled, row.expires_at, failures)


def joined_account_state(row: Any) -> AccountState:
    """From a row of storage.sign_in's snapshot, in which the account's columns have longer names."""
    failures = FailureCount(row.failures, row.first_failure_at, row.locked_at)
    return AccountState(row.account_id, row.login, row.account_enabled, row.account_expires_at, failures)


def token_state(vault: Vault, row: Any) -> TokenState:
    """From a row with the columns of `token`, its id as `token_id`. Raises VaultError if the row was altered."""
    seed = vault.open("token.seed_sealed", row.token_id, token_owner(row.account_id, row.token_id), row.seed_sealed)
    return TokenState(
        token_id=row.token_id,
        otp=TOKEN_TYPES[row.type].of(Parameters(seed, row.serial, row.digits, row.interval, row.algorithm)),
        drift=row.drift,
        last_step=row.last_step,
        enabled=row.enabled,
        lost=row.lost,
        expires_at=row.expires_at,
        with_pin=row.with_pin,
        pin=_pin(vault, row),
        offline_code_online=row.offline_code_online,
    )


def code_state(vault: Vault, row: Any) -> CodeState:
    """From a row of `emergency_code` that belongs to a token."""
    return CodeState(row.id, row.token_id, open_code(vault, row), row.not_after)


def open_code(vault: Vault, row: Any) -> Secret[str]:
    """The canonical code of a row of `emergency_code`."""
    owner = code_owner(row.account_id, row.token_id)
    return Secret(vault.open("emergency_code.code_sealed", row.id, owner, row.code_sealed).reveal().decode())


def seal_code(vault: Vault, code_id: str, account_id: str, token_id: str | None, code: Secret[str]) -> bytes:
    """The inverse of `open_code`."""
    owner = code_owner(account_id, token_id)
    return vault.seal("emergency_code.code_sealed", code_id, owner, code.reveal().encode())


def seal_pin(vault: Vault, account_id: str, token_id: str, pin: PinVerifier) -> dict[str, Any]:
    """The columns of `token` that hold a PIN."""
    plain = pin.verifier.reveal() + bytes([pin.length])
    return {
        "pin_sealed": vault.seal("token.pin_sealed", token_id, token_owner(account_id, token_id), plain),
        "pin_salt": pin.salt,
        "pin_memory": pin.memory_kib,
        "pin_passes": pin.passes,
    }


NO_PIN: dict[str, None] = {"pin_sealed": None, "pin_salt": None, "pin_memory": None, "pin_passes": None}


def token_owner(account_id: str, token_id: str) -> str:
    """Whose secret it is, for the vault's associated data: a token that is moved to another user in the database opens
    to nothing."""
    return f"account:{account_id}/token:{token_id}"


def code_owner(account_id: str, token_id: str | None) -> str:
    """The same for an emergency code: of a token, or of the user where there is none."""
    return token_owner(account_id, token_id) if token_id else f"account:{account_id}"


def _pin(vault: Vault, row: Any) -> PinVerifier | None:
    if row.pin_sealed is None:
        return None
    plain = vault.open(
        "token.pin_sealed", row.token_id, token_owner(row.account_id, row.token_id), row.pin_sealed
    ).reveal()
    verifier, length = Secret(plain[:_VERIFIER_BYTES]), plain[_VERIFIER_BYTES]
    return PinVerifier(verifier, row.pin_salt, row.pin_memory, row.pin_passes, length)
