"""Offline authentication policy: the stored policy, and the effective policy of one user on one device.

Rules: every field declares its range, default, unit and merge rule (core.policy.fields). The stored type and the
effective type differ, so that code cannot enforce a policy that was not merged. Merging no policies denies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sparekey.core.policy.fields import (
    EditEffect,
    MergeRule,
    PolicyError,
    PolicyField,
    checked_values,
    choice,
    fields_of,
    number,
    switch,
    text,
)


class ProtectionLevel(StrEnum):
    """The cost of one guess for an attacker who has copied the disk (spec/offline-day.md, levels)."""

    LIGHT = "light"
    BALANCED = "balanced"
    STRONG = "strong"


class ServerDown(StrEnum):
    """The permitted use of offline data while there is a route to the server but no answer."""

    ON = "on"
    EMERGENCY_ONLY = "emergency-codes-only"
    OFF = "off"


@dataclass(frozen=True)
class OfflinePolicy:
    """The stored offline policy: one value per field."""

    enabled: bool = switch(True, False, "Users can sign in on offline devices.", EditEffect.DISCARDS)
    minimum_passcode_length: int = number(
        10,
        8,
        16,
        "characters",
        "more",
        "Devices download days only for passcodes (PIN + tokencode) of at least this length.",
        EditEffect.DISCARDS,
    )
    allow_tokens_without_pin: bool = switch(
        False,
        False,
        "Tokens without a PIN get offline data, too; the minimum length does not apply to them. "
        "Needs level balanced or strong, and 8-digit codes or a TPM.",
        EditEffect.DISCARDS,
    )
    emergency_tokencode: bool = switch(
        True,
        False,
        "Devices download an offline emergency tokencode (replaces the tokencode; needs the PIN).",
        EditEffect.DISCARDS,
    )
    emergency_passcode: bool = switch(
        True,
        False,
        "Devices download an offline emergency passcode (replaces PIN and tokencode).",
        EditEffect.DISCARDS,
    )
    emergency_lifetime: int = number(
        30, 1, 365, "days", "fewer", "The lifetime of an emergency code.", EditEffect.RENEWS_CODES
    )
    days: int = number(
        14, 1, 60, "days", "fewer", "The number of days of offline data on a device.", EditEffect.DISCARDS
    )
    warn_days: int = number(
        7,
        0,
        30,
        "days",
        "",
        "Users get a warning when they have at most this many days left.",
    )
    offline_failures: int = number(
        10, 1, 25, "attempts", "fewer", "Failed offline attempts before an emergency code is required."
    )
    protection_level: ProtectionLevel = choice(
        ProtectionLevel.BALANCED,
        "How expensive each guess is for an attacker who has copied the disk; see spec/offline-day.md for the cost.",
        EditEffect.RENEWS,
    )
    server_down: ServerDown = choice(
        ServerDown.ON,
        "The use of offline data while the server is down (there is a route to it, but no answer).",
    )
    users_per_device: int = number(
        5,
        1,
        50,
        "users",
        "fewer",
        "Users with offline data on one device; the least recently used one is dropped.",
        EditEffect.ERASES,
    )
    tokens_per_user: int = number(
        2, 1, 10, "tokens", "fewer", "Tokens of one user with offline data on one device.", EditEffect.ERASES
    )
    require_hardware_store: bool = switch(False, True, "Only devices with a TPM get offline data.", EditEffect.DISCARDS)
    help_text: str = text(
        "", 200, MergeRule.DEVICE, "Help text at the login screen, e.g. the help desk's telephone number."
    )
    os_password: bool = switch(
        False,
        False,
        "Devices keep the operating-system password for logins that ask for it; off: they erase it.",
        EditEffect.ERASES,
    )

    passcode_approval: bool = switch(
        False,
        True,
        "Whatever lets an operator alone sign in as a user requires the approval of another person: an offline "
        "emergency passcode, or any acts that together replace PIN and tokencode.",
    )
    showings_warn: int = number(10, 1, 1000, "codes an hour", "fewer", "Above this number, an operator gets a warning.")
    showings_limit: int = number(
        30,
        1,
        1000,
        "codes an hour",
        "fewer",
        "At this number, an operator can show no more codes until it is raised (`sparekey operator lift`).",
    )
    pin_lock: bool = switch(
        True,
        True,
        "With a TPM, data of tokens with a PIN open only with the PIN, and the TPM allows only a few attempts.",
    )

    @classmethod
    def of(cls, values: Mapping[str, object]) -> OfflinePolicy:
        """Make a policy from plain values by field name; a missing field gets its default. Raises PolicyError."""
        return cls(**checked_values(FIELDS, values))

    def __post_init__(self) -> None:
        for field in FIELDS.values():
            field.checked(getattr(self, field.name))
        if self.allow_tokens_without_pin and self.protection_level is ProtectionLevel.LIGHT:
            raise PolicyError(
                "allow_tokens_without_pin", "on", "off, or raise protection_level to balanced or strong first"
            )


FIELDS: Final[Mapping[str, PolicyField]] = fields_of(OfflinePolicy)


@dataclass(frozen=True)
class AssignedPolicy:
    """A stored policy with the names that explain the source of its values."""

    name: str
    domain: str
    policy: OfflinePolicy
    revision: int = 0


@dataclass(frozen=True)
class EffectivePolicy:
    """The policy in force for one user on one device. Only `effective_policy` makes it."""

    values: OfflinePolicy
    sources: Mapping[str, str]  # field name -> a text that names the source of its value
    revision: int = 0  # revision of the user's policy, for information in the units sealed under it


def effective_policy(user: AssignedPolicy | None, device: AssignedPolicy | None) -> EffectivePolicy:
    """Merge the policy of the user's domain with that of the device's domain, field by field.

    A missing policy denies: a policy that allows nothing takes its place.
    """
    if user is None or device is None:
        nothing = OfflinePolicy(enabled=False, emergency_tokencode=False, emergency_passcode=False)
        return EffectivePolicy(nothing, dict.fromkeys(FIELDS, "no policy is assigned"))
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, field in FIELDS.items():
        side = _winner(field, user, device)
        values[name] = getattr(side.policy, name)
        sources[name] = _source(name, side, user, device)
    return EffectivePolicy(OfflinePolicy(**values), sources, user.revision)


def _winner(field: PolicyField, user: AssignedPolicy, device: AssignedPolicy) -> AssignedPolicy:
    of_user, of_device = getattr(user.policy, field.name), getattr(device.policy, field.name)
    if field.merge is MergeRule.USER:
        return user
    if field.merge is MergeRule.DEVICE:
        return device if of_device != field.default else user
    return device if field.strictness(of_device) > field.strictness(of_user) else user


def _source(name: str, side: AssignedPolicy, user: AssignedPolicy, device: AssignedPolicy) -> str:
    if getattr(user.policy, name) == getattr(device.policy, name) and user.name == device.name:
        return f"policy {side.name!r}"
    whose = "user" if side is user else "device"
    return f"policy {side.name!r} of the {whose}'s domain {side.domain!r}"
