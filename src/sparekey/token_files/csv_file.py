"""Tokens from CSV files: a line for each token below a line that names the columns (docs/imports.md).

Rules: the file is UTF-8; an unknown or missing column refuses the file, so that no value is mistaken for another; an
unclosed quote refuses the file as well. Such a file is neither encrypted nor authenticated.
"""

import base64
import binascii
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sparekey.core.errors import BadInput
from sparekey.core.plurals import counted
from sparekey.core.tokens import Parameters
from sparekey.secret import Secret
from sparekey.token_files.entries import (
    EntryError,
    Item,
    TokenEntry,
    counter_number,
    moment,
    refused,
    small_number,
    verified,
)

REQUIRED: Final = ("serial", "type", "seed")
OPTIONAL: Final = ("digits", "interval", "algorithm", "counter", "expires", "pin")
_DEFAULTS: Final[Mapping[str, tuple[int, str]]] = {"totp": (30, "sha1"), "hotp": (0, "sha1"), "securid": (60, "aes128")}
_YES_OR_NO: Final[Mapping[str, bool]] = {"": True, "yes": True, "no": False}
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")


def read_csv(data: bytes) -> Iterator[Item]:
    """Yield the token of each line, or the reason why it is refused.

    Raises BadInput if the file as a whole is wrong.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput("the file is neither XML nor text in UTF-8", "save it as CSV in UTF-8") from None
    head, _, _ = text.partition("\n")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in head else ",", strict=True)
    try:
        columns = _columns(next(reader, []))
        for row in reader:
            if any(row):
                yield _item(reader.line_num, columns, row)
    except csv.Error:
        raise BadInput(f"line {reader.line_num} is no CSV", "correct its quotes, or save the file again") from None


def _columns(head: Sequence[str]) -> Sequence[str]:
    names = [name.strip().lower() for name in head]
    known = (*REQUIRED, *OPTIONAL)
    if set(names) - set(known) or len(set(names)) < len(names) or not set(names) >= set(REQUIRED):
        # The content is not repeated, because a file without its head line begins with a seed.
        raise BadInput(
            "the first line does not name the columns",
            f"let it name {', '.join(REQUIRED)} and as many as needed of {', '.join(OPTIONAL)}",
        )
    return names


def _item(number: int, columns: Sequence[str], row: Sequence[str]) -> Item:
    values = {name: value.strip() for name, value in zip(columns, row, strict=False)}
    try:
        verify_width(len(row), len(columns))
        return _entry(number, values)
    except EntryError as error:
        return refused(number, values.get("serial", ""), error)


def verify_width(found: int, named: int) -> None:
    """Raise EntryError for a line with more or fewer values than there are columns."""
    if found != named:
        raise EntryError(f"the line has {counted(found, 'column')}, the first line names {named}")


def _entry(number: int, values: Mapping[str, str]) -> TokenEntry:
    kind = values["type"].lower()
    if kind not in _DEFAULTS:
        raise EntryError(f"the type is none of {', '.join(_DEFAULTS)}")
    interval, algorithm = _DEFAULTS[kind]
    pin = values.get("pin", "").lower()
    if pin not in _YES_OR_NO:
        raise EntryError("the column pin says neither yes nor no")
    if kind != "hotp" and values.get("counter"):
        raise EntryError("only a token of the type hotp has a counter")
    parameters = Parameters(
        read_seed(values["seed"]),
        values["serial"],
        small_number(values.get("digits") or "6", "the number of digits"),
        small_number(values.get("interval") or str(interval), "the interval"),
        (values.get("algorithm") or algorithm).lower(),
    )
    expires_at = moment(values["expires"]) if values.get("expires") else None
    counter = counter_number(values.get("counter") or "0")
    return verified(TokenEntry(number, kind, parameters, counter, expires_at, _YES_OR_NO[pin]))


def read_seed(text: str) -> Secret[bytes]:
    """Read a seed in hex or base32.

    A text that can be hex is hex, unless it begins with `base32:`. Raises EntryError.
    """
    prefix, colon, rest = text.partition(":")
    kind, compact = (prefix.lower(), rest) if colon else ("", text)
    compact = re.sub(r"[\s-]", "", compact)
    if kind in {"", "hex"} and _HEX.fullmatch(compact):
        return Secret(bytes.fromhex(compact))
    seed = b""
    if kind in {"", "base32"}:
        bare = compact.upper().rstrip("=")
        try:
            seed = base64.b32decode(bare + "=" * (-len(bare) % 8))
        except (binascii.Error, ValueError):
            seed = b""
    if not seed:
        raise EntryError("the seed is neither hex nor base32")
    return Secret(seed)
