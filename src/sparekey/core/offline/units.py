"""Decides which units a device gets for one user and in which order, or names the obstacle.

Rules (offline-day.md, "On the server"; docs/policy.md, "Offline policy"):
- A unit that is not allowed is not made. Each obstacle is a sentence that includes the remedy.
- The rest of today (of an event-based token: its pack) comes first, then the emergency codes, then the other days,
  nearest first. A user who shuts the lid after a second has the data for the next hours.
- No record is sealed past the expiry of token or account.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from sparekey.core.policy.offline import EffectivePolicy, ProtectionLevel
from sparekey.core.sign_in.authenticate import AccountState, TokenState
from sparekey.core.sign_in.pins import PinVerifier
from sparekey.core.tokens import Hotp, TimeBased
from sparekey.durations import DAY_SECONDS
from sparekey.unit_kind import UnitKind

DAY: Final = DAY_SECONDS
SOON: Final = 12 * 3_600  # the next hours, which are downloaded first


class Protection(StrEnum):
    """The protection of offline data, as a device reports it."""

    FILE = "file"  # keys in a file for root alone: a copied disk includes them
    TPM = "tpm"  # keys of the TPM: a copied disk gives an attacker nothing to guess
    TPM_PIN_LOCK = "tpm-pin-lock"  # besides, days open only with the PIN, and the TPM limits the attempts


@dataclass(frozen=True)
class DeviceState:
    """The properties of a device that decide about its offline data."""

    device_id: str
    revoked: bool
    supports_offline: bool
    hardware_bound: bool


class Obstacle(StrEnum):
    """A reason why there is no offline data, as a text for the help desk: the problem, and what to do."""

    POLICY_OFF = "Offline authentication is off in the policy of the user's or the device's domain. Turn it on there."
    DEVICE_REVOKED = "The device is revoked. Enrol it again."
    NO_OFFLINE_SUPPORT = "The agent on this device does not support offline sign-in. Update or replace it."
    NO_HARDWARE_STORE = "The policy requires a TPM, and this device does not use one. Add a TPM, or change the policy."
    ACCOUNT_CLOSED = "The user is disabled or expired. Enable the user, or change the expiry."
    ACCOUNT_LOCKED = "The user is locked. Unlock the user."
    NEXT_TOKENCODE = "Several wrong passcodes in a row. The user must sign in online once, with a second tokencode."
    NO_TOKEN_USED = "The user must first sign in online on this device, with a token."
    NOT_DOWNLOADED = "No device has downloaded it yet. A device does so automatically the next time it is online."
    TOKEN_LOST = (
        "The token is lost. Devices erase its days at their next contact; its emergency tokencode still works. Mark "
        "the token as found, or replace it."
    )
    TOKEN_DISABLED = "The token is disabled. Enable it."
    TOKEN_EXPIRED = "The token has expired. Replace it, or assign another one."
    NO_PIN = "The token has no PIN. Set one."
    PIN_MUST_CHANGE = "The PIN must be changed. The user is asked for a new one at the next online sign-in."
    PASSCODE_TOO_SHORT = (
        "PIN and tokencode together are shorter than the policy requires. Set a longer PIN, or change the policy."
    )
    PIN_LESS_NOT_ALLOWED = "The policy does not allow offline data for tokens without a PIN. Allow it in the policy."
    PIN_LESS_TOO_WEAK = (
        "A token without a PIN needs protection level balanced or strong, and 8-digit codes or a TPM. "
        "Assign another token, or change the policy."
    )
    EMERGENCY_OFF = "The policy does not allow devices to download this emergency code. Turn it on there."


class OfflineToken(Protocol):
    """The properties of a token that decide about its offline data, without its secret."""

    @property
    def token_id(self) -> str: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def lost(self) -> bool: ...
    @property
    def expires_at(self) -> int | None: ...
    @property
    def with_pin(self) -> bool: ...
    @property
    def pin(self) -> PinVerifier | None: ...
    @property
    def pin_must_change(self) -> bool: ...
    @property
    def digits(self) -> int: ...


@dataclass(frozen=True)
class WantedUnit:
    """One unit that the device should hold. `day` counts days since 1970-01-01 UTC and is 0 for all other kinds."""

    kind: UnitKind
    token_id: str  # "" for the passcode
    day: int = 0


def is_told_of_lock(account: AccountState, last_contact: int | None, now: int) -> bool:
    """Return True if the device refuses tokencodes because it has learnt at a contact that the user is locked."""
    locked_at = account.failures.locked_at
    return account.locked(now) and None not in (locked_at, last_contact) and (last_contact or 0) >= (locked_at or 0)


def account_obstacle(account: AccountState, device: DeviceState, policy: EffectivePolicy, now: int) -> Obstacle | None:
    """Return the most important obstacle to any data of this user on this device, or None."""
    return next(iter(account_obstacles(account, device, policy, now)), None)


def account_obstacles(
    account: AccountState, device: DeviceState, policy: EffectivePolicy, now: int
) -> tuple[Obstacle, ...]:
    """Return all obstacles to any data of this user on this device, the most important first."""
    expired = account.expires_at is not None and now >= account.expires_at
    checks = (
        (device.revoked, Obstacle.DEVICE_REVOKED),
        (not policy.values.enabled, Obstacle.POLICY_OFF),
        (not device.supports_offline, Obstacle.NO_OFFLINE_SUPPORT),
        (policy.values.require_hardware_store and not device.hardware_bound, Obstacle.NO_HARDWARE_STORE),
        (not account.enabled or expired, Obstacle.ACCOUNT_CLOSED),
    )
    return tuple(obstacle for holds, obstacle in checks if holds)


def code_obstacles(
    account: AccountState,
    device: DeviceState,
    policy: EffectivePolicy,
    token: OfflineToken | None,
    now: int,
    *,
    used_here: bool,
) -> tuple[Obstacle, ...]:
    """Return all obstacles to an emergency code on the device, the most important first.

    `token`: the token of an emergency tokencode; None: the code is a passcode. `used_here`: the token was
    used on this device.
    """
    found = account_obstacles(account, device, policy, now)
    allowed = policy.values.emergency_passcode if token is None else policy.values.emergency_tokencode
    if not allowed:
        found += (Obstacle.EMERGENCY_OFF,)
    if token is None:
        return found
    if not used_here:
        found += (Obstacle.NO_TOKEN_USED,)
    obstacle = token_obstacle(token, device, policy, now)
    return (*found, obstacle) if obstacle is not None else found


def token_obstacle(token: OfflineToken, device: DeviceState, policy: EffectivePolicy, now: int) -> Obstacle | None:
    """Return the obstacle to an emergency tokencode, and therefore also to days or events, on the device, or None."""
    if not token.enabled:
        return Obstacle.TOKEN_DISABLED
    if token.expires_at is not None and now >= token.expires_at:
        return Obstacle.TOKEN_EXPIRED
    if not token.with_pin:
        return _pin_less_obstacle(token, device, policy)
    if token.pin is None:
        return Obstacle.NO_PIN
    if token.pin_must_change:
        return Obstacle.PIN_MUST_CHANGE
    too_short = token.pin.length + token.digits < policy.values.minimum_passcode_length
    return Obstacle.PASSCODE_TOO_SHORT if too_short else None


def days_obstacle(token: OfflineToken, device: DeviceState, policy: EffectivePolicy, now: int) -> Obstacle | None:
    """Return the obstacle to days or events of this token on the device, or None."""
    obstacle = token_obstacle(token, device, policy, now)
    return obstacle or (Obstacle.TOKEN_LOST if token.lost else None)


def ends_at_contact(
    account: AccountState,
    device: DeviceState,
    policy: EffectivePolicy,
    used: Sequence[OfflineToken],
    token: OfflineToken | None,
    now: int,
    *,
    days: bool,
) -> bool:
    """Return True if the next contact ends what the device accepts now.

    `days`: check the days or events of `token`, else its emergency tokencode. `token` None: the passcode. `used`: the
    user's tokens that were used on the device, the most recent first.
    """
    if account_obstacle(account, device, policy, now) is not None:
        return True
    if token is None:
        return not policy.values.emergency_passcode or not used
    if token.token_id not in {recent.token_id for recent in used[: policy.values.tokens_per_user]}:
        return True
    if days:
        return account.locked(now) or days_obstacle(token, device, policy, now) is not None
    return not policy.values.emergency_tokencode or token_obstacle(token, device, policy, now) is not None


def _pin_less_obstacle(token: OfflineToken, device: DeviceState, policy: EffectivePolicy) -> Obstacle | None:
    if not policy.values.allow_tokens_without_pin:
        return Obstacle.PIN_LESS_NOT_ALLOWED
    strong_enough = policy.values.protection_level is not ProtectionLevel.LIGHT
    if not strong_enough or not (token.digits == 8 or device.hardware_bound):
        return Obstacle.PIN_LESS_TOO_WEAK
    return None


def wanted_units(
    account: AccountState, tokens: tuple[TokenState, ...], device: DeviceState, policy: EffectivePolicy, now: int
) -> list[WantedUnit]:
    """Return every unit that the device should hold for this user, in the order of sealing.

    `tokens`: those used on this device, the most recent first. A locked account gets nothing new; an account in
    next-tokencode mode gets nothing of its tokens (offline-day.md, server rule 2).
    """
    if account_obstacle(account, device, policy, now) is not None or account.locked(now):
        return []
    tokens = tokens[: policy.values.tokens_per_user]
    today = now // DAY_SECONDS
    first_days = [today] if (today + 1) * DAY_SECONDS - now >= SOON else [today, today + 1]
    later_days = [day for day in range(today, today + policy.values.days + 1) if day not in first_days]
    known = bool(tokens)
    if account.in_next_tokencode_mode:
        tokens = ()
    with_days = [token for token in tokens if days_obstacle(token, device, policy, now) is None]

    def days(which: list[int]) -> list[WantedUnit]:
        found = (_unit_of(token, account, day, now) for day in which for token in with_days)
        return [unit for unit in found if unit is not None]

    units = days(first_days)
    if policy.values.emergency_tokencode:
        usable = [token for token in tokens if token_obstacle(token, device, policy, now) is None]
        units += [WantedUnit(UnitKind.EMERGENCY_TOKENCODE, token.token_id) for token in usable]
    if policy.values.emergency_passcode and known:
        units.append(WantedUnit(UnitKind.EMERGENCY_PASSCODE, ""))
    units += days(later_days)
    return units


def _unit_of(token: TokenState, account: AccountState, day: int, now: int) -> WantedUnit | None:
    """Return the unit of this token for that day, or None. The pack of an event-based token counts as today's unit."""
    if isinstance(token.otp, Hotp):
        return WantedUnit(UnitKind.EVENTS, token.token_id) if day == now // DAY_SECONDS else None
    return WantedUnit(UnitKind.DAY, token.token_id, day) if usable_steps(token, account, day, now) else None


def usable_steps(token: TokenState, account: AccountState, day: int, now: int) -> range:
    """Return the steps of that day that can still be used. None ends after the expiry of token or account."""
    if not isinstance(token.otp, TimeBased):
        return range(0)
    steps = token.otp.steps_of_day(day, token.drift)
    first = max(steps.start, token.last_step + 1, token.otp.step_at(now, token.drift))
    ends = [end for end in (token.expires_at, account.expires_at) if end is not None]
    stop = min([steps.stop, *(token.otp.step_at(end, token.drift) for end in ends)])
    return range(first, max(first, stop))
