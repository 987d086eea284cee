"""JSON objects to frozen dataclasses and back, strictly: any unexpected input is refused.

Both sides of every JSON message use this decoder. It needs the standard library only, so that the device needs no more.
"""

import dataclasses
import functools
import json
import re
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sparekey.json_value import Json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

M = TypeVar("M")

LARGEST_INTEGER: Final = 2**53 - 1  # every JSON reader represents it exactly
LONGEST_STRING: Final = 4096
# PostgreSQL stores no NUL in a text, and no database stores half a character.
KEPT_NOWHERE: Final = re.compile("[\x00\ud800-\udfff]")
_EXPECTED: Final[Mapping[object, str]] = {str: "text", int: "an integer", bool: "true or false"}
# Metadata of a member with text that a person typed, which is checked later.
TYPED: Final[Mapping[str, object]] = {"typed": True}


class BadMessage(ValueError):
    """The bytes are not the expected message. `where` names the member, never its value."""

    def __init__(self, where: str, expected: str) -> None:
        super().__init__(f"{where}: expected {expected}")
        self.where = where


def encode(message: "DataclassInstance") -> bytes:
    """Return a message dataclass as compact UTF-8 JSON."""
    return json.dumps(dataclasses.asdict(message), separators=(",", ":"), ensure_ascii=False).encode()


def decode(kind: type[M], data: bytes) -> M:
    """Return the message of this dataclass. Members can be str, int, bool, lists and message dataclasses. Raises
    BadMessage."""
    return typing.cast("M", _read(kind, parse(data), "message"))


def parse(data: bytes) -> Json:
    """Return the JSON value. Raises BadMessage if a member occurs twice or a number is not an integer."""
    try:
        value: Json = json.loads(data, object_pairs_hook=_unique, parse_float=_no_fraction, parse_constant=_no_fraction)
    except (ValueError, RecursionError) as error:
        raise BadMessage("message", "one JSON object") from error
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _no_fraction(_: str) -> typing.NoReturn:
    raise ValueError("numbers are integers")


def _read(kind: object, value: Json, where: str, *, typed: bool = False) -> object:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _read_object(kind, value, where)
    if typing.get_origin(kind) is list:
        (item,) = typing.get_args(kind)
        if not isinstance(value, list):
            raise BadMessage(where, "a list")
        return [_read(item, element, f"{where}[{index}]", typed=typed) for index, element in enumerate(value)]
    if isinstance(kind, types.UnionType) or type(value) is not kind:
        raise BadMessage(where, _EXPECTED.get(kind, "something else"))
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise BadMessage(where, "an integer below 2^53")
    if isinstance(value, str) and len(value) > LONGEST_STRING:
        raise BadMessage(where, f"at most {LONGEST_STRING} characters")
    if isinstance(value, str) and not typed and KEPT_NOWHERE.search(value):
        raise BadMessage(where, "text without NUL and without lone surrogates")
    return value


def _read_object(kind: Any, value: Json, where: str) -> object:
    if not isinstance(value, dict):
        raise BadMessage(where, "an object")
    hints, needed, typed = _members(kind)
    members = {
        name: _read(hints[name], member, f"{where}.{name}", typed=name in typed)
        for name, member in value.items()
        if name in hints
    }
    if needed - members.keys() or value.keys() - hints.keys():
        raise BadMessage(where, f"the members {', '.join(hints)}")
    return kind(**members)


@functools.cache
def _members(kind: Any) -> tuple[dict[str, object], frozenset[str], frozenset[str]]:
    """Return the types of the members by name, the required ones, and those that hold typed text; computed once for
    each class."""
    fields = dataclasses.fields(kind)
    hints = typing.get_type_hints(kind)
    needed = frozenset(
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )
    typed = frozenset(field.name for field in fields if field.metadata.get("typed"))
    return {field.name: hints[field.name] for field in fields}, needed, typed
