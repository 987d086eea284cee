"""A field of a policy: its range, default, unit, merge rule, and the effect of an edit.

Storage, command line, pages and documentation of every kind of policy are derived from these. A policy is a frozen
dataclass whose fields are declared by `switch`, `number`, `choice` and `text`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class EditEffect(StrEnum):
    """The effect of an edit on data that exist already. A field declares one; its words stand in the documentation.

    A field that decides which units a device holds, or a byte of a unit, declares anything but NOTHING
    (tests/app/policies/test_effects.py).
    """

    NOTHING = "none"
    RENEWS_CODES = "renews the emergency codes"
    ERASES = "a stricter value erases what it no longer allows"
    DISCARDS = "a stricter value discards offline data"
    RENEWS = "renews offline data; a stricter value discards them first"
    ENDS_OWN_CODES = "0 ends the online codes that users made themselves"


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
    effect: EditEffect
    choices: tuple[str, ...] = ()  # from the mildest to the strictest
    low: int = 0
    high: int = 0
    longest: int = 0
    strictness: Callable[[Any], int] = int  # the larger, the stricter

    @property
    def kind(self) -> type[bool] | type[int] | type[str]:
        """The type of a stored value."""
        return type(self.default) if type(self.default) in (bool, int) else str

    def typed(self, value: bool | int | str) -> bool | int | str:
        """The member of the field's enumeration, where it has one."""
        return type(self.default)(str(value)) if isinstance(self.default, StrEnum) else value

    def effect_of(self, old: bool | int | str, new: bool | int | str) -> EditEffect:
        """Return the effect of an edit from `old` to `new`: the declared one, if it applies in this direction.

        >>> OFFLINE["days"].effect_of(14, 7), OFFLINE["days"].effect_of(7, 14)
        (EditEffect.DISCARDS, EditEffect.NOTHING)
        """
        if old == new:
            return EditEffect.NOTHING
        stricter = self.strictness(new) > self.strictness(old)
        match self.effect:
            case EditEffect.RENEWS if stricter:
                return EditEffect.DISCARDS
            case EditEffect.DISCARDS | EditEffect.ERASES if not stricter:
                return EditEffect.NOTHING
            case EditEffect.ENDS_OWN_CODES if new:
                return EditEffect.NOTHING
        return self.effect

    @property
    def allowed(self) -> str:
        """The allowed values in words, for help texts and errors."""
        if self.kind is bool:
            return "on or off"
        if self.kind is int:
            return f"a whole number from {self.low} to {self.high}"
        if self.choices:
            quoted = any(" " in each for each in self.choices)
            return ", ".join(f"'{each}'" if quoted else each for each in self.choices)
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


_LONGEST_NUMBER: Final = 10
_SWITCHES: Final = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}


def switch(default: bool, strict: bool, meaning: str, effect: EditEffect = EditEffect.NOTHING) -> Any:
    """On or off; `strict` is the stricter of the two."""
    return dataclasses.field(
        default=default,
        metadata={
            "meaning": meaning,
            "merge": MergeRule.STRICTER,
            "effect": effect,
            "strictness": lambda value: int(value is strict),
        },
    )


def number(
    default: int,
    low: int,
    high: int,
    unit: str,
    strict: str,
    meaning: str,
    effect: EditEffect = EditEffect.NOTHING,
) -> Any:
    """A whole number from `low` to `high`; `strict`: "more", "fewer", or "" where the user\'s domain decides."""
    sign = {"more": 1, "fewer": -1, "": 0}[strict]
    return dataclasses.field(
        default=default,
        metadata={
            "meaning": meaning,
            "unit": unit,
            "low": low,
            "high": high,
            "merge": MergeRule.STRICTER if strict else MergeRule.USER,
            "effect": effect,
            "strictness": lambda value: sign * int(value),
        },
    )


def choice(default: StrEnum, meaning: str, effect: EditEffect = EditEffect.NOTHING) -> Any:
    """One member of an enumeration whose members stand from the mildest to the strictest."""
    choices = tuple(member.value for member in type(default))
    return dataclasses.field(
        default=default,
        metadata={
            "meaning": meaning,
            "choices": choices,
            "merge": MergeRule.STRICTER,
            "effect": effect,
            "strictness": choices.index,
        },
    )


def text(default: str, longest: int, merge: MergeRule, meaning: str, effect: EditEffect = EditEffect.NOTHING) -> Any:
    """Words; none is stricter than others."""
    return dataclasses.field(
        default=default,
        metadata={
            "meaning": meaning,
            "merge": merge,
            "effect": effect,
            "longest": longest,
            "strictness": lambda _: 0,
        },
    )


def fields_of(policy: type[Any]) -> Mapping[str, PolicyField]:
    """The fields of a kind of policy by name, in the order in which they are declared."""
    return {field.name: _field(field) for field in dataclasses.fields(policy)}


def checked_values(fields: Mapping[str, PolicyField], values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values (a database row, a form) as the policy holds them. Raises PolicyError."""
    checked: dict[str, Any] = {name: fields[name].checked(value) for name, value in values.items()}
    return {name: fields[name].typed(value) for name, value in checked.items()}


def _field(field: dataclasses.Field[Any]) -> PolicyField:
    details = dict(field.metadata)
    default: bool | int | str = field.default  # type: ignore[assignment] # each declared field has one
    return PolicyField(name=field.name, default=default, unit=details.pop("unit", ""), **details)
