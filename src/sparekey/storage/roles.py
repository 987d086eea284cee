"""Roles of one's own, and who was granted which role where."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, select

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import account, role, role_grant, security_domain


def grants_of(connection: Connection, principal_id: str) -> Sequence[AnyRow]:
    """Role, its stored permissions (None: predefined, or gone) and domain of each grant."""
    query = (
        select(role_grant.c.role, role.c.permissions, role_grant.c.domain_id)
        .outerjoin(role, role.c.name == role_grant.c.role)
        .where(role_grant.c.principal_id == principal_id)
    )
    return connection.execute(query).all()


def insert_role(connection: Connection, role_id: str, name: str, permissions: str, now: int) -> None:
    connection.execute(insert(role).values(id=role_id, name=name, permissions=permissions, created_at=now))


def find_role(connection: Connection, name: str) -> AnyRow | None:
    return connection.execute(select(role).where(role.c.name == name)).one_or_none()


def list_roles(connection: Connection) -> Sequence[AnyRow]:
    return connection.execute(select(role).order_by(role.c.name)).all()


def delete_role(connection: Connection, name: str) -> None:
    """The role and its grants."""
    connection.execute(delete(role_grant).where(role_grant.c.role == name))
    connection.execute(delete(role).where(role.c.name == name))


def insert_grant(connection: Connection, grant_id: str, name: str, principal_id: str, domain_id: str, now: int) -> None:
    connection.execute(
        insert(role_grant).values(
            id=grant_id, role=name, principal_id=principal_id, domain_id=domain_id, created_at=now
        )
    )


def find_grant(connection: Connection, name: str, principal_id: str, domain_id: str) -> AnyRow | None:
    query = select(role_grant).where(
        role_grant.c.role == name, role_grant.c.principal_id == principal_id, role_grant.c.domain_id == domain_id
    )
    return connection.execute(query).one_or_none()


def delete_grant(connection: Connection, grant_id: str) -> bool:
    """Whether it was there."""
    return connection.execute(delete(role_grant).where(role_grant.c.id == grant_id)).rowcount == 1


def list_grants(connection: Connection, name: str | None = None) -> Sequence[AnyRow]:
    """Grants to users, with the user's login and the domain's name; of one role if given."""
    query = (
        select(role_grant, account.c.login, account.c.enabled, security_domain.c.name.label("domain"))
        .join(account, account.c.id == role_grant.c.principal_id)
        .join(security_domain, security_domain.c.id == role_grant.c.domain_id)
        .order_by(role_grant.c.role, account.c.login, security_domain.c.name)
    )
    if name is not None:
        query = query.where(role_grant.c.role == name)
    return connection.execute(query).all()


def count_enabled_with(connection: Connection, name: str, domain_id: str) -> int:
    """Enabled users with this role in this domain."""
    query = (
        select(func.count())
        .select_from(role_grant)
        .join(account, account.c.id == role_grant.c.principal_id)
        .where(role_grant.c.role == name, role_grant.c.domain_id == domain_id, account.c.enabled)
    )
    return connection.execute(query).scalar_one()
