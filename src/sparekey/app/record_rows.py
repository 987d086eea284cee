"""Rows of the record as people read them: beside each id, what the thing is called now.

Rules: what lies outside every domain of the reader, and what is gone, stays an id; the row itself is as it was written.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from sparekey.core.audit_chain import AuditRow
from sparekey.core.permissions import Actor
from sparekey.storage import names

_KINDS: Final[Mapping[str, Callable[[Connection, Collection[str]], names.Named]]] = {
    "user": names.logins,
    "device": names.device_names,
    "client": names.client_names,
}
# members of `detail` that name somebody as the actor's column does
_PEOPLE: Final = ("operator", "approved_by", "asked_by")


@dataclass(frozen=True)
class RecordRow:
    """One row; `at` in unix microseconds, `detail` canonical JSON. None: there is none, or no name is known for it."""

    id: int
    at: int
    actor: str
    action: str
    account_id: str | None
    token_id: str | None
    device_id: str | None
    result: str
    detail: str
    by: str  # the actor's name: login, or name of the device or program; else as `actor`
    user: str | None
    token: str | None
    device: str | None
    people: Mapping[str, str]  # names of those whom `detail` names, by member


def with_names(connection: Connection, actor: Actor, rows: Sequence[AuditRow]) -> list[RecordRow]:
    """The rows in their order, for this reader."""
    details = [_people_in(row) for row in rows]
    actors = {row.actor for row in rows}.union(*(detail.values() for detail in details))
    called = names_of_actors(connection, actor, actors)
    users = _seen(actor, names.logins(connection, _ids(row.account_id for row in rows)))
    tokens = _seen(actor, names.serials(connection, _ids(row.token_id for row in rows)))
    devices = _seen(actor, names.device_names(connection, _ids(row.device_id for row in rows)))
    return [
        RecordRow(
            row.id, row.at, row.actor, row.action, row.account_id, row.token_id, row.device_id, row.result, row.detail,
            by=called.get(row.actor, row.actor),
            user=users.get(row.account_id or ""),
            token=tokens.get(row.token_id or ""),
            device=devices.get(row.device_id or ""),
            people={member: called.get(name, name) for member, name in detail.items()},
        )
        for row, detail in zip(rows, details, strict=True)
    ]  # fmt: skip


def _people_in(row: AuditRow) -> dict[str, str]:
    detail: dict[str, Any] = json.loads(row.detail)
    return {member: detail[member] for member in _PEOPLE if isinstance(detail.get(member), str)}


def names_of_actors(connection: Connection, reader: Actor, actors: Iterable[str]) -> dict[str, str]:
    """Names by what the record calls them (`user:ID`), of those whom this reader may know."""
    actors = set(actors)
    found: dict[str, str] = {}
    for kind, find in _KINDS.items():
        ids = {name.removeprefix(f"{kind}:") for name in actors if name.startswith(f"{kind}:")}
        found |= {f"{kind}:{key}": name for key, name in _seen(reader, find(connection, ids)).items()}
    return found


def _seen(actor: Actor, named: names.Named) -> dict[str, str]:
    return {key: name for key, (name, domain_id) in named.items() if actor.sees(domain_id)}


def _ids(found: Iterable[str | None]) -> set[str]:
    return {each for each in found if each is not None}
