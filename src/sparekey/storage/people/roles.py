"""Custom roles, and the grants of all roles in security domains."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)

from sparekey.storage.rows import AnyRow, AnySelect, all_as
from sparekey.storage.sealed_rows import all_intact, insert_row, one_intact, update_rows
from sparekey.storage.tables import account, api_client, passkey, role, role_grant, security_domain, token


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A custom role; the predefined roles are in core.permissions."""

    id: str
    name: str
    permissions: str  # names, comma separated
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRole:
    """A role that an account or API client holds in one security domain and below.

    `permissions`: as the role stores them; None for a predefined role, and for a role that was removed.
    """

    principal_id: str  # of the account or API client
    role: str
    permissions: str | None
    granted_in: str  # id of the domain
    at_top: bool  # that domain is the top one


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleGrant:
    """A role with the name of its holder and of the security domain in which it was granted."""

    role: str
    kind: str  # user or client
    holder: str  # login, or name of an API client
    holder_domain_id: str
    domain_id: str
    domain: str


def grants_of(connection: Connection, principal_ids: Collection[str]) -> list[HeldRole]:
    """Return every role of these accounts and API clients."""
    query = select(*_GRANT).select_from(role_grant).join(_DOMAIN, _IN_DOMAIN).outerjoin(role, _OF_ROLE)
    return all_intact(HeldRole, connection, query.where(role_grant.c.principal_id.in_(principal_ids)), *OF_GRANTS)


def with_grants(query: AnySelect, principal: ColumnElement[str]) -> AnySelect:
    """Return the query with one row for each role of the principal in this column; `held_role` reads the role."""
    joined = query.add_columns(*_GRANT).outerjoin(role_grant, role_grant.c.principal_id == principal)
    return joined.outerjoin(_DOMAIN, _IN_DOMAIN).outerjoin(role, _OF_ROLE)


def held_role(row: AnyRow) -> HeldRole | None:
    """Read the role in a row of `with_grants`; None: the principal has no role, or its domain is gone."""
    if row.granted_in is None:
        return None
    return HeldRole(
        principal_id=row.principal_id,
        role=row.role,
        permissions=row.permissions,
        granted_in=row.granted_in,
        at_top=row.at_top,
    )


_DOMAIN: Final = security_domain.alias("granted_in")
OF_GRANTS: Final = (role_grant, _DOMAIN, role)  # the tables of `with_grants`, whose seals decide
_IN_DOMAIN: Final = _DOMAIN.c.id == role_grant.c.domain_id
_OF_ROLE: Final = role.c.name == role_grant.c.role
_GRANT: Final = (
    role_grant.c.principal_id,
    role_grant.c.role,
    role.c.permissions,
    _DOMAIN.c.id.label("granted_in"),
    and_(_DOMAIN.c.id.is_not(None), _DOMAIN.c.parent_id.is_(None)).label("at_top"),  # False if the domain is gone
)


def insert_role(connection: Connection, role_id: str, name: str, permissions: str, now: int) -> None:
    insert_row(connection, role, {"id": role_id, "name": name, "permissions": permissions, "created_at": now})


def find_role(connection: Connection, name: str) -> Role | None:
    return one_intact(Role, connection, select(role).where(role.c.name == name), role)


def lock_role(connection: Connection, name: str) -> Role | None:
    """Lock the role until the transaction ends, so that it is neither changed nor removed, and return it."""
    return one_intact(Role, connection, select(role).where(role.c.name == name).with_for_update(), role)


def list_roles(connection: Connection) -> list[Role]:
    """Return the custom roles in order of name."""
    return all_intact(Role, connection, select(role).order_by(role.c.name), role)


def count_roles(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(role)).scalar_one()


def set_permissions(connection: Connection, name: str, permissions: str) -> None:
    update_rows(connection, role, [role.c.name == name], {"permissions": permissions})


def delete_role(connection: Connection, name: str) -> None:
    """Delete the role and its grants."""
    connection.execute(delete(role_grant).where(role_grant.c.role == name))
    connection.execute(delete(role).where(role.c.name == name))


def insert_grant(connection: Connection, grant_id: str, name: str, principal_id: str, domain_id: str, now: int) -> None:
    values = {"id": grant_id, "role": name, "principal_id": principal_id, "domain_id": domain_id, "created_at": now}
    insert_row(connection, role_grant, values)


def find_grant(connection: Connection, name: str, principal_id: str, domain_id: str) -> str | None:
    """Return the id of the grant of this role to this account or API client in this domain."""
    query = select(role_grant.c.id).where(
        role_grant.c.role == name, role_grant.c.principal_id == principal_id, role_grant.c.domain_id == domain_id
    )
    return connection.execute(query).scalar_one_or_none()


