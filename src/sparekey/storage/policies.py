"""Stored offline policies, one column per field."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import offline_policy, security_domain


def insert_policy(
    connection: Connection, policy_id: str, name: str, values: Mapping[str, Any], *, is_default: bool
) -> None:
    connection.execute(
        insert(offline_policy).values(id=policy_id, name=name, is_default=is_default, revision=1, **values)
    )


def find_policy(connection: Connection, name: str) -> AnyRow | None:
    return connection.execute(select(offline_policy).where(offline_policy.c.name == name)).one_or_none()


def list_policies(connection: Connection) -> Sequence[AnyRow]:
    return connection.execute(select(offline_policy).order_by(offline_policy.c.name)).all()


def policy_of_domain(connection: Connection, domain_id: str) -> AnyRow | None:
    """The policy in force in a domain, with the domain's name: the assigned one, else the default."""
    query = (
        select(offline_policy, security_domain.c.name.label("domain"))
        .select_from(security_domain)
        .join(
            offline_policy,
            or_(
                offline_policy.c.id == security_domain.c.offline_policy_id,
                security_domain.c.offline_policy_id.is_(None) & offline_policy.c.is_default,
            ),
        )
        .where(security_domain.c.id == domain_id)
    )
    return connection.execute(query).one_or_none()


def domains_using(connection: Connection, policy_id: str, *, is_default: bool) -> frozenset[str]:
    """The ids of the domains in which this policy is in force."""
    in_force = security_domain.c.offline_policy_id == policy_id
    if is_default:
        in_force = or_(in_force, security_domain.c.offline_policy_id.is_(None))
    return frozenset(connection.execute(select(security_domain.c.id).where(in_force)).scalars())


def update_policy(connection: Connection, policy_id: str, values: Mapping[str, Any]) -> None:
    """Replace the values; the revision rises."""
    connection.execute(
        update(offline_policy)
        .where(offline_policy.c.id == policy_id)
        .values(revision=offline_policy.c.revision + 1, **values)
    )


def delete_policy(connection: Connection, policy_id: str) -> None:
    """Its domains go back to the default."""
    connection.execute(
        update(security_domain).where(security_domain.c.offline_policy_id == policy_id).values(offline_policy_id=None)
    )
    connection.execute(delete(offline_policy).where(offline_policy.c.id == policy_id))
