"""Convert stored rows to the states that the core decides with. Stored secrets are decrypted here and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sparekey.app.vault import Vault
from sparekey.core.emergency.online import OnlineEmergency
from sparekey.core.policy.lockout import InterfaceGroup, LockoutPolicy
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.sign_in.authenticate import AccountState, CodeState, TokenState
from sparekey.core.sign_in.pins import SALT_BYTES, PinVerifier
from sparekey.core.tokens import TOKEN_TYPES, Parameters
from sparekey.secret import Secret
from sparekey.storage.emergency.offline import EmergencyCode
from sparekey.storage.people.accounts import Account
from sparekey.storage.sign_in.statements import EmergencyTerms, OnlineCode, SignInAccount
from sparekey.storage.tokens.tokens import PinColumns, Token, TokenColumns

_VERIFIER_BYTES: Final = 32
PIN_BYTES: Final = _VERIFIER_BYTES + SALT_BYTES + 12


class StoredPin(Protocol):
    """The columns that `pin_of` reads; rows of several queries have them."""

    @property
    def id(self) -> str: ...  # of the token
    @property
    def account_id(self) -> str | None: ...
    @property
    def pin_sealed(self) -> bytes | None: ...
    @property
    def pin_salt(self) -> bytes | None: ...
    @property
    def pin_memory(self) -> int | None: ...
    @property
    def pin_passes(self) -> int | None: ...


class StoredToken(StoredPin, Protocol):
    """The columns that `seedless_token` reads; rows of several queries have them."""

    @property
    def enabled(self) -> bool: ...
    @property
    def lost(self) -> bool: ...
    @property
    def expires_at(self) -> int | None: ...
    @property
    def with_pin(self) -> bool: ...
    @property
    def pin_must_change(self) -> bool: ...
    @property
    def digits(self) -> int: ...


def account_state(
    account: Account | SignInAccount,
    lockout: LockoutPolicy,
    token_policy: TokenPolicy,
    group: InterfaceGroup = InterfaceGroup.ELSEWHERE,
) -> AccountState:
    """Return the account as the core decides on it at these interfaces, under the policies of its domain."""
    failures = account.count_at(group)
    return AccountState(
        account.id,
        account.login,
        account.enabled,
        account.expires_at,
        failures,
        lockout,
        token_policy,
        account.counts_version,
    )


def sign_in_account_state(account: SignInAccount, group: InterfaceGroup = InterfaceGroup.ELSEWHERE) -> AccountState:
    """Return the account that signs in at these interfaces as the core decides on it."""
    return account_state(account, account.lockout, account.token_policy, group)


def online_emergency_state(
    terms: EmergencyTerms | None, codes: Sequence[tuple[str, Secret[str]]]
) -> OnlineEmergency | None:
    """Return the online emergency access of a token, if there is any, with its codes."""
    if terms is None:
        return None
    return OnlineEmergency(terms.kind, terms.if_available, terms.expires_at, codes)


def open_online_code(vault: Vault, code: OnlineCode) -> Secret[str]:
    """Return a code of online emergency access. Raises VaultError if its row was altered."""
    owner = token_owner(code.account_id, code.token_id)
    return Secret(vault.open("online_emergency_code.code_sealed", code.id, owner, code.code_sealed).reveal().decode())


def seal_online_code(vault: Vault, code_id: str, account_id: str, token_id: str, code: Secret[str]) -> bytes:
    """Encrypt a code for its row: the inverse of `open_online_code`."""
    owner = token_owner(account_id, token_id)
    return vault.seal("online_emergency_code.code_sealed", code_id, owner, code.reveal().encode())


def token_state(vault: Vault, token: TokenColumns) -> TokenState:
    """Return the token as the core decides on it. Raises VaultError if its row was altered."""
    seed = vault.open("token.seed_sealed", token.id, token_owner(token.account_id, token.id), token.seed_sealed)
    parameters = Parameters(seed, token.serial, token.digits, token.interval, token.algorithm)
    return TokenState(
        token_id=token.id,
        otp=TOKEN_TYPES[token.type].of(parameters),
        drift=token.drift,
        last_step=token.last_step,
        reported=range(token.reported_from + 1, token.reported_to + 1),
        enabled=token.enabled,
        lost=token.lost,
        expires_at=token.expires_at,
        with_pin=token.with_pin,
        pin=pin_of(vault, token),
        offline_code_online=token.offline_code_online,
        pin_must_change=token.pin_must_change,
        pin_set_at=token.pin_set_at,
    )


@dataclass(frozen=True)
class SeedlessToken:
    """The properties of a token that matter for offline data (`core.offline.units.OfflineToken`)."""

    token_id: str
    enabled: bool
    lost: bool
    expires_at: int | None
    with_pin: bool
    pin: PinVerifier | None
    pin_must_change: bool
    digits: int


def seedless_token(vault: Vault, token: StoredToken) -> SeedlessToken:
    """Return the token without its seed, which stays sealed."""
    return SeedlessToken(
        token.id,
        token.enabled,
        token.lost,
        token.expires_at,
        token.with_pin,
        pin_of(vault, token),
        token.pin_must_change,
        token.digits,
    )


def code_state(vault: Vault, code: EmergencyCode) -> CodeState:
    """Return a version of an emergency tokencode as the core decides on it."""
    assert code.token_id is not None  # a passcode works on devices alone
    return CodeState(code.id, code.token_id, open_code(vault, code), code.not_after)


def open_code(vault: Vault, code: EmergencyCode) -> Secret[str]:
    """Return the canonical code. Raises VaultError if its row was altered."""
    owner = code_owner(code.account_id, code.token_id)
    return Secret(vault.open("emergency_code.code_sealed", code.id, owner, code.code_sealed).reveal().decode())


def seal_code(vault: Vault, code_id: str, account_id: str, token_id: str | None, code: Secret[str]) -> bytes:
    """Encrypt a code for its row: the inverse of `open_code`."""
    owner = code_owner(account_id, token_id)
    return vault.seal("emergency_code.code_sealed", code_id, owner, code.reveal().encode())


def seal_pin(vault: Vault, account_id: str, token_id: str, pin: PinVerifier) -> PinColumns:
    """Encrypt a PIN verifier for the token's row: the inverse of `pin_of`."""
    plain = pin.verifier.reveal() + bytes([pin.length])
    return PinColumns(
        pin_sealed=vault.seal("token.pin_sealed", token_id, token_owner(account_id, token_id), plain),
        pin_salt=pin.salt,
        pin_memory=pin.memory_kib,
        pin_passes=pin.passes,
    )


