"""An operation: a use case as programs call it over REST, derived from the signature of the use case.

Rules:
- The members that the path names come from the path. The others come from the query of a GET, and from the JSON body of
  every other method.
- The actor and the time are never read from a request.
- The members of a dataclass are on the same level as the other members.
- Unknown, repeated and missing members are refused.
- `read` and `request` are inverse to each other: the server uses `read`, the command line `request`.
"""

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Final
from urllib.parse import quote, unquote

from sparekey.core.permissions import Permission
from sparekey.json_value import Json
from sparekey.wire.messages import BadMessage, parse
from sparekey.wire.values import from_json, is_list, is_object, is_value, members_of, needed_of, to_json

LARGEST_BODY: Final = 65_536
MOST_ROWS: Final = 10_000  # of one page
# These permissions need a fresh second factor, so that an attacker who finds an open session cannot use them (S62):
# they show, allow or unlimit codes, give tokens and PINs, delete tokens, invite computers, or change policies, roles,
# keys and domains. Operations that only block access are not delayed, because they protect in an emergency.
NEEDS_FRESH: Final = frozenset(
    {
        Permission.EMERGENCY_ONLINE,
        Permission.TOKEN_REMOVE,
        Permission.DEVICE_INVITE,
        Permission.USER_MOVE,
        Permission.DOMAIN_MANAGE,
        Permission.EMERGENCY_TOKENCODE_SHOW,
        Permission.EMERGENCY_PASSCODE_SHOW,
        Permission.EMERGENCY_TEMPORARY,
        Permission.EMERGENCY_APPROVE,
        Permission.TOKEN_ASSIGN,
        Permission.PIN_SET,
        Permission.POLICY_MANAGE,
        Permission.ROLE_MANAGE,
        Permission.CLIENT_MANAGE,
        Permission.OPERATOR_LIFT,
        Permission.INSTANCE_MANAGE,
    }
)
# Values in a body, counted by their marks. No other request is answered while they are decoded, whatever the thread, so
# that a file's megabytes must be one value (S08). No body without a file can reach this.
MOST_MARKS: Final = LARGEST_BODY
_MARKS: Final = (b",", b"[", b"{")
_NOT_GIVEN: Final = ("instance", "actor", "now")
_CURSORS: Final = ("after", "before")  # the names of the member after which a page begins


@dataclass(frozen=True)
class Member:
    """One member of a request. `group`: the parameter whose dataclass it belongs to; "": it is a parameter itself."""

    name: str
    kind: object  # its declared type
    needed: bool
    group: str = ""


# Ids of operations are public. Only here are the modules, and the use case, whose name differs from their ids.
_NAMES: Final[Mapping[str, str]] = {
    "audit_log.forwarding": "event_forwarding",
    "audit_log.reading": "audit_reading",
    "devices.invitations.invite": "devices",
    "devices.stolen": "devices_stolen",
    "emergency.offline": "emergency",
    "emergency.online": "online_emergency",
    "emergency.rate_limit": "operators",
    "people.imports": "user_imports",
    "sessions.lists": "session_lists",
    "tokens.imports": "token_imports",
    "tokens.life_cycle": "token_lifecycle",
    "tokens.resync": "token_resync",
}


