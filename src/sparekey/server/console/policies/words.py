"""Labels and groups of policy fields on the pages. The allowed values come from the registry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparekey.core.errors import BadInput
from sparekey.core.plurals import rough_time
from sparekey.core.policy.fields import EditEffect, MergeRule, PolicyField
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.token import PinCharacters
from sparekey.server.web.fields import Fields

KINDS: Final[Mapping[PolicyKind, str]] = {
    PolicyKind.OFFLINE: "Offline authentication",
    PolicyKind.TOKEN: "Tokens and PINs",
    PolicyKind.LOCKOUT: "Lockout",
}
PURPOSES: Final[Mapping[PolicyKind, str]] = {
    PolicyKind.OFFLINE: "Offline data that devices may store, and for how long.",
    PolicyKind.TOKEN: "Rules for PINs, and for accepting tokencodes.",
    PolicyKind.LOCKOUT: "Number of failures that lock a user, and for how long.",
}
# of each kind, what a list shows
COLUMNS: Final[Mapping[PolicyKind, tuple[str, ...]]] = {
    PolicyKind.OFFLINE: ("enabled", "days", "minimum_passcode_length", "protection_level"),
    PolicyKind.TOKEN: ("pin_minimum", "pin_characters", "next_tokencode_after"),
    PolicyKind.LOCKOUT: ("most_failures", "within_minutes", "unlock_after_minutes"),
}
GROUPS: Final[Mapping[PolicyKind, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    PolicyKind.OFFLINE: (
        ("Offline sign-in", ("enabled", "server_down", "offline_failures", "help_text")),
        (
            "Passcodes and protection",
            (
                "protection_level",
                "minimum_passcode_length",
                "allow_tokens_without_pin",
                "require_hardware_store",
                "pin_lock",
                "os_password",
            ),
        ),
        ("Offline data", ("days", "warn_days", "users_per_device", "tokens_per_user")),
        (
            "Emergency codes",
            (
                "emergency_tokencode",
                "emergency_passcode",
                "emergency_lifetime",
                "passcode_approval",
                "showings_warn",
                "showings_limit",
            ),
        ),
    ),
    PolicyKind.TOKEN: (
        ("PINs", ("pin_minimum", "pin_maximum", "pin_characters", "pin_history", "pin_lifetime", "blocked_words")),
        ("Tokencodes", ("code_window", "next_tokencode_after")),
        ("Online emergency access", ("emergency_alphabet", "own_emergency_days")),
    ),
    PolicyKind.LOCKOUT: (("Lockout", ("most_failures", "within_minutes", "unlock_after_minutes")),),
}
LABELS: Final[Mapping[str, str]] = {
    "enabled": "Offline authentication",
    "minimum_passcode_length": "Minimum passcode length",
    "allow_tokens_without_pin": "Allow tokens without a PIN",
    "emergency_tokencode": "Offline emergency tokencode",
    "emergency_passcode": "Offline emergency passcode",
    "emergency_lifetime": "Emergency code lifetime",
    "days": "Days of offline data",
    "warn_days": "Warn when days left",
    "offline_failures": "Failed offline attempts",
    "protection_level": "Protection level",
    "server_down": "While the server is down",
    "users_per_device": "Users per device",
    "tokens_per_user": "Tokens per user and device",
    "require_hardware_store": "Require a TPM",
    "pin_lock": "PIN lock of the TPM",
    "help_text": "Help-desk text",
    "os_password": "Operating-system password",
    "passcode_approval": "Two people",
    "showings_warn": "Codes shown in an hour: warn after",
    "showings_limit": "Codes shown in an hour: limit",
    "code_window": "Tokencode window",
    "next_tokencode_after": "Ask for next tokencode after",
    "pin_minimum": "Shortest PIN",
    "pin_maximum": "Longest PIN",
    "pin_characters": "PIN characters",
    "pin_history": "PIN history",
    "pin_lifetime": "PIN lifetime",
    "blocked_words": "Blocked words",
    "emergency_alphabet": "Characters of temporary tokencodes",
    "own_emergency_days": "Self-service emergency access",
    "most_failures": "Failures until lockout",
    "within_minutes": "Count failures within",
    "unlock_after_minutes": "Unlock after",
}
_MEANINGS: Final[Mapping[str, str]] = {  # used if the registry's text names a command or a document
    "protection_level": "How expensive each guess is for an attacker who has copied the disk.",
    "os_password": (
        "Devices may store the user's operating-system password, if their login is set up to use it. Only a correct "
        "passcode opens it, online and offline. Without a TPM, an attacker who copies the disk and guesses a passcode "
        "gets the password, too. Off: devices erase stored passwords at the next contact."
    ),
    "showings_limit": "An operator cannot show more emergency codes in an hour, unless another person lifts the limit.",
}
_ZERO: Final[Mapping[str, str]] = {
    "unlock_after_minutes": "only by an administrator",
    "next_tokencode_after": "never",
    "pin_lifetime": "never",
    "own_emergency_days": "off: only the help desk",
}
# texts of values of one field that would look like another value
_CHOICES: Final[Mapping[str, Mapping[str, str]]] = {
    "pin_characters": {PinCharacters.BOTH: "letters and digits, both required"}
}
_TWO_HOURS: Final = 120  # minutes


@dataclass(frozen=True)
class FieldRow:
    """One policy field with its value, for a list or a form; `text` is the value in a form."""

    field: PolicyField
    value: bool | int | str
    text: str

    @property
    def name(self) -> str:
        return self.field.name

    @property
    def label(self) -> str:
        return label_of(self.field.name)

    @property
    def meaning(self) -> str:
        return _MEANINGS.get(self.field.name, self.field.meaning)

    @property
    def shown(self) -> str:
        return in_words(self.field, self.value)

    @property
    def default(self) -> str:
        return in_words(self.field, self.field.default)

    @property
    def allowed(self) -> str:
        if self.field.kind is int:
            return f"{self.field.low} to {self.field.high}"
        if self.field.choices:
            return ", ".join(words for _, words in self.choices)
        return "on or off" if self.field.kind is bool else f"at most {self.field.longest} characters"

    @property
    def effect(self) -> str:
        """Return the effect of an edit on existing data."""
        return str(self.field.effect)

    @property
    def has_effect(self) -> bool:
        return self.field.effect is not EditEffect.NOTHING

    @property
    def merge(self) -> str:
        if self.field.merge is MergeRule.STRICTER and self.field.kind is bool:
            return f"{self.field.merge}: {'on' if self.field.strictness(True) else 'off'}"
        if self.field.merge is MergeRule.STRICTER and self.field.kind is int:
            more = self.field.strictness(2) > self.field.strictness(1)
            return f"{self.field.merge}: {'more' if more else 'less'}"
        return str(self.field.merge)

    @property
    def choices(self) -> list[tuple[str, str]]:
        return [(choice, _chosen(self.field, choice)) for choice in self.field.choices]

    @property
    def control(self) -> str:
        """Return the kind of form control for the field."""
        if self.field.choices:
            return "select"
        return {bool: "tick", int: "number"}.get(self.field.kind, "text")


def label_of(name: str) -> str:
    """Return the label of a field."""
    return LABELS.get(name) or name.replace("_", " ").capitalize()


def in_words(field: PolicyField, value: bool | int | str) -> str:
    """Return a value with its unit; "" for an empty text."""
    if field.kind is bool:
        return "on" if value else "off"
    if value == 0 and field.name in _ZERO:
        return _ZERO[field.name]
    if field.kind is int:
        longer = f" ({rough_time(int(value) * 60)})" if field.unit == "minutes" and int(value) >= _TWO_HOURS else ""
        return f"{value} {_unit(field.unit, int(value))}".strip() + longer
    return _chosen(field, str(value)) if field.choices else str(value).replace(",", ", ")


def rows_of(
    kind: PolicyKind, values: Mapping[str, bool | int | str], typed: Fields | None = None
) -> dict[str, FieldRow]:
    """Return all fields by name; `typed`: the input of a form that is shown again."""
    return {
        name: FieldRow(field, values[name], text_of(field, values[name]) if typed is None else _as_typed(field, typed))
        for name, field in kind.fields.items()
    }


def groups_of(kind: PolicyKind, rows: Mapping[str, FieldRow]) -> list[tuple[str, list[FieldRow]]]:
    """Return the fields in the groups of a form; fields without a group come last."""
    named = {name for _, names in GROUPS[kind] for name in names}
    rest = tuple(name for name in rows if name not in named)
    groups = [*GROUPS[kind], ("Other", rest)]
    found = [(title, [rows[name] for name in names if name in rows]) for title, names in groups]
    return [(title, each) for title, each in found if each]


def read_fields(kind: PolicyKind, form: Fields) -> dict[str, str]:
    """Return the input of a form for every field, as text. Raises BadInput."""
    return {name: _read(field, form) for name, field in kind.fields.items()}


def text_of(field: PolicyField, value: bool | int | str) -> str:
    """Return a value as text for a form."""
    return ("on" if value else "off") if field.kind is bool else str(value)


def _read(field: PolicyField, form: Fields) -> str:
    label = label_of(field.name)
    if field.kind is bool:
        return "on" if form.flag(field.name) else "off"
    if field.kind is int:
        return str(form.number(field.name, label, field.low, field.high))
    text = form.text(field.name, label)
    if field.choices and text not in field.choices:
        raise BadInput(f"'{label}' must be one of: {', '.join(field.choices)}", "choose one")
    if not field.choices and (len(text) > field.longest or not text.isprintable()):
        raise BadInput(f"'{label}' must be one line of at most {field.longest} characters", "shorten the text")
    return text


def _as_typed(field: PolicyField, form: Fields) -> str:
    return ("on" if form.flag(field.name) else "off") if field.kind is bool else form.get(field.name, "")


def _unit(unit: str, count: int) -> str:
    """Return the unit for a count: `days` or `day`; `codes an hour` or `code an hour`."""
    first, _, rest = unit.partition(" ")
    return f"{first.removesuffix('s') if count == 1 else first} {rest}".strip()


def _chosen(field: PolicyField, value: str) -> str:
    return _CHOICES.get(field.name, {}).get(value) or value.replace("-", " ")
