"""API clients: programs that verify sign-ins over REST with a key of their own."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from sparekey.storage.rows import AnySelect, all_as
from sparekey.storage.sealed_rows import insert_row, one_intact, update_rows
from sparekey.storage.tables import api_client, security_domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An API client. `domain`: the name of the security domain that it serves, with those below."""

    id: str
    name: str
    domain_id: str
    domain: str
    addresses: str  # networks, comma separated; empty: any
    created_at: int
    expires_at: int | None
    revoked_at: int | None


def insert_client(
    connection: Connection,
    *,
    client_id: str,
    name: str,
    key_hash: bytes,
    domain_id: str,
    addresses: str,
    created_at: int,
    expires_at: int | None,
) -> None:
    values = {
        "id": client_id,
        "name": name,
        "key_hash": key_hash,
        "domain_id": domain_id,
        "addresses": addresses,
        "created_at": created_at,
        "expires_at": expires_at,
    }
    insert_row(connection, api_client, values)


def find_client(connection: Connection, key_hash: bytes) -> Client | None:
    return one_intact(Client, connection, _clients().where(api_client.c.key_hash == key_hash), api_client)


def find_client_named(connection: Connection, name: str) -> Client | None:
    return one_intact(Client, connection, _clients().where(api_client.c.name == name), api_client)


def list_clients(
    connection: Connection, limit: int, after: str = "", within: frozenset[str] | None = None
) -> list[Client]:
    """Return clients in order of name, after `after`. `within`: ids of domains; None: all of them."""
    return all_as(Client, connection.execute(_listed(limit, after, within)))


def search_clients(
    connection: Connection, text: str, state: str, within: frozenset[str] | None, limit: int, after: str, now: int
) -> list[Client]:
    """Return the clients of `list_clients` whose name contains `text`, which is in small letters, and which are in this
    state: "in-use", "expired", "revoked", or "" for any."""
    client = api_client.c
    query = _listed(limit, after, within)
    if text:
        query = query.where(func.lower(client.name).contains(text, autoescape=True))
    over = client.expires_at.is_not(None) & (client.expires_at <= now)
    states = {
        "in-use": client.revoked_at.is_(None) & ~over,
        "expired": client.revoked_at.is_(None) & over,
        "revoked": client.revoked_at.is_not(None),
    }
    if state:
        query = query.where(states[state])
    return all_as(Client, connection.execute(query))


def _listed(limit: int, after: str, within: frozenset[str] | None) -> AnySelect:
    query = _clients().where(api_client.c.name > after).order_by(api_client.c.name).limit(limit)
    return query if within is None else query.where(api_client.c.domain_id.in_(within))


def _clients() -> AnySelect:
    """Select the columns of `Client`."""
    columns = (
        api_client.c.id,
        api_client.c.name,
        api_client.c.domain_id,
        security_domain.c.name.label("domain"),
        api_client.c.addresses,
        api_client.c.created_at,
        api_client.c.expires_at,
        api_client.c.revoked_at,
    )
    return select(*columns).join(security_domain, api_client.c.domain_id == security_domain.c.id)


def revoke_client(connection: Connection, client_id: str, now: int) -> bool:
    """Revoke the client. Return False if it is revoked already."""
    where = (api_client.c.id == client_id, api_client.c.revoked_at.is_(None))
    return update_rows(connection, api_client, where, {"revoked_at": now}) == 1
