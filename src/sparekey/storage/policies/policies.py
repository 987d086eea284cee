"""Stored policies of each kind, one column per field, and which one is in force in a domain."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, Select, Table, delete, insert, or_, select, update

from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import lockout_policy, offline_policy, security_domain, token_policy

TABLES: Final[Mapping[PolicyKind, Table]] = {
    PolicyKind.OFFLINE: offline_policy,
    PolicyKind.TOKEN: token_policy,
    PolicyKind.LOCKOUT: lockout_policy,
}


def _assigned_id(kind: PolicyKind) -> Column[Any]:
    """The column of a domain that names its policy."""
    return security_domain.c[f"{kind}_policy_id"]


def insert_policy(
    connection: Connection, kind: PolicyKind, policy_id: str, name: str, values: Mapping[str, Any], *, is_default: bool
) -> None:
    connection.execute(
        insert(TABLES[kind]).values(id=policy_id, name=name, is_default=is_default, revision=1, **values)
    )


def find_policy(connection: Connection, kind: PolicyKind, name: str) -> AnyRow | None:
    return connection.execute(select(TABLES[kind]).where(TABLES[kind].c.name == name)).one_or_none()


def list_policies(connection: Connection, kind: PolicyKind) -> Sequence[AnyRow]:
    return connection.execute(select(TABLES[kind]).order_by(TABLES[kind].c.name)).all()


def policy_of_domain(connection: Connection, kind: PolicyKind, domain_id: str) -> AnyRow | None:
    """The policy in force in a domain, with the domain's id and name: the assigned one, else the default."""
    return connection.execute(_in_force(kind).where(security_domain.c.id == domain_id)).one_or_none()


def policies_of_domains(
    connection: Connection, kind: PolicyKind, domain_ids: Collection[str] | None = None
) -> Sequence[AnyRow]:
    """The same for each of several domains; None: for all."""
    query = _in_force(kind)
    return connection.execute(query if domain_ids is None else query.where(security_domain.c.id.in_(domain_ids))).all()


def _in_force(kind: PolicyKind) -> Select[Any]:
    names = (security_domain.c.id.label("domain_id"), security_domain.c.name.label("domain"))
    return (
        select(TABLES[kind], *names)
        .select_from(security_domain)
        .join(
            TABLES[kind],
            or_(
                TABLES[kind].c.id == _assigned_id(kind),
                _assigned_id(kind).is_(None) & TABLES[kind].c.is_default,
            ),
        )
    )


def names_in_force(connection: Connection, domain_id: str) -> dict[PolicyKind, str]:
    """By kind, the name of the policy in force in a domain."""
    names = {
        kind: select(table.c.name).where(
            or_(table.c.id == _assigned_id(kind), _assigned_id(kind).is_(None) & table.c.is_default)
        )
        for kind, table in TABLES.items()
    }
    columns = [query.correlate(security_domain).scalar_subquery() for query in names.values()]
    row = connection.execute(select(*columns).where(security_domain.c.id == domain_id)).one()
    return {kind: name for kind, name in zip(names, row, strict=True) if name is not None}


def domains_using(connection: Connection, kind: PolicyKind, policy_id: str, *, is_default: bool) -> frozenset[str]:
    """The ids of the domains in which this policy is in force."""
    in_force = _assigned_id(kind) == policy_id
    if is_default:
        in_force = or_(in_force, _assigned_id(kind).is_(None))
    return frozenset(connection.execute(select(security_domain.c.id).where(in_force)).scalars())


def update_policy(connection: Connection, kind: PolicyKind, policy_id: str, values: Mapping[str, Any]) -> None:
    """Replace the values; the revision rises."""
    connection.execute(
        update(TABLES[kind])
        .where(TABLES[kind].c.id == policy_id)
        .values(revision=TABLES[kind].c.revision + 1, **values)
    )


def delete_policy(connection: Connection, kind: PolicyKind, policy_id: str) -> None:
    """Its domains go back to the default."""
    connection.execute(
        update(security_domain).where(_assigned_id(kind) == policy_id).values({_assigned_id(kind): None})
    )
    connection.execute(delete(TABLES[kind]).where(TABLES[kind].c.id == policy_id))
