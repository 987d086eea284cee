"""Events of the audit log with the present name beside each id.

Rules: an object outside every domain of the reader, or one that is gone, stays an id. The event itself stays unchanged.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.permissions import Actor
from sparekey.json_value import Json
from sparekey.storage import names

_KINDS: Final = (names.USER, names.DEVICE, names.CLIENT)  # of actors
# members of `detail` that hold one or more actors (such as `user:ID`), separated by commas
_PEOPLE: Final = ("operator", "approved_by", "asked_by", "users")
TIMES: Final = frozenset({"at", "expires", "pin_set_at", "until"})  # members of `detail` that are unix seconds, or null


@dataclass(frozen=True)
class NamedEvent:
    """One event; `at` in unix microseconds, `detail` canonical JSON. None: no such object, or its name is unknown."""

    id: int
    at: int
    actor: str
    action: str
    account_id: str | None
    token_id: str | None
    device_id: str | None
    result: str
    detail: str
    by: str  # the actor's name: login, or name of the device or API client; else as `actor`
    user: str | None
    token: str | None
    device: str | None
    people: Mapping[str, str]  # names of the actors in `detail`, by member


def with_names(connection: Connection, actor: Actor, rows: Sequence[AuditRow]) -> list[NamedEvent]:
    """Return the events in their order, with the names that this reader may see."""
    details = [_people_in(row) for row in rows]
    actors = {row.actor for row in rows}.union(*(named.split(",") for detail in details for named in detail.values()))
    wanted = _ids_of_actors(actors)
    wanted[names.USER] |= {row.account_id for row in rows if row.account_id is not None}
    wanted[names.DEVICE] |= {row.device_id for row in rows if row.device_id is not None}
    wanted[names.TOKEN] = {row.token_id for row in rows if row.token_id is not None}
    found = _find(connection, actor, wanted)
    called = _called(found)
    users, tokens, devices = found[names.USER], found[names.TOKEN], found[names.DEVICE]
    return [
        NamedEvent(
            row.id,
            row.at,
            row.actor,
            row.action,
            row.account_id,
            row.token_id,
            row.device_id,
            row.result,
            row.detail,
            by=called.get(row.actor, row.actor),
            user=users.get(row.account_id or ""),
            token=tokens.get(row.token_id or ""),
            device=devices.get(row.device_id or ""),
            people={member: _names_in(actors, called) for member, actors in detail.items()},
        )
        for row, detail in zip(rows, details, strict=True)
    ]


def _people_in(row: AuditRow) -> dict[str, str]:
    detail: dict[str, Json] = json.loads(row.detail)
    return {member: actors for member in _PEOPLE if isinstance(actors := detail.get(member), str)}


def _names_in(actors: str, called: Mapping[str, str]) -> str:
    return ", ".join(called.get(actor, actor) for actor in actors.split(","))


def names_of_actors(connection: Connection, reader: Actor, actors: Iterable[str]) -> dict[str, str]:
    """Return the names of actors (by `user:ID` and so on) that this reader may see."""
    return _called(_find(connection, reader, _ids_of_actors(actors)))


def _ids_of_actors(actors: Iterable[str]) -> dict[str, set[str]]:
    """Group the ids of the actors by kind."""
    ids = {tuple(name.split(":", 1)) for name in actors if ":" in name}
    return {kind: {key for id_kind, key in ids if id_kind == kind} for kind in _KINDS}


def _find(connection: Connection, reader: Actor, wanted: Mapping[str, set[str]]) -> dict[str, dict[str, str]]:
    """Return names by kind and id: those that the reader may see."""
    return {
        kind: {key: name for key, (name, domain_id) in named.items() if reader.sees(domain_id)}
        for kind, named in names.find_names(connection, wanted).items()
    }


def _called(found: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {f"{kind}:{key}": name for kind in _KINDS for key, name in found[kind].items()}
