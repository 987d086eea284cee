"""The names of users, tokens, devices and API clients by id: many at once, each with its security domain."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sqlalchemy import Column, Connection, func, literal, select, union_all

from sparekey.storage.rows import AnySelect, all_as
from sparekey.storage.tables import account, api_client, device, token

_AT_ONCE: Final = 500  # ids in one statement

Named = Mapping[str, tuple[str, str | None]]  # by id: name, and domain id (None: in none in particular)

USER, TOKEN, DEVICE, CLIENT = "user", "token", "device", "client"
_token_domain: Final = func.coalesce(account.c.domain_id, token.c.domain_id)
_QUERIES: Final[Mapping[str, tuple[AnySelect, Column[str]]]] = {
    USER: (select(literal(USER), account.c.id, account.c.login, account.c.domain_id), account.c.id),
    TOKEN: (
        select(literal(TOKEN), token.c.id, token.c.serial, _token_domain).outerjoin(
            account, token.c.account_id == account.c.id
        ),
        token.c.id,
    ),
    DEVICE: (select(literal(DEVICE), device.c.id, device.c.name, device.c.domain_id), device.c.id),
    CLIENT: (select(literal(CLIENT), api_client.c.id, api_client.c.name, api_client.c.domain_id), api_client.c.id),
}


def find_names(connection: Connection, wanted: Mapping[str, Collection[str]]) -> dict[str, Named]:
    """Return names by kind and id, for the ids by kind in `wanted`. An id that is gone is left out.

    One statement, unless there are very many ids.
    """
    found: dict[str, dict[str, tuple[str, str | None]]] = {kind: {} for kind in _QUERIES}
    pairs = iter(sorted({(kind, key) for kind, ids in wanted.items() for key in ids}))
    while batch := list(islice(pairs, _AT_ONCE)):
        parts = []
        for kind, (query, column) in _QUERIES.items():
            ids = [key for key_kind, key in batch if key_kind == kind]
            if ids:
                parts.append(query.where(column.in_(ids)))
        for kind, key, name, domain_id in connection.execute(union_all(*parts)):
            found[kind][key] = (name, domain_id)
    return dict(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedActor:
    """A user, device or API client that has a certain name."""

    kind: str
    id: str
    domain_id: str


def actors_named(connection: Connection, name: str) -> list[NamedActor]:
    """Return the users, devices and API clients of this name. One statement."""
    called = {USER: account.c.login, DEVICE: device.c.name, CLIENT: api_client.c.name}
    parts = [_QUERIES[kind][0].where(column == name) for kind, column in called.items()]
    found = union_all(*parts).subquery()
    kind, key, _, domain_id = found.c
    columns = (kind.label("kind"), key.label("id"), domain_id.label("domain_id"))
    return all_as(NamedActor, connection.execute(select(*columns)))
