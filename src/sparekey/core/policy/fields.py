"""A field of a policy: its range, default, unit, merge rule, and the effect of an edit.

Storage, command line, pages and documentation of every kind of policy are derived from the fields. A policy is a frozen
dataclass whose fields are declared by `switch`, `number`, `choice` and `text`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

E = TypeVar("E", bound=StrEnum)


class EditEffect(StrEnum):
    """The effect of an edit on existing data. Each field declares one; the documentation shows its text.

    A field that changes the set of units on a device, or a byte of a unit, must not declare NOTHING
    (tests/app/policies/test_effects.py).
    """

    NOTHING = "none"
    RENEWS_CODES = "renews the emergency codes"
    ERASES = "a stricter value erases what it no longer allows"
    DISCARDS = "a stricter value discards offline data"
    RENEWS = "renews offline data; a stricter value discards them first"
    ENDS_OWN_CODES = "0 ends the online codes that users made themselves"


class MergeRule(StrEnum):
    """The rule that chooses between two values if the user's domain and the device's domain differ."""

    STRICTER = "the stricter wins"
    USER = "the user's domain decides"
    DEVICE = "the device's domain decides, else the user's"


@dataclass(frozen=True)
class PolicyField:
    """One field of a policy: name, meaning, allowed values, and merge rule."""

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
    strictness: Callable[[bool | int | str], int] = int  # a larger number is stricter

    @property
    def kind(self) -> type[bool] | type[int] | type[str]:
        """The type of a stored value."""
        return type(self.default) if type(self.default) in (bool, int) else str

    def typed(self, value: bool | int | str) -> bool | int | str:
        """Return the member of the field's enumeration, or the value itself if the field has none."""
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
        """Return the allowed values as text, for help texts and errors."""
        if self.kind is bool:
            return "on or off"
        if self.kind is int:
            return f"a whole number from {self.low} to {self.high}"
        if self.choices:
            quoted = any(" " in choice for choice in self.choices)
            return ", ".join(f"'{choice}'" if quoted else choice for choice in self.choices)
        return f"text of at most {self.longest} characters"

    def parse(self, text: str) -> bool | int | str:
        """Parse a typed value. Raises PolicyError, which names the allowed values."""
        if self.kind is bool and text.lower() in _SWITCHES:
            return _SWITCHES[text.lower()]
        if self.kind is int and text.isascii() and text.isdigit() and len(text) < _LONGEST_NUMBER:
            return self.checked(int(text))
        if self.kind is str:
            return self.checked(text)
        raise PolicyError(self.name, text, self.allowed)

    def checked(self, value: object) -> bool | int | str:
        """Return `value` if it is allowed. Raises PolicyError otherwise."""
        if not isinstance(value, bool | int | str) or not self._allows(value):
            raise PolicyError(self.name, str(value), self.allowed)
        return value

    def _allows(self, value: bool | int | str) -> bool:
        if isinstance(value, str):
            fits = value in self.choices if self.choices else len(value) <= self.longest and value.isprintable()
            return self.kind is str and fits
        return type(value) is self.kind and (self.kind is bool or self.low <= value <= self.high)


class PolicyError(ValueError):
    """A policy field does not allow the value; the message names the allowed ones."""

    def __init__(self, field: str, value: str, allowed: str) -> None:
        super().__init__(f"{field}: {value!r} is not allowed; give {allowed}")


_LONGEST_NUMBER: Final = 10
_SWITCHES: Final = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}


def switch(default: bool, strict: bool, meaning: str, effect: EditEffect = EditEffect.NOTHING) -> bool:
    """Declare a field that is on or off; `strict` is the stricter value."""
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
) -> int:
    """Declare a field with a whole number from `low` to `high`.

    `strict`: the stricter direction, "more" or "fewer"; "": the user's domain decides.
    """
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


def choice(default: E, meaning: str, effect: EditEffect = EditEffect.NOTHING) -> E:
    """Declare a field with a member of an enumeration, whose members are sorted from mildest to strictest."""
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


def text(default: str, longest: int, merge: MergeRule, meaning: str, effect: EditEffect = EditEffect.NOTHING) -> str:
    """Declare a field with a text; no text is stricter than another."""
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


def fields_of(policy: type[DataclassInstance]) -> Mapping[str, PolicyField]:
    """Return the fields of a kind of policy by name, in the order of their declaration."""
    return {field.name: _field(field) for field in dataclasses.fields(policy)}


def checked_values(fields: Mapping[str, PolicyField], values: Mapping[str, object]) -> dict[str, Any]:
    """Check plain values of a database row or a form, and return them as a policy has them. Raises PolicyError."""
    return {name: fields[name].typed(fields[name].checked(value)) for name, value in values.items()}


def _field(field: dataclasses.Field[object]) -> PolicyField:
    details = dict(field.metadata)
    default: bool | int | str = field.default  # type: ignore[assignment] # each declared field has one
    return PolicyField(name=field.name, default=default, unit=details.pop("unit", ""), **details)
