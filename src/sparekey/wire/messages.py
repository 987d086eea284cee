"""JSON objects to frozen dataclasses and back, strictly: any unexpected input is refused.

Both sides of every JSON message use this decoder. Every list of a message between agent and server has a limit. The
decoder needs the standard library only, so that the device needs no more.
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
# The metadata of a list with the most items that a message can need.
MOST: Final = "most"
_SHORT: Final = 65_536  # bytes, from which the shape of a message is checked before it is parsed


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
    _verify_shape(kind, data)
    return typing.cast("M", _read(kind, parse(data), "message"))


def at_most(items: int) -> Mapping[str, object]:
    """Return the metadata of a list that has at most so many items."""
    return {MOST: items}


def most_items(kind: "type[DataclassInstance]") -> Mapping[str, int]:
    """Return the most items of each list of a message dataclass that has such a limit, by the name of the member."""
    return _members(kind).most


def _verify_shape(kind: Any, data: bytes) -> None:
    """Raise BadMessage if a long text has more members than the largest message of this kind.

    Safe as a plain count, because each member has a colon: parsing a million members would take memory and time before
    the first one is found to be wrong. Colons within texts fit in the allowance.
    """
    if len(data) <= _SHORT:
        return
    most = _most_members(kind)
    if most is not None and data.count(b":") > most + _SHORT:
        raise BadMessage("message", f"at most {most} members")


@functools.cache
def _most_members(kind: object) -> int | None:
    """Return the most members of a value of this type, with those of its items; None if a list has no limit."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return 0
    members = _members(kind)
    total = len(members.hints)
    for name, hint in members.hints.items():
        if typing.get_origin(hint) is list:
            inner = _most_members(typing.get_args(hint)[0])
            if inner is None or name not in members.most:
                return None
            total += members.most[name] * inner
        else:
            total += _most_members(hint) or 0
    return total


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


def _read(kind: object, value: Json, where: str, *, typed: bool = False, most: int | None = None) -> object:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _read_object(kind, value, where)
    if typing.get_origin(kind) is list:
        (item,) = typing.get_args(kind)
        if not isinstance(value, list):
            raise BadMessage(where, "a list")
        if most is not None and len(value) > most:
            raise BadMessage(where, f"a list of at most {most}")
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
    known = _members(kind)
    members = {
        name: _read(known.hints[name], member, f"{where}.{name}", typed=name in known.typed, most=known.most.get(name))
        for name, member in value.items()
        if name in known.hints
    }
    if known.needed - members.keys() or value.keys() - known.hints.keys():
        raise BadMessage(where, f"the members {', '.join(known.hints)}")
    return kind(**members)


@dataclasses.dataclass(frozen=True)
class _MessageMembers:
    """The members of a message: their types, the required ones, those with typed text, and the most items of lists."""

    hints: Mapping[str, object]
    needed: frozenset[str]
    typed: frozenset[str]
    most: Mapping[str, int]


@functools.cache
def _members(kind: Any) -> _MessageMembers:
    """Return the members of a message, computed once for each class."""
    fields = dataclasses.fields(kind)
    hints = typing.get_type_hints(kind)
    needed = frozenset(
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )
    return _MessageMembers(
        {field.name: hints[field.name] for field in fields},
        needed,
        frozenset(field.name for field in fields if field.metadata.get("typed")),
        {field.name: field.metadata[MOST] for field in fields if MOST in field.metadata},
    )
