"""Offline authentication policy: what is stored per policy, and the effective policy of one user on one device.

Rules: every field carries its range, default, unit and merge rule beside it, so that storage, command line, pages and
documentation are derived from one place. The stored type and the effective type differ, so that nobody enforces a
policy that was not merged. A combination of no policies denies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class ProtectionLevel(StrEnum):
    """How dear a guess is made for whoever copied the disk (spec/offline-day.md, levels)."""

    LIGHT = "light"
    BALANCED = "balanced"
    STRONG = "strong"


class ServerDown(StrEnum):
    """What offline data may be used for while there is a route to the server but no answer."""

    ON = "on"
    EMERGENCY_ONLY = "emergency-codes-only"
    OFF = "off"


class SealedIn(StrEnum):
    """Where a value is laid down on the device, so that an edit knows what it makes stale."""

    NOWHERE = "nowhere"
    EMERGENCY_UNITS = "emergency units"
    ALL_UNITS = "all units"
    DEVICE_STATE = "device state"


class MergeRule(StrEnum):
    """Which of two values is in force when the user's domain and the device's domain differ."""

    STRICTER = "the stricter wins"
    USER = "the user's domain decides"
    DEVICE = "the device's domain decides, else the user's"


@dataclass(frozen=True)
class PolicyField:
    """One field of the offline policy as people read it: name, meaning, what is allowed, and how it merges."""

    name: str
    meaning: str
    default: bool | int | str
    unit: str
    merge: MergeRule
    sealed_in: SealedIn
    choices: tuple[str, ...] = ()  # from the mildest to the strictest
    low: int = 0
    high: int = 0
    longest: int = 0
    strictness: Callable[[Any], int] = int  # the larger, the stricter

    @property
    def kind(self) -> type[bool] | type[int] | type[str]:
        """The type of a stored value."""
        return type(self.default) if type(self.default) in (bool, int) else str

    @property
    def allowed(self) -> str:
        """The allowed values in words, for help texts and errors."""
        if self.kind is bool:
            return "on or off"
        if self.kind is int:
            return f"a whole number from {self.low} to {self.high}"
        if self.choices:
            return ", ".join(self.choices)
        return f"text of at most {self.longest} characters"

    def parse(self, text: str) -> bool | int | str:
        """The value that a person wrote, or PolicyError with what would be right."""
        if self.kind is bool and text.lower() in _SWITCHES:
            return _SWITCHES[text.lower()]
        if self.kind is int and text.isascii() and text.isdigit() and len(text) < _LONGEST_NUMBER:
            return self.checked(int(text))
        if self.kind is str:
            return self.checked(text)
        raise PolicyError(self.name, text, self.allowed)

    def checked(self, value: bool | int | str) -> bool | int | str:
        """`value` itself if it is within the allowed range, else PolicyError."""
        right = type(value) is self.kind or (self.kind is str and isinstance(value, str))
        if right and self.kind is int:
            right = self.low <= int(value) <= self.high
        if right and self.kind is str:
            text = str(value)
            right = text in self.choices if self.choices else len(text) <= self.longest and text.isprintable()
        if not right:
            raise PolicyError(self.name, str(value), self.allowed)
        return value


class PolicyError(ValueError):
    """A value that a policy field does not allow; says which would be."""

    def __init__(self, field: str, value: str, allowed: str) -> None:
        super().__init__(f"{field}: {value!r} is not allowed; give {allowed}")


_ENUMS: Final[Mapping[str, type[StrEnum]]] = {"protection_level": ProtectionLevel, "server_down": ServerDown}
_LONGEST_NUMBER: Final = 10
_SWITCHES: Final = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}


def _switch(default: bool, strict: bool, meaning: str, sealed: SealedIn = SealedIn.NOWHERE) -> Any:
    return dataclasses.field(
        default=default,
        metadata={
            "meaning": meaning,
            "merge": MergeRule.STRICTER,
            "sealed_in": sealed,
            "strictness": lambda value: int(value is strict),
        },
    )


def _number(
    default: int,
    low: int,
    high: int,
    unit: str,
    strict: str,
    meaning: str,
    sealed: SealedIn = SealedIn.NOWHERE,
) -> Any:
    sign = {"more": 1, "fewer": -1, "": 0}[strict]
    return dataclasses.field(
        default=default,
        metadata={
            "meaning": meaning,
            "unit": unit,
            "low": low,
            "high": high,
            "merge": MergeRule.STRICTER if strict else MergeRule.USER,
            "sealed_in": sealed,
            "strictness": lambda value: sign * int(value),
        },
    )


def _choice(default: StrEnum, meaning: str, sealed: SealedIn) -> Any:
    choices = tuple(member.value for member in type(default))
    return dataclasses.field(
        default=default,
        metadata={
            "meaning": meaning,
            "choices": choices,
            "merge": MergeRule.STRICTER,
            "sealed_in": sealed,
            "strictness": choices.index,
        },
    )


@dataclass(frozen=True)
class OfflinePolicy:
    """The stored offline policy: one value per field, mildest to strictest as each field says."""

    enabled: bool = _switch(True, False, "Users may sign in on devices that are offline.")
    minimum_passcode_length: int = _number(
        10, 8, 16, "characters", "more",
        "Days are downloaded only for a passcode (PIN + tokencode) of at least this length.",
    )  # fmt: skip
    allow_tokens_without_pin: bool = _switch(
        False, False,
        "Tokens without a PIN get offline data too; they are exempt from the minimum length. "
        "Needs level balanced or strong, and 8-digit codes or a TPM.",
    )  # fmt: skip
    emergency_tokencode: bool = _switch(
        True,
        False,
        "Devices download an offline emergency tokencode (replaces the tokencode; needs the PIN).",
    )
    emergency_passcode: bool = _switch(
        True, False, "Devices download an offline emergency passcode (replaces PIN and tokencode)."
    )
    emergency_lifetime: int = _number(
        30, 1, 365, "days", "fewer", "How long an emergency code works.", SealedIn.EMERGENCY_UNITS
    )
    days: int = _number(14, 1, 60, "days", "fewer", "Days of offline data that a device holds.")
    warn_days: int = _number(
        7,
        0,
        30,
        "days",
        "",
        "The user is warned when days left are at most this many.",
        SealedIn.DEVICE_STATE,
    )
    offline_failures: int = _number(
        10, 1, 25, "attempts", "fewer",
        "Failed offline attempts before an emergency code is required.", SealedIn.DEVICE_STATE,
    )  # fmt: skip
    protection_level: ProtectionLevel = _choice(
        ProtectionLevel.BALANCED,
        "How dear each guess is for whoever copied the disk; the cost is in spec/offline-day.md.",
        SealedIn.ALL_UNITS,
    )
    server_down: ServerDown = _choice(
        ServerDown.ON,
        "What offline data may be used for while the server is down (there is a route, but no answer).",
        SealedIn.DEVICE_STATE,
    )
    users_per_device: int = _number(
        5,
        1,
        50,
        "users",
        "fewer",
        "Users with offline data on one device; the least recently used drops out.",
    )
    tokens_per_user: int = _number(2, 1, 10, "tokens", "fewer", "Tokens of one user with offline data on one device.")
    require_hardware_store: bool = _switch(False, True, "Offline data only on devices that bind their store to a TPM.")
    help_text: str = dataclasses.field(
        default="",
        metadata={
            "meaning": "Shown at the login screen when help is needed: the help desk's telephone number.",
            "merge": MergeRule.DEVICE,
            "sealed_in": SealedIn.DEVICE_STATE,
            "longest": 200,
            "strictness": lambda _: 0,
        },
    )
    os_password: bool = _switch(
        False, False, "Keep the operating-system password under the offline key.", SealedIn.DEVICE_STATE
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> OfflinePolicy:
        """A policy from plain values by field name (a database row, a form); fields left out take their default."""
        checked: dict[str, Any] = {name: FIELDS[name].checked(value) for name, value in values.items()}
        for name, enum in _ENUMS.items():
            if name in checked:
                checked[name] = enum(checked[name])
        return cls(**checked)

    def __post_init__(self) -> None:
        for field in FIELDS.values():
            field.checked(getattr(self, field.name))
        if self.allow_tokens_without_pin and self.protection_level is ProtectionLevel.LIGHT:
            raise PolicyError(
                "allow_tokens_without_pin", "on", "off, or raise protection_level to balanced or strong first"
            )


def _field(field: dataclasses.Field[Any]) -> PolicyField:
    details = dict(field.metadata)
    default: bool | int | str = field.default  # type: ignore[assignment] # each field above has one
    return PolicyField(name=field.name, default=default, unit=details.pop("unit", ""), **details)


FIELDS: Final[Mapping[str, PolicyField]] = {field.name: _field(field) for field in dataclasses.fields(OfflinePolicy)}


@dataclass(frozen=True)
class AssignedPolicy:
    """A stored policy with the names that explain to a person where a value came from."""

    name: str
    domain: str
    policy: OfflinePolicy
    revision: int = 0


@dataclass(frozen=True)
class EffectivePolicy:
    """What is in force for one user on one device. Made only by `effective_policy`."""

    values: OfflinePolicy
    sources: Mapping[str, str]  # field name -> the words that say where its value came from
    revision: int = 0  # of the user's policy: information for the units sealed under it


def effective_policy(user: AssignedPolicy | None, device: AssignedPolicy | None) -> EffectivePolicy:
    """Merge the policy of the user's domain with that of the device's domain, field by field.

    A missing side denies: its place is taken by a policy that allows nothing.
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


def tightened(old: OfflinePolicy, new: OfflinePolicy) -> Sequence[str]:
    """The fields that `new` makes stricter in a way that discards data at once (offline-day.md, server rule 3)."""
    discarding = (
        "enabled", "emergency_tokencode", "emergency_passcode", "minimum_passcode_length", "days",
        "protection_level", "allow_tokens_without_pin", "require_hardware_store",
    )  # fmt: skip
    return [
        name
        for name in discarding
        if FIELDS[name].strictness(getattr(new, name)) > FIELDS[name].strictness(getattr(old, name))
    ]
