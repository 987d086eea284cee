"""Fields of a query or a form, read strictly.

Rules:
- A missing field is empty.
- Text is trimmed unless it is a secret.
- Numbers and dates are in the form that people type.
- An error names the field by its label. It never contains the value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final
from urllib.parse import parse_qsl, urlencode

from sparekey.core.errors import BadInput
from sparekey.secret import Secret

MOST_FIELDS: Final = 2_000
LONGEST_TEXT: Final = 4_000
# control characters but for tab and line ends, and halves of characters
_NEVER_TYPED: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class BadFields(ValueError):
    """The text is not a valid query or form."""


@dataclass(frozen=True)
class SentFile:
    """A file that was sent with a form."""

    name: str
    content: bytes = field(repr=False)


class Fields(Mapping[str, str]):
    """Fields by name; if a name occurs more than once, the first value counts, except in `all`."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = (), files: Mapping[str, SentFile] | None = None) -> None:
        self._pairs: Final = tuple(pairs)
        self._files: Final = dict(files or {})

    @classmethod
    def of(cls, encoded: str) -> "Fields":
        """Return the fields of a query, or of a body in application/x-www-form-urlencoded. Raises BadFields."""
        try:
            pairs = parse_qsl(encoded, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
        except ValueError as error:
            raise BadFields from error
        return cls(pairs)

    def __getitem__(self, name: str) -> str:
        for each, value in self._pairs:
            if each == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(dict(self._pairs))

    def __repr__(self) -> str:
        return f"Fields({', '.join(self)})"  # what was typed may be a secret

    def verify_typeable(self) -> None:
        """Verify that no name or value contains control characters or half characters. Raises BadInput."""
        if any(_NEVER_TYPED.search(text) for pair in self._pairs for text in pair):
            raise BadInput("a field contains a character that cannot be typed", "type the text again")

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        return self._pairs

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a field that may occur more than once."""
        return tuple(value for each, value in self._pairs if each == name)

    def text(self, name: str, what: str = "", *, needed: bool = False) -> str:
        """Return a text; `what` is the label of the field. Raises BadInput if it is needed and empty, too long or
        unprintable."""
        value = self.get(name, "").strip()
        if needed and not value:
            raise BadInput(f"'{what or name}' is empty", "fill it in")
        if len(value) > LONGEST_TEXT or not value.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
            raise BadInput(f"'{what or name}' is too long, or contains unprintable characters", "type it again")
        return value

    def secret(self, name: str) -> Secret[str]:
        """Return a secret exactly as it was typed."""
        return Secret(self.get(name, ""))

    def flag(self, name: str) -> bool:
        """Return True if a box was ticked."""
        return self.get(name, "") not in {"", "off", "false"}

    def number(self, name: str, what: str, low: int, high: int, default: int | None = None) -> int:
        """Return a whole number from `low` to `high`, or `default` if the field is empty. Raises BadInput."""
        value = self.get(name, "").strip()
        if not value and default is not None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 17 and low <= int(value) <= high):
            raise BadInput(f"'{what}' must be a number from {low} to {high}", "correct the number")
        return int(value)

    def day(self, name: str, what: str, zone: tzinfo) -> int | None:
        """Return the unix second at which a day (YYYY-MM-DD) ends in that zone, or None if the field is empty. Raises
        BadInput."""
        value = self.get(name, "").strip()
        if not value:
            return None
        try:
            at = datetime.strptime(value, "%Y-%m-%d").replace(hour=23, minute=59, second=59, tzinfo=zone)
            return int(at.astimezone(UTC).timestamp())
        except (ValueError, OverflowError) as error:
            raise BadInput(f"'{what}' is not a date", "give it as YYYY-MM-DD, for example 2027-01-31") from error

    def file(self, name: str, what: str) -> SentFile:
        """Return a file. Raises BadInput if none was chosen."""
        found = self._files.get(name)
        if found is None or not found.content:
            raise BadInput(f"'{what}' has no file, or the file is empty", "choose a file")
        return found

    def but(self, **changed: str | None) -> str:
        """Return the fields as a query, with some changed (None: removed) and without empty ones."""
        pairs = [(name, value) for name, value in self._pairs if name not in changed and value]
        pairs += [(name, value) for name, value in changed.items() if value]
        return urlencode(pairs)
