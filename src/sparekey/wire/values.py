"""Values of use cases to JSON and back, by their declared types. REST requests and replies are made of them.

The types are text, numbers, truth values, enumerations, secrets, bytes (lower-case hex), lists, mappings and
dataclasses, and unions with null; other types are refused. Input must match its declared type exactly, and is refused
before a database could fail on it. A reply of a server may have members that this reader does not know yet.
A Secret is revealed here, so the JSON is as secret as its content.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AnySet
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeGuard

from sparekey.json_value import Json
from sparekey.secret import Secret
from sparekey.wire.enrolment import BadEnrolmentCode, EnrolmentCode, read_enrolment_code
from sparekey.wire.messages import KEPT_NOWHERE, LARGEST_INTEGER, LONGEST_STRING, BadMessage, most_items

MOST_ITEMS: Final = 10_000
_LISTS: Final = (list, tuple, Sequence, Iterable, frozenset, AnySet)
_MAPPINGS: Final = (Mapping, dict)
_SIMPLE: Final = (str, int, bool)
_JSON_TYPES: Final[Mapping[object, str]] = {bool: "boolean", types.NoneType: "null"}
_EXPECTED: Final[Mapping[object, str]] = {str: "text", int: "an integer", bool: "true or false"}


def to_json(value: object) -> Json:
    """Return the value for JSON. Raises TypeError for a value of any other type; the message names only the type."""
    leaf = _unwrapped(value)
    if leaf is None or isinstance(leaf, str | int):
        return leaf
    if isinstance(value, Mapping):
        return {str(_unwrapped(name)): to_json(element) for name, element in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(element) for element in value]
    if isinstance(value, frozenset | set):
        return sorted((to_json(element) for element in value), key=str)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _unwrapped(value: object) -> object:
    """Return a value that is written as one text or number in that form; other values unchanged."""
    match value:
        case Enum():
            value = value.value
        case Secret():
            value = value.reveal()
        case EnrolmentCode():
            value = value.text().reveal()
    return value.hex() if isinstance(value, bytes) else value


def is_value(kind: object) -> bool:
    """Return True if values of this declared type can come as JSON."""
    arguments = typing.get_args(kind)
    if _is_union(kind):
        return all(is_value(element) for element in arguments)
    origin = typing.get_origin(kind)
    if origin in _LISTS:
        return is_value(arguments[0])
    if origin in _MAPPINGS:
        return (arguments[0] is str or _is_enumeration(arguments[0])) and is_value(arguments[1])
    if origin is Secret:
        return arguments[0] in (str, bytes)
    if _is_dataclass(kind):
        return all(is_value(element) for element in members_of(kind).values())
    return kind in (*_SIMPLE, bytes, types.NoneType, Any) or _is_enumeration(kind)


def is_list(kind: object) -> bool:
    """Return True if values of this declared type are a JSON list."""
    return typing.get_origin(kind) in _LISTS


def is_object(kind: object) -> bool:
    """Return True if values of this declared type, unless null, are a JSON object."""
    if _is_union(kind):
        return any(is_object(element) for element in typing.get_args(kind))
    return typing.get_origin(kind) in _MAPPINGS or (_is_dataclass(kind) and kind is not EnrolmentCode)


def from_json(kind: object, value: object, where: str, *, exact: bool = True) -> Any:
    """Return the value of this declared type. Raises BadMessage, which names the member and never its value.

    `exact` is True for input from a stranger, False for the reply of a server that may be newer than this reader.
    """
    if _is_union(kind):
        return _any_of(typing.get_args(kind), value, where, exact)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in _LISTS:
        return _list_of(origin, arguments[0], value, where, exact)
    if origin in _MAPPINGS:
        return _mapping_of(arguments, value, where, exact)
    if origin is Secret:
        return Secret(from_json(arguments[0], value, where, exact=exact))
    if _is_dataclass(kind):
        return _enrolment_code(value, where) if kind is EnrolmentCode else _object(kind, value, where, exact)
    return _one(kind, value, where, exact)


def members_of(kind: Any) -> Mapping[str, object]:
    """Return the declared types of a dataclass's members by name."""
    return _members(kind)


@functools.cache
def _members(kind: Any) -> Mapping[str, object]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def needed_of(kind: Any) -> Sequence[str]:
    """Return the members of a dataclass that have no default."""
    return _needed(kind)


@functools.cache
def _needed(kind: Any) -> Sequence[str]:
    missing = dataclasses.MISSING
    return [
        field.name
        for field in dataclasses.fields(kind)
        if field.init and field.default is missing and field.default_factory is missing
    ]


Schema = dict[str, Any]


@dataclass(frozen=True)
class SchemaLimits:
    """The limits that a schema promises; None: it promises none."""

    longest_text: int | None
    most_items: int | None


OF_REQUESTS: Final = SchemaLimits(LONGEST_STRING, MOST_ITEMS)
OF_MESSAGES: Final = SchemaLimits(LONGEST_STRING, None)  # each list of a message has a limit of its own
OF_REPLIES: Final = SchemaLimits(None, None)


