"""API clients: programs that verify sign-ins over REST with a key of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import api_client, security_domain


def insert_client(connection: Connection, values: Mapping[str, Any]) -> None:
    connection.execute(insert(api_client).values(**values))


def find_client(connection: Connection, key_hash: bytes) -> AnyRow | None:
    return connection.execute(select(api_client).where(api_client.c.key_hash == key_hash)).one_or_none()


def find_client_named(connection: Connection, name: str) -> AnyRow | None:
    return connection.execute(select(api_client).where(api_client.c.name == name)).one_or_none()


def list_clients(
    connection: Connection, limit: int, after: str = "", within: frozenset[str] | None = None
) -> Sequence[AnyRow]:
    """By name, after `after`, of these domains (None: of all)."""
    query = (
        select(api_client, security_domain.c.name.label("domain"))
        .join(security_domain, api_client.c.domain_id == security_domain.c.id)
        .where(api_client.c.name > after)
        .order_by(api_client.c.name)
        .limit(limit)
    )
    if within is not None:
        query = query.where(api_client.c.domain_id.in_(within))
    return connection.execute(query).all()


def revoke_client(connection: Connection, client_id: str, now: int) -> bool:
    """Whether it was in force until now."""
    revoked = connection.execute(
        update(api_client).where(api_client.c.id == client_id, api_client.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return revoked.rowcount == 1
