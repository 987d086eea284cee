"""The tree of security domains: moves, removals, and the contents of a domain."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select

from sparekey.storage.sealed_rows import update_rows
from sparekey.storage.tables import account, api_client, device, device_invitation, role_grant, security_domain, token

# The contents of a domain, with a condition if only some rows are in force.
_OWNED: Final[Mapping[str, tuple[Table, ColumnElement[bool] | None]]] = {
    "users": (account, None),
    "tokens": (token, token.c.account_id.is_(None)),
    "devices": (device, device.c.revoked_at.is_(None)),
    "API clients": (api_client, api_client.c.revoked_at.is_(None)),
    "roles granted": (role_grant, None),
}


def lock_tree(connection: Connection) -> None:
    """Make other changes of the tree wait until the transaction ends, so that two moves at once make no circle."""
    query = select(security_domain.c.id).where(security_domain.c.parent_id.is_(None))
    connection.execute(query.with_for_update(key_share=True)).all()


def set_parent(connection: Connection, domain_id: str, parent_id: str) -> None:
    update_rows(connection, security_domain, [security_domain.c.id == domain_id], {"parent_id": parent_id})


def count_contents(connection: Connection, domain_id: str) -> dict[str, int]:
    """Count the contents of the domain itself by kind, without the domains below it."""
    queries = {}
    for kind, (table, in_force) in _OWNED.items():
        query = select(func.count()).select_from(table).where(table.c.domain_id == domain_id)
        queries[kind] = query if in_force is None else query.where(in_force)
    queries["domains"] = select(func.count()).where(security_domain.c.parent_id == domain_id)
    row = connection.execute(select(*(query.scalar_subquery() for query in queries.values()))).one()
    return dict(zip(queries, row, strict=True))


def delete_domain(connection: Connection, domain_id: str, parent_id: str) -> None:
    """Delete an empty domain. Its revoked devices and clients move to the domain above."""
    connection.execute(delete(device_invitation).where(device_invitation.c.domain_id == domain_id))
    # Tokens as well: an assigned token belongs to its user's domain, but may still name the domain of its import.
    for table in (device, api_client, token):
        update_rows(connection, table, [table.c.domain_id == domain_id], {"domain_id": parent_id})
    connection.execute(delete(security_domain).where(security_domain.c.id == domain_id))