def schema_of(kind: object, *, exact: bool = True, limits: SchemaLimits = OF_REQUESTS) -> Schema:
    """Return the JSON schema (draft 2020-12) of a declared type; `exact` as in `from_json`."""
    inner = functools.partial(schema_of, exact=exact, limits=limits)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if _is_union(kind):
        return {"anyOf": [inner(element) for element in arguments]}
    if origin in _LISTS:
        return {"type": "array", "items": inner(arguments[0])} | _unless_none("maxItems", limits.most_items)
    if origin in _MAPPINGS:
        return {"type": "object", "additionalProperties": inner(arguments[1])}
    if origin is Secret:
        return inner(arguments[0]) | {"format": "password"}
    return _object_schema(kind, exact, inner) if _is_dataclass(kind) else _simple_schema(kind, limits)


def _unless_none(name: str, limit: int | None) -> Schema:
    return {} if limit is None else {name: limit}


def _object_schema(kind: type[Any], exact: bool, inner: Callable[[object], Schema]) -> Schema:
    if kind is not EnrolmentCode:
        members = {name: inner(element) for name, element in members_of(kind).items()}
        for name, most in most_items(kind).items():
            members[name]["maxItems"] = most
        needed = needed_of(kind) if exact else [*members]
        closed = {"additionalProperties": False} if exact else {}
        return {"type": "object", "properties": members, "required": [*needed]} | closed
    return {"type": "string", "format": "password"}


def _simple_schema(kind: object, limits: SchemaLimits) -> Schema:
    if _is_enumeration(kind):
        return {"type": "string", "enum": [element.value for element in kind]}
    if kind is str:
        return {"type": "string"} | _unless_none("maxLength", limits.longest_text)
    if kind is int:
        return {"type": "integer", "minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER}
    if kind is bytes:
        return {"type": "string", "pattern": "^([0-9a-f]{2})*$"}
    return {} if kind is Any else {"type": _JSON_TYPES[kind]}


def _is_union(kind: object) -> bool:
    return isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union


def _is_dataclass(kind: object) -> TypeGuard[type[Any]]:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _is_enumeration(kind: object) -> TypeGuard[type[Enum]]:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _any_of(kinds: Sequence[object], value: object, where: str, exact: bool) -> object:
    refused: BadMessage | None = None
    for kind in sorted(kinds, key=lambda element: element is not types.NoneType):
        try:
            return from_json(kind, value, where, exact=exact)
        except BadMessage as error:
            refused = error
    raise refused or BadMessage(where, "something else")


def _list_of(origin: object, item: object, value: object, where: str, exact: bool) -> object:
    if not isinstance(value, list) or (exact and len(value) > MOST_ITEMS):
        raise BadMessage(where, f"a list of at most {MOST_ITEMS}")
    items = [from_json(item, element, f"{where}[{index}]", exact=exact) for index, element in enumerate(value)]
    if origin in (frozenset, AnySet):
        return frozenset(items)
    return tuple(items) if origin is tuple else items


def _mapping_of(kinds: Sequence[object], value: object, where: str, exact: bool) -> dict[object, object]:
    if not isinstance(value, dict) or (exact and len(value) > MOST_ITEMS):
        raise BadMessage(where, f"an object with at most {MOST_ITEMS} members")
    return {
        from_json(kinds[0], name, where, exact=exact): from_json(kinds[1], element, f"{where}.{name}", exact=exact)
        for name, element in value.items()
    }


def _object(kind: type[Any], value: object, where: str, exact: bool) -> object:
    hints = members_of(kind)
    if not isinstance(value, dict):
        raise BadMessage(where, "an object")
    if set(needed_of(kind)) - value.keys() or (exact and value.keys() - hints.keys()):
        raise BadMessage(where, f"the members {', '.join(hints)}")
    given = {
        name: from_json(hints[name], element, f"{where}.{name}", exact=exact)
        for name, element in value.items()
        if name in hints
    }
    try:
        return kind(**given)
    except ValueError as error:  # the message may contain the value
        raise BadMessage(where, "values that go together") from error


def _one(kind: object, value: object, where: str, exact: bool) -> object:
    if kind is Any:
        return value
    if _is_enumeration(kind):
        found = next((element for element in kind if isinstance(value, str) and element.value == value), None)
        if found is None:
            raise BadMessage(where, f"one of {', '.join(str(element.value) for element in kind)}")
        return found
    if kind is bytes:
        return _bytes(value, where)
    if kind is types.NoneType:
        if value is not None:
            raise BadMessage(where, "null")
        return None
    if kind not in _SIMPLE or type(value) is not kind:
        raise BadMessage(where, _EXPECTED.get(kind, "something else"))
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise BadMessage(where, "an integer below 2^53")
    return _text(value, where, exact) if isinstance(value, str) else value


def _text(value: str, where: str, exact: bool) -> str:
    if exact and len(value) > LONGEST_STRING:
        raise BadMessage(where, f"at most {LONGEST_STRING} characters")
    if exact and KEPT_NOWHERE.search(value):
        raise BadMessage(where, "text without NUL and without lone surrogates")
    return value


def _bytes(value: object, where: str) -> bytes:
    try:
        # `fromhex` ignores white space
        if value == "":
            return b""
        if isinstance(value, str) and value.isalnum() and value == value.lower():
            return bytes.fromhex(value)
    except ValueError:
        pass
    raise BadMessage(where, "bytes in hex")


def _enrolment_code(value: object, where: str) -> EnrolmentCode:
    try:
        return read_enrolment_code(from_json(str, value, where))
    except BadEnrolmentCode as error:
        raise BadMessage(where, "an enrolment code") from error
