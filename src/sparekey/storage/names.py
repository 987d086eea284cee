"""What people call the things that the record names by id: many at once, each with the domain it is in."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import Column, Connection, Select, func, select

from sparekey.storage.tables import account, api_client, device, token

_AT_ONCE: Final = 500  # ids in one statement

Named = Mapping[str, tuple[str, str | None]]  # by id: name, and domain id (None: in none in particular)


def logins(connection: Connection, ids: Collection[str]) -> Named:
    query = select(account.c.id, account.c.login, account.c.domain_id)
    return _named(connection, query, account.c.id, ids)


def serials(connection: Connection, ids: Collection[str]) -> Named:
    domain = func.coalesce(account.c.domain_id, token.c.domain_id)
    query = select(token.c.id, token.c.serial, domain).outerjoin(account, token.c.account_id == account.c.id)
    return _named(connection, query, token.c.id, ids)


def device_names(connection: Connection, ids: Collection[str]) -> Named:
    query = select(device.c.id, device.c.name, device.c.domain_id)
    return _named(connection, query, device.c.id, ids)


def client_names(connection: Connection, ids: Collection[str]) -> Named:
    query = select(api_client.c.id, api_client.c.name, api_client.c.domain_id)
    return _named(connection, query, api_client.c.id, ids)


def _named(connection: Connection, query: Select[Any], column: Column[Any], ids: Collection[str]) -> Named:
    found: dict[str, tuple[str, str | None]] = {}
    wanted = sorted(ids)
    for start in range(0, len(wanted), _AT_ONCE):
        rows = connection.execute(query.where(column.in_(wanted[start : start + _AT_ONCE])))
        found |= {row[0]: (row[1], row[2]) for row in rows}
    return found