def delete_grant(connection: Connection, grant_id: str) -> bool:
    """Delete the grant. Return False if it is gone already."""
    return connection.execute(delete(role_grant).where(role_grant.c.id == grant_id)).rowcount == 1


def list_grants(
    connection: Connection, name: str | None = None, kind: str | None = None, holder: str | None = None
) -> list[RoleGrant]:
    """Return the grants in order of role, kind and holder: all of them, or those of one role, kind, or holder."""
    users = select(
        role_grant.c.role,
        role_grant.c.domain_id,
        literal("user").label("kind"),
        account.c.login.label("holder"),
        account.c.domain_id.label("holder_domain_id"),
    ).join(account, account.c.id == role_grant.c.principal_id)
    clients = select(
        role_grant.c.role,
        role_grant.c.domain_id,
        literal("client").label("kind"),
        api_client.c.name.label("holder"),
        api_client.c.domain_id.label("holder_domain_id"),
    ).join(api_client, api_client.c.id == role_grant.c.principal_id)
    found = union_all(users, clients).subquery()
    query = (
        select(found, security_domain.c.name.label("domain"))
        .join(security_domain, security_domain.c.id == found.c.domain_id)
        .order_by(found.c.role, found.c.kind, found.c.holder, security_domain.c.name)
    )
    for column, value in ((found.c.role, name), (found.c.kind, kind), (found.c.holder, holder)):
        if value is not None:
            query = query.where(column == value)
    return all_as(RoleGrant, connection.execute(query))


@dataclass(frozen=True, slots=True, kw_only=True)
class RolesOfUser:
    """The roles of one user, and how many passkeys they have."""

    held: tuple[tuple[str, str, str], ...]  # role, domain id, name of the domain
    passkeys: int


def of_user(connection: Connection, account_id: str) -> RolesOfUser:
    """Return the roles of a user in order of role and domain. One statement also counts the passkeys."""
    passkeys = select(func.count()).select_from(passkey).where(passkey.c.account_id == account_id).scalar_subquery()
    columns = (role_grant.c.role, role_grant.c.domain_id, security_domain.c.name, passkeys)
    query = (
        select(*columns)
        .select_from(account)
        .outerjoin(role_grant, role_grant.c.principal_id == account.c.id)
        .outerjoin(security_domain, security_domain.c.id == role_grant.c.domain_id)
        .where(account.c.id == account_id)
        .order_by(role_grant.c.role, security_domain.c.name)
    )
    rows = connection.execute(query).all()
    held = tuple((role, domain_id, domain) for role, domain_id, domain, _ in rows if role is not None)
    return RolesOfUser(held=held, passkeys=rows[0][3])


def count_grants(connection: Connection, name: str) -> int:
    """Count the grants of this role."""
    return connection.execute(
        select(func.count()).select_from(role_grant).where(role_grant.c.role == name)
    ).scalar_one()


def lock_grants_at_top(connection: Connection, name: str) -> None:
    """Lock these grants: other changes and counts of them wait. Take this lock before the lock of any account."""
    query = select(role_grant.c.id).join(security_domain, security_domain.c.id == role_grant.c.domain_id)
    query = query.where(role_grant.c.role == name, security_domain.c.parent_id.is_(None)).order_by(role_grant.c.id)
    connection.execute(query.with_for_update(of=role_grant)).all()


def count_able(
    connection: Connection, names: Collection[str], domains: Collection[str] | None, at: int, now: int
) -> int:
    """Count the grants of these roles in these domains (None: the top one) to users who can sign in.

    Such a user has an account that is open at `at`, and a passkey or a token with a PIN that works `now`.
    """
    where = security_domain.c.parent_id.is_(None) if domains is None else security_domain.c.id.in_(domains)
    usable_token = exists().where(
        token.c.account_id == account.c.id,
        token.c.with_pin,  # a token without a PIN is one factor, and administrators need two
        token.c.enabled,
        or_(token.c.expires_at.is_(None), token.c.expires_at > now),
    )
    any_passkey = exists().where(passkey.c.account_id == account.c.id)
    query = (
        select(func.count())
        .select_from(role_grant)
        .join(account, account.c.id == role_grant.c.principal_id)
        .join(security_domain, security_domain.c.id == role_grant.c.domain_id)
        .where(role_grant.c.role.in_(names), where, account.c.enabled)
        .where(or_(account.c.expires_at.is_(None), account.c.expires_at > at), or_(usable_token, any_passkey))
    )
    return connection.execute(query).scalar_one()
