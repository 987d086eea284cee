"""Readiness of a user for sign-in without a network, on one device: what works there now, until when, and obstacles.

Rules: pure; only data that the device has confirmed counts, and only tokens that the user has: the codes of a lost
token would still open its days. Whole days are counted as the device counts them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sparekey.core.offline.units import (
    DeviceState,
    Obstacle,
    OfflineToken,
    account_obstacle,
    days_obstacle,
    ends_at_contact,
    is_told_of_lock,
)
from sparekey.core.policy.offline import EffectivePolicy
from sparekey.core.sign_in.authenticate import AccountState
from sparekey.durations import DAY_SECONDS

WEEK: Final = 7 * DAY_SECONDS


class Readiness(StrEnum):
    """The best way to sign in if the network failed now."""

    TOKENCODE = "tokencode"
    EMERGENCY_CODE = "emergency code"  # only with the help desk on the telephone
    NOTHING = "nothing"
    CLOSED = "closed"  # disabled or expired: must not sign in


@dataclass(frozen=True)
class Held:
    """Data that a device has confirmed, by token id ("": the passcode): unix seconds until which it is valid.

    `last_contact`: the device does not know of later changes.
    """

    data: Mapping[str, int] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)
    last_contact: int | None = None


@dataclass(frozen=True)
class Assessment:
    """The readiness of one user on one device; a time is None if there is no such data or code. `passing`: the way in
    that `readiness` names works only until the next contact of the device, which ends it."""

    readiness: Readiness
    data_until: int | None
    emergency_tokencode_until: int | None
    emergency_passcode_until: int | None
    obstacle: Obstacle | None
    passing: bool = False

    def days_left(self, now: int) -> int:
        """Return the whole days until the offline data ends."""
        return max((self.data_until or 0) - now, 0) // DAY_SECONDS

    @property
    def emergency_until(self) -> int | None:
        """Return the time until which at least one emergency code works."""
        return _latest((self.emergency_tokencode_until, self.emergency_passcode_until))


def assess(
    account: AccountState,
    device: DeviceState,
    policy: EffectivePolicy,
    tokens: Sequence[OfflineToken],
    held: Held,
    now: int,
) -> Assessment:
    """Assess one user on one device. `tokens`: those used on this device, the most recent first."""
    usable = [token for token in tokens if _works(token, now)]
    # no record is sealed past the expiry of token or account, even if the day is on the device
    data = _latest(
        _earliest(held.data.get(token.token_id), token.expires_at, account.expires_at)
        for token in usable
        if not token.lost
    )
    if is_told_of_lock(account, held.last_contact, now):
        data = None
    tokencode = _latest(held.codes.get(token.token_id) for token in usable)
    passcode = held.codes.get("")
    if not account.enabled or (account.expires_at is not None and now >= account.expires_at):
        readiness = Readiness.CLOSED
    elif data is not None:
        readiness = Readiness.TOKENCODE
    else:
        has_code = tokencode is not None or passcode is not None
        readiness = Readiness.EMERGENCY_CODE if has_code else Readiness.NOTHING
    with_days = readiness is Readiness.TOKENCODE
    held_by = held.data if with_days else held.codes
    ways: list[OfflineToken | None] = [
        token for token in usable if token.token_id in held_by and not (with_days and token.lost)
    ]
    ways += [None] if passcode is not None and not with_days else []
    opens = readiness in (Readiness.TOKENCODE, Readiness.EMERGENCY_CODE)
    passing = opens and all(ends_at_contact(account, device, policy, tokens, way, now, days=with_days) for way in ways)
    obstacle = _obstacle(account, device, policy, tokens, data, now)
    return Assessment(readiness, data, tokencode, passcode, obstacle, passing)


def assess_without_device(account: AccountState, now: int) -> Assessment:
    """Return the result for a user without offline data on any device."""
    closed = not account.enabled or (account.expires_at is not None and now >= account.expires_at)
    readiness, obstacle = Readiness.NOTHING, Obstacle.NO_TOKEN_USED
    if closed:
        readiness, obstacle = Readiness.CLOSED, Obstacle.ACCOUNT_CLOSED
    return Assessment(readiness, None, None, None, obstacle)


def runs_out(assessment: Assessment, now: int, within: int = WEEK) -> int | None:
    """Return when the user can no longer sign in with the token, if that is within `within` seconds; otherwise None."""
    if assessment.readiness is Readiness.CLOSED:
        return None
    if assessment.data_until is None:
        return now
    return assessment.data_until if assessment.data_until < now + within else None


def _works(token: OfflineToken, now: int) -> bool:
    ended = token.expires_at is not None and now >= token.expires_at
    return token.enabled and not ended and (token.pin is not None or not token.with_pin)


def _obstacle(
    account: AccountState,
    device: DeviceState,
    policy: EffectivePolicy,
    tokens: Sequence[OfflineToken],
    data: int | None,
    now: int,
) -> Obstacle | None:
    """Return the first obstacle to new data on the device."""
    obstacle = account_obstacle(account, device, policy, now)
    if obstacle is not None:
        return obstacle
    if account.locked(now):
        return Obstacle.ACCOUNT_LOCKED
    if account.in_next_tokencode_mode:
        return Obstacle.NEXT_TOKENCODE
    if not tokens:
        return Obstacle.NO_TOKEN_USED
    in_use = tokens[: policy.values.tokens_per_user]
    obstacles = [days_obstacle(token, device, policy, now) for token in in_use]
    if None in obstacles:
        return None if data is not None else Obstacle.NOT_DOWNLOADED
    return obstacles[0]


def _earliest(held: int | None, *ends: int | None) -> int | None:
    return None if held is None else min([held, *(end for end in ends if end is not None)])


def _latest(ends: Iterable[int | None]) -> int | None:
    return max((end for end in ends if end is not None), default=None)