@dataclass(frozen=True)
class Operation:
    """One line of the registry (`app.rest.registry`).

    `permission`: the needed permission, or one for each value of the path's first name. `words`: the summary in the
    description. `answers`: the member of the answer that holds a result which is not an object. `pages_by`: the member
    of a row after which the next page begins. `largest`: the maximum size of a body in bytes.
    """

    method: str
    path: str
    use_case: Callable[..., object]
    permission: Permission | Mapping[str, Permission]
    words: str
    answers: str = "result"
    pages_by: str = ""
    largest: int = LARGEST_BODY

    @property
    def name(self) -> str:
        """The id of the operation, such as `users.add_user`, in the description, in logs and in errors."""
        module = self.use_case.__module__.removeprefix("sparekey.app.")
        function = self.use_case.__name__
        noun = _NAMES.get(f"{module}.{function}") or _NAMES.get(module) or module.rpartition(".")[2]
        return f"{noun}.{function}"

    @property
    def only_looks(self) -> bool:
        return self.method == "GET"

    @property
    def needs_fresh_second_factor(self) -> bool:
        """True if a person must have shown a second factor recently (S62)."""
        needed = {self.permission} if isinstance(self.permission, Permission) else {*self.permission.values()}
        return not self.only_looks and not NEEDS_FRESH.isdisjoint(needed)

    @functools.cached_property
    def result(self) -> object:
        """The declared type of the result."""
        return typing.get_type_hints(self.use_case)["return"]

    @functools.cached_property
    def path_names(self) -> tuple[str, ...]:
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    @functools.cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters of the use case by name, without those that no client sends."""
        hints = typing.get_type_hints(self.use_case)
        return {
            name: parameter.replace(annotation=hints[name], default=_default_of(parameter, hints[name]))
            for name, parameter in inspect.signature(self.use_case).parameters.items()
            if name not in _NOT_GIVEN and (is_value(hints[name]) or parameter.default is parameter.empty)
        }

    @functools.cached_property
    def members(self) -> tuple[Member, ...]:
        """The members of a request; those that the path names come first."""
        found: list[Member] = []
        for name, parameter in self.parameters.items():
            kind, needed = parameter.annotation, parameter.default is parameter.empty
            if isinstance(kind, type) and is_dataclass(kind):
                own_needed = needed_of(kind) if needed else ()
                found += [Member(own, own_kind, own in own_needed, name) for own, own_kind in members_of(kind).items()]
            else:
                found.append(Member(name, kind, needed))
        return tuple(sorted(found, key=lambda member: member.name not in self.path_names))

    @property
    def takes_time(self) -> bool:
        return "now" in inspect.signature(self.use_case).parameters

    @property
    def cursor(self) -> str:
        """The member of a request that names the row after which a page begins; "": there is none."""
        return next((name for name in _CURSORS if name in self.parameters), "")

    def permission_for(self, path: Mapping[str, str]) -> Permission:
        """Return the permission that a request to this path needs.

        Raises KeyError if the value of the path's first name is unknown.
        """
        if isinstance(self.permission, Permission):
            return self.permission
        return self.permission[path[self.path_names[0]]]

    def read(self, path: Mapping[str, str], query: Sequence[tuple[str, str]], body: bytes) -> dict[str, object]:
        """Return the use case's arguments by name. `path`: the values as sent, percent-encoded. Raises BadMessage."""
        values = {name: _from_text(self._kind(name), _unquoted(path[name], name), name) for name in self.path_names}
        values |= self._from_query(query) if self.only_looks else self._from_body(query, body)
        missing = [member.name for member in self.members if member.needed and member.name not in values]
        if missing:
            raise BadMessage("message", f"the members {', '.join(missing)}, too")
        limit = values.get("limit", 1)
        if not (isinstance(limit, int) and 1 <= limit <= MOST_ROWS):
            raise BadMessage("limit", f"1 to {MOST_ROWS}")
        return self._arguments(values)

    def request(self, arguments: Mapping[str, object]) -> tuple[str, list[tuple[str, str]], Mapping[str, Json] | None]:
        """Return path, query and JSON body (None: no body) of a request with these arguments of the use case."""
        members: dict[str, Json] = {}
        for name, value in arguments.items():
            if is_dataclass(self.parameters[name].annotation):
                members |= typing.cast("dict[str, Json]", to_json(value))
            else:
                members[name] = to_json(value)
        return self.placed(members)

    def placed(self, members: Mapping[str, Json]) -> tuple[str, list[tuple[str, str]], Mapping[str, Json] | None]:
        """Return path, query and JSON body (None: no body) of a request with these members, given as JSON values."""
        rest = dict(members)
        path = self.path.format(**{name: quote(str(rest.pop(name)), safe="") for name in self.path_names})
        if not self.only_looks:
            return path, [], rest
        query = [(name, _as_text(item)) for name, value in rest.items() for item in _items(value)]
        return path, query, None

    def reply(self, value: object, arguments: Mapping[str, object]) -> Mapping[str, Json] | None:
        """Return the result of the use case with these arguments as the JSON object of the answer; None: no result."""
        result = to_json(value)
        if result is None or isinstance(result, dict):
            return result
        if not isinstance(result, list):
            return {self.answers: result}
        rows: dict[str, Json] = {"items": result}
        if self.pages_by:
            limit = arguments.get("limit", self.parameters["limit"].default)
            last = result[-1] if result and len(result) == limit else None
            rows["next"] = last.get(self.pages_by) if isinstance(last, dict) else None
        return rows

    def result_of(self, reply: Mapping[str, Json] | None) -> object:
        """Return the result of the use case from the JSON object of the answer. Raises BadMessage."""
        value: object = reply
        if reply is None:
            value = None
        elif is_list(self.result):
            value = reply.get("items")
        elif not is_object(self.result):
            value = reply.get(self.answers)
        return from_json(self.result, value, "reply", exact=False)

    def _kind(self, name: str) -> object:
        return next(member.kind for member in self.members if member.name == name)

    def _from_query(self, query: Sequence[tuple[str, str]]) -> dict[str, object]:
        kinds = {member.name: member.kind for member in self.members if member.name not in self.path_names}
        values: dict[str, object] = {}
        lists: dict[str, list[object]] = {}
        for name, text in query:
            if name not in kinds:
                raise BadMessage("query", f"one of {', '.join(kinds) or 'nothing'}")
            item = _item_of(kinds[name])
            if item is not None:
                lists.setdefault(name, []).append(_from_text(item, text, name))
            elif name in values:
                raise BadMessage(name, "one value")
            else:
                values[name] = _from_text(kinds[name], text, name)
        return values | lists

    def _from_body(self, query: Sequence[tuple[str, str]], body: bytes) -> dict[str, object]:
        kinds = {member.name: member.kind for member in self.members if member.name not in self.path_names}
        if query:
            raise BadMessage("query", "nothing: the members belong in the body")
        if sum(map(body.count, _MARKS)) > MOST_MARKS:
            raise BadMessage("message", "fewer values: a file is one value")
        value = parse(body) if body else {}
        if not isinstance(value, dict) or value.keys() - kinds.keys():
            raise BadMessage("message", f"an object with the members {', '.join(kinds) or 'of none'}")
        return {name: from_json(kinds[name], item, name) for name, item in value.items()}

    def _arguments(self, values: Mapping[str, object]) -> dict[str, object]:
        groups: dict[str, dict[str, object]] = {}
        arguments: dict[str, object] = {}
        for member in self.members:
            if member.name in values:
                target = groups.setdefault(member.group, {}) if member.group else arguments
                target[member.name] = values[member.name]
        for name, parameter in self.parameters.items():
            kind, needed = parameter.annotation, parameter.default is parameter.empty
            if isinstance(kind, type) and is_dataclass(kind) and (needed or name in groups):
                arguments[name] = _made(kind, groups.get(name, {}))
            elif not needed:
                arguments.setdefault(name, parameter.default)
        return arguments


def _default_of(parameter: inspect.Parameter, kind: object) -> object:
    """Return the default of a parameter: None if it may be null and has no default of its own."""
    return (
        None if parameter.default is parameter.empty and types.NoneType in typing.get_args(kind) else parameter.default
    )


def _made(kind: Callable[..., object], members: Mapping[str, object]) -> object:
    try:
        return kind(**members)
    except ValueError as error:  # not its text, which may contain a value
        raise BadMessage("message", "values that go together") from error


def _item_of(kind: object) -> object:
    """Return the type of the items of a list in the query; None: the type is not a list."""
    return typing.get_args(kind)[0] if is_list(kind) else None


def _unquoted(segment: str, where: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise BadMessage(where, "text in UTF-8") from None


def _from_text(kind: object, text: str, where: str) -> object:
    """Read a value from the text of the path or the query. Raises BadMessage."""
    kinds = typing.get_args(kind) or (kind,)
    value: Json = text
    if int in kinds and re.fullmatch(r"-?[0-9]{1,16}", text):
        value = int(text)
    elif bool in kinds and text in ("true", "false"):
        value = text == "true"
    return from_json(kind, value, where)


def _as_text(value: Json) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _items(value: Json) -> Sequence[Json]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)
