"""Security domains: a tree of nodes that own users, tokens and devices."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage.policies.policies import TABLES
from sparekey.storage.rows import AnyRow, AnySelect
from sparekey.storage.tables import security_domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A security domain. `parent_id` and `parent`, the name of that domain, are None for the top domain alone.

    `assigned`: the names of the policies assigned to the domain; None: it uses the default policy of the kind.
    """

    id: str
    name: str
    parent_id: str | None
    parent: str | None
    assigned: Mapping[PolicyKind, str | None]


def insert_domain(connection: Connection, domain_id: str, name: str, parent_id: str | None) -> None:
    """Add a domain, which uses the default policies until others are assigned."""
    connection.execute(insert(security_domain).values(id=domain_id, name=name, parent_id=parent_id))


def find_domain(connection: Connection, name: str) -> Domain | None:
    row = connection.execute(_domains().where(security_domain.c.name == name)).one_or_none()
    return None if row is None else _domain(row)


def get_name(connection: Connection, domain_id: str) -> str:
    """Return the name of a domain that exists."""
    query = select(security_domain.c.name).where(security_domain.c.id == domain_id)
    name: str = connection.execute(query).scalar_one()
    return name


def is_top(connection: Connection, domain_id: str) -> bool:
    """Return True for the domain above all others."""
    query = select(security_domain.c.parent_id).where(security_domain.c.id == domain_id)
    return connection.execute(query).scalar_one() is None


def count_domains(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(security_domain)).scalar_one()


def list_domains(connection: Connection) -> list[Domain]:
    """Return every domain in order of name."""
    return [_domain(row) for row in connection.execute(_domains().order_by(security_domain.c.name))]


def _domains() -> AnySelect:
    """Select the columns that `_domain` reads."""
    parent = security_domain.alias("parent")
    columns = (security_domain.c.id, security_domain.c.name, security_domain.c.parent_id, parent.c.name.label("parent"))
    assigned = [table.c.name.label(f"{kind}_policy") for kind, table in TABLES.items()]
    query = select(*columns, *assigned).outerjoin(parent, security_domain.c.parent_id == parent.c.id)
    for kind, table in TABLES.items():
        query = query.outerjoin(table, security_domain.c[f"{kind}_policy_id"] == table.c.id)
    return query


def _domain(row: AnyRow) -> Domain:
    assigned = {kind: getattr(row, f"{kind}_policy") for kind in PolicyKind}
    return Domain(id=row.id, name=row.name, parent_id=row.parent_id, parent=row.parent, assigned=assigned)


def domain_and_below(connection: Connection, domain_id: str) -> frozenset[str]:
    """Return the ids of a domain and of everything below it: a scope."""
    return frozenset(scopes(connection, {domain_id}).get(domain_id, ()))


def scopes(connection: Connection, domain_ids: Collection[str]) -> dict[str, dict[str, str]]:
    """Return the scopes of several domains, by the domain's id: names of domains, by id."""
    if not domain_ids:
        return {}
    columns = (security_domain.c.id.label("root"), security_domain.c.id, security_domain.c.name)
    tree = select(*columns).where(security_domain.c.id.in_(domain_ids)).cte("tree", recursive=True)
    below = select(tree.c.root, security_domain.c.id, security_domain.c.name)
    tree = tree.union_all(below.join(tree, security_domain.c.parent_id == tree.c.id))
    found: dict[str, dict[str, str]] = {}
    for root, domain_id, name in connection.execute(select(tree.c.root, tree.c.id, tree.c.name)):
        found.setdefault(root, {})[domain_id] = name
    return found


def domain_and_above(connection: Connection, domain_id: str) -> frozenset[str]:
    """Return the ids of a domain and of everything above it."""
    columns = (security_domain.c.id, security_domain.c.parent_id)
    tree = select(*columns).where(security_domain.c.id == domain_id).cte("above", recursive=True)
    tree = tree.union_all(select(*columns).join(tree, security_domain.c.id == tree.c.parent_id))
    return frozenset(connection.execute(select(tree.c.id)).scalars())


def assign_policy(connection: Connection, domain_id: str, kind: PolicyKind, policy_id: str | None) -> None:
    """Assign the policy to the domain; None: the domain uses the default policy."""
    connection.execute(
        update(security_domain).where(security_domain.c.id == domain_id).values({f"{kind}_policy_id": policy_id})
    )
