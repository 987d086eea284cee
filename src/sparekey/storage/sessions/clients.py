"""API clients: programs that verify sign-ins over REST with a key of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update

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
    return connection.execute(_listed(limit, after, within)).all()


def search_clients(
    connection: Connection, text: str, state: str, within: frozenset[str] | None, limit: int, after: str, now: int
) -> Sequence[AnyRow]:
    """As `list_clients`: those whose name holds `text`, in small letters, and that are "in-use", "expired" or "revoked"
    ("": whichever)."""
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
    return connection.execute(query).all()


def _listed(limit: int, after: str, within: frozenset[str] | None) -> Select[Any]:
    query = (
        select(api_client, security_domain.c.name.label("domain"))
        .join(security_domain, api_client.c.domain_id == security_domain.c.id)
        .where(api_client.c.name > after)
        .order_by(api_client.c.name)
        .limit(limit)
    )
    return query if within is None else query.where(api_client.c.domain_id.in_(within))


def revoke_client(connection: Connection, client_id: str, now: int) -> bool:
    """Whether it was in force until now."""
    revoked = connection.execute(
        update(api_client).where(api_client.c.id == client_id, api_client.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return revoked.rowcount == 1