def seal_pin_history(vault: Vault, account_id: str, token_id: str, former: Sequence[PinVerifier]) -> bytes:
    """Encrypt the verifiers of former PINs, newest first."""
    return vault.seal(
        "token.pin_history_sealed", token_id, token_owner(account_id, token_id), b"".join(map(pin_bytes, former))
    )


def open_pin_history(vault: Vault, token: Token) -> list[PinVerifier]:
    """Return the former PINs, newest first; the inverse of `seal_pin_history`."""
    if token.pin_history_sealed is None:
        return []
    owner = token_owner(token.account_id, token.id)
    plain = vault.open("token.pin_history_sealed", token.id, owner, token.pin_history_sealed).reveal()
    size = PIN_BYTES
    return [pin_from_bytes(plain[start : start + size]) for start in range(0, len(plain), size)]


def pin_bytes(pin: PinVerifier) -> bytes:
    """Return the verifier with its salt and parameters: PIN_BYTES bytes. They are secret."""
    numbers = (pin.memory_kib, pin.passes, pin.length)
    return pin.verifier.reveal() + pin.salt + b"".join(number.to_bytes(4, "big") for number in numbers)


def pin_from_bytes(data: bytes) -> PinVerifier:
    """Return the verifier from PIN_BYTES bytes: the inverse of `pin_bytes`."""
    verifier, salt = data[:_VERIFIER_BYTES], data[_VERIFIER_BYTES : _VERIFIER_BYTES + SALT_BYTES]
    start = _VERIFIER_BYTES + SALT_BYTES
    memory, passes, length = (int.from_bytes(data[at : at + 4], "big") for at in (start, start + 4, start + 8))
    return PinVerifier(Secret(verifier), salt, memory, passes, length)


def token_owner(account_id: str | None, token_id: str) -> str:
    """Return the owner of a token's secrets, for the vault's associated data. `account_id` None: an unassigned token.

    The secrets of a token that was moved to another user inside the database cannot be decrypted. Assigning a token
    encrypts its seed again, for its new owner.
    """
    return f"account:{account_id}/token:{token_id}"


def code_owner(account_id: str, token_id: str | None) -> str:
    """Return the owner of an emergency code, for the vault's associated data: the token, or the user without one."""
    return token_owner(account_id, token_id) if token_id else f"account:{account_id}"


def pin_of(vault: Vault, token: StoredPin) -> PinVerifier | None:
    """Return the token's PIN; None if it has none. Raises VaultError if its row was altered."""
    if token.pin_sealed is None:
        return None
    plain = vault.open("token.pin_sealed", token.id, token_owner(token.account_id, token.id), token.pin_sealed).reveal()
    verifier, length = Secret(plain[:_VERIFIER_BYTES]), plain[_VERIFIER_BYTES]
    salt, memory, passes = token.pin_salt, token.pin_memory, token.pin_passes
    assert salt is not None
    assert memory is not None
    assert passes is not None  # all four are written together
    return PinVerifier(verifier, salt, memory, passes, length)
