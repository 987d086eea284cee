"""From rows to what the core judges: stored secrets are opened here and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sparekey.app.vault import Vault
from sparekey.core.emergency.online import EmergencyKind, IfAvailable, OnlineEmergency
from sparekey.core.policy.lockout import FailureCount, LockoutPolicy
from sparekey.core.policy.token import TOKEN_FIELDS, TokenPolicy
from sparekey.core.sign_in.authenticate import AccountState, CodeState, TokenState
from sparekey.core.sign_in.pins import SALT_BYTES, PinVerifier
from sparekey.core.tokens import TOKEN_TYPES, Parameters
from sparekey.secret import Secret

_VERIFIER_BYTES: Final = 32
PIN_BYTES: Final = _VERIFIER_BYTES + SALT_BYTES + 12


def account_state(row: Any, lockout: LockoutPolicy, token_policy: TokenPolicy) -> AccountState:
    """From a row of `account`, and the policies of its domain."""
    failures = FailureCount(row.failures, row.first_failure_at, row.locked_at)
    return AccountState(row.id, row.login, row.enabled, row.expires_at, failures, lockout, token_policy)


def joined_account_state(row: Any) -> AccountState:
    """From a row of storage.sign_in.statements's snapshot, in which the account's columns have longer names."""
    failures = FailureCount(row.failures, row.first_failure_at, row.locked_at)
    lockout = _lockout_policy(row.most_failures, row.within_minutes, row.unlock_after_minutes)
    token_policy = _token_policy(tuple(getattr(row, name) for name in TOKEN_FIELDS))
    return AccountState(
        row.account_id, row.login, row.account_enabled, row.account_expires_at, failures, lockout, token_policy
    )


# Policies are few and values: each is checked once, not at every sign-in.
_lockout_policy = lru_cache(maxsize=64)(LockoutPolicy)


@lru_cache(maxsize=64)
def _token_policy(values: tuple[Any, ...]) -> TokenPolicy:
    """`values`: in the order of the fields."""
    return TokenPolicy.of(dict(zip(TOKEN_FIELDS, values, strict=True)))


def online_emergency_state(row: Any, codes: Sequence[tuple[str, Secret[str]]]) -> OnlineEmergency | None:
    """From a row of storage.sign_in.statements's snapshot."""
    if row.emergency_kind is None:
        return None
    return OnlineEmergency(
        EmergencyKind(row.emergency_kind), IfAvailable(row.if_available), row.emergency_expires_at, codes
    )


def open_online_code(vault: Vault, row: Any) -> Secret[str]:
    """The code of a row of `online_emergency_code` with its account."""
    owner = token_owner(row.account_id, row.token_id)
    return Secret(vault.open("online_emergency_code.code_sealed", row.id, owner, row.code_sealed).reveal().decode())


def seal_online_code(vault: Vault, code_id: str, account_id: str, token_id: str, code: Secret[str]) -> bytes:
    """The inverse of `open_online_code`."""
    owner = token_owner(account_id, token_id)
    return vault.seal("online_emergency_code.code_sealed", code_id, owner, code.reveal().encode())


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
        pin=pin_of(vault, row, row.token_id),
        offline_code_online=row.offline_code_online,
        pin_must_change=row.pin_must_change,
        pin_set_at=row.pin_set_at,
    )


@dataclass(frozen=True)
class SeedlessToken:
    """A token as far as offline data are concerned (`core.offline.units.OfflineToken`)."""

    token_id: str
    enabled: bool
    lost: bool
    expires_at: int | None
    with_pin: bool
    pin: PinVerifier | None
    pin_must_change: bool
    digits: int


def seedless_token(vault: Vault, row: Any) -> SeedlessToken:
    """From a row with the columns of `token`; its seed stays sealed."""
    pin = pin_of(vault, row)
    return SeedlessToken(
        row.id, row.enabled, row.lost, row.expires_at, row.with_pin, pin, row.pin_must_change, row.digits
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


def seal_pin_history(vault: Vault, account_id: str, token_id: str, former: Sequence[PinVerifier]) -> bytes:
    """Former PINs, newest first, as their verifiers."""
    return vault.seal(
        "token.pin_history_sealed", token_id, token_owner(account_id, token_id), b"".join(map(pin_bytes, former))
    )


def open_pin_history(vault: Vault, row: Any) -> list[PinVerifier]:
    """From a row of `token`; the inverse of `seal_pin_history`."""
    if row.pin_history_sealed is None:
        return []
    owner = token_owner(row.account_id, row.id)
    plain = vault.open("token.pin_history_sealed", row.id, owner, row.pin_history_sealed).reveal()
    size = PIN_BYTES
    return [pin_from_bytes(plain[start : start + size]) for start in range(0, len(plain), size)]


def pin_bytes(pin: PinVerifier) -> bytes:
    """A verifier with everything that belongs to it: PIN_BYTES long. Secret."""
    numbers = (pin.memory_kib, pin.passes, pin.length)
    return pin.verifier.reveal() + pin.salt + b"".join(number.to_bytes(4, "big") for number in numbers)


def pin_from_bytes(data: bytes) -> PinVerifier:
    """The inverse of `pin_bytes`."""
    verifier, salt = data[:_VERIFIER_BYTES], data[_VERIFIER_BYTES : _VERIFIER_BYTES + SALT_BYTES]
    start = _VERIFIER_BYTES + SALT_BYTES
    memory, passes, length = (int.from_bytes(data[at : at + 4], "big") for at in (start, start + 4, start + 8))
    return PinVerifier(Secret(verifier), salt, memory, passes, length)


NO_PIN: dict[str, None] = {"pin_sealed": None, "pin_salt": None, "pin_memory": None, "pin_passes": None}


def token_owner(account_id: str | None, token_id: str) -> str:
    """Whose secret it is, for the vault's associated data: a token that is moved to another user in the database opens
    to nothing. None: nobody has the token; assigning it seals its seed anew."""
    return f"account:{account_id}/token:{token_id}"


def code_owner(account_id: str, token_id: str | None) -> str:
    """The same for an emergency code: of a token, or of the user where there is none."""
    return token_owner(account_id, token_id) if token_id else f"account:{account_id}"


def pin_of(vault: Vault, row: Any, token_id: str = "") -> PinVerifier | None:
    """From a row with the columns of `token`; its id as `id`, unless it is given."""
    if row.pin_sealed is None:
        return None
    token_id = token_id or row.id
    plain = vault.open("token.pin_sealed", token_id, token_owner(row.account_id, token_id), row.pin_sealed).reveal()
    verifier, length = Secret(plain[:_VERIFIER_BYTES]), plain[_VERIFIER_BYTES]
    return PinVerifier(verifier, row.pin_salt, row.pin_memory, row.pin_passes, length)
