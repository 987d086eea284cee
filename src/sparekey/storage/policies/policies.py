"""Stored policies of each kind, with one column per field, and the policy in force in each domain."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, delete, exists, or_, select

from sparekey.core.policy.kinds import PolicyKind, StoredPolicy
from sparekey.storage.rows import AnyRow, AnySelect
from sparekey.storage.sealed_rows import insert_row, intact_rows, one, update_rows
from sparekey.storage.tables import lockout_policy, offline_policy, security_domain, token_policy

TABLES: Final[Mapping[PolicyKind, Table]] = {
    PolicyKind.OFFLINE: offline_policy,
    PolicyKind.TOKEN: token_policy,
    PolicyKind.LOCKOUT: lockout_policy,
}


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A stored policy with its name. `revision` rises with every edit."""

    id: str
    name: str
    is_default: bool
    revision: int
    policy: StoredPolicy


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """A domain, by id and name, and the policy that is in force in it."""

    domain_id: str
    domain: str
    named: NamedPolicy


def insert_policy(
    connection: Connection, kind: PolicyKind, policy_id: str, name: str, policy: StoredPolicy, *, is_default: bool
) -> None:
    values = {"id": policy_id, "name": name, "is_default": is_default, "revision": 1}
    insert_row(connection, TABLES[kind], {**values, **dataclasses.asdict(policy)})


def find_policy(connection: Connection, kind: PolicyKind, name: str) -> NamedPolicy | None:
    row = one(intact_rows(connection, select(TABLES[kind]).where(TABLES[kind].c.name == name), TABLES[kind]))
    return None if row is None else read_policy(kind, row)


def list_policies(connection: Connection, kind: PolicyKind) -> list[NamedPolicy]:
    """Return all policies of a kind, in order of name."""
    rows = connection.execute(select(TABLES[kind]).order_by(TABLES[kind].c.name))
    return [read_policy(kind, row) for row in rows]


def policy_of_domain(connection: Connection, kind: PolicyKind, domain_id: str) -> PolicyInForce | None:
    """Return the policy in force in a domain: the assigned one, else the default."""
    return next(iter(policies_of_domains(connection, kind, [domain_id])), None)


def policies_of_domains(
    connection: Connection, kind: PolicyKind, domain_ids: Collection[str] | None = None
) -> list[PolicyInForce]:
    """Return the policy in force in each of these domains; None: in every domain.

    Domains under one policy share one object, so that thousands of domains cost few checks of values.
    """
    query = _in_force(kind)
    if domain_ids is not None:
        query = query.where(security_domain.c.id.in_(domain_ids))
    read: dict[str, NamedPolicy] = {}
    found = []
    for row in intact_rows(connection, query, TABLES[kind], security_domain):
        if row.id not in read:
            read[row.id] = read_policy(kind, row)
        found.append(PolicyInForce(row.domain_id, row.domain, read[row.id]))
    return found


def read_policy(kind: PolicyKind, row: AnyRow) -> NamedPolicy:
    """Return the policy in a row that has the columns of its table."""
    policy: StoredPolicy = kind.type.of({name: getattr(row, name) for name in kind.fields})
    return NamedPolicy(row.id, row.name, row.is_default, row.revision, policy)


def _assigned_id(kind: PolicyKind) -> Column[Any]:  # Any: the column's type follows from its name
    """Return the column of a domain that names its policy."""
    return security_domain.c[f"{kind}_policy_id"]


def _in_force(kind: PolicyKind) -> AnySelect:
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
    """Return the name of the policy in force in a domain, by kind."""
    names = {
        kind: select(table.c.name).where(
            or_(table.c.id == _assigned_id(kind), _assigned_id(kind).is_(None) & table.c.is_default)
        )
        for kind, table in TABLES.items()
    }
    columns = [query.correlate(security_domain).scalar_subquery() for query in names.values()]
    row = connection.execute(select(*columns).where(security_domain.c.id == domain_id)).one()
    return {kind: name for kind, name in zip(names, row, strict=True) if name is not None}


def lock_policies(connection: Connection, kind: PolicyKind) -> None:
    """Make other changes of this kind of policies and of their assignments wait until the transaction ends.

    Take this lock before any other. A change reads policies and assignments afterwards, so that it discards exactly the
    data that its own edit makes stale.
    """
    table = TABLES[kind]
    connection.execute(select(table.c.id).order_by(table.c.id).with_for_update(key_share=True)).all()


def hold_policies(connection: Connection, kind: PolicyKind) -> None:
    """Prevent changes of this kind of policies until the transaction ends. Many transactions may share this lock.

    Take it before any other lock, for a change that a policy allows and that ends with the policy.
    """
    table = TABLES[kind]
    connection.execute(select(table.c.id).order_by(table.c.id).with_for_update(read=True)).all()


def domains_with_default(connection: Connection, kind: PolicyKind) -> frozenset[str]:
    """Return the ids of the domains that always use the default policy."""
    query = select(security_domain.c.id).where(_assigned_id(kind).is_(None))
    return frozenset(connection.execute(query).scalars())


def domains_using(connection: Connection, kind: PolicyKind, policy_id: str, *, is_default: bool) -> frozenset[str]:
    """Return the ids of the domains in which this policy is in force."""
    in_force = _assigned_id(kind) == policy_id
    if is_default:
        in_force = or_(in_force, _assigned_id(kind).is_(None))
    return frozenset(connection.execute(select(security_domain.c.id).where(in_force)).scalars())


def update_policy(connection: Connection, kind: PolicyKind, policy_id: str, policy: StoredPolicy) -> None:
    """Replace the values and raise the revision."""
    values = dataclasses.asdict(policy)
    update_rows(
        connection, TABLES[kind], [TABLES[kind].c.id == policy_id], lambda row: {**values, "revision": row.revision + 1}
    )


def make_default(connection: Connection, kind: PolicyKind, policy_id: str) -> bool:
    """Make this policy the only default of its kind. Return False, and change nothing, if it is gone.

    The caller holds `lock_policies`, so that others see one default at any time.
    """
    table = TABLES[kind]
    wanted = exists().where(table.alias().c.id == policy_id)
    return update_rows(connection, table, [wanted], lambda row: {"is_default": row.id == policy_id}) > 0


def delete_policy(connection: Connection, kind: PolicyKind, policy_id: str) -> bool:
    """Delete the policy and put its domains back on the default.

    Return False if it is the default, or gone; the caller must then roll back.
    """
    update_rows(connection, security_domain, [_assigned_id(kind) == policy_id], {_assigned_id(kind).name: None})
    table = TABLES[kind]
    gone = connection.execute(delete(table).where(table.c.id == policy_id, table.c.is_default.is_(False)))
    return gone.rowcount > 0
