"""Security domains: a tree of nodes that own users, tokens and devices."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage.policies.policies import TABLES
from sparekey.storage.rows import AnyRow, AnySelect
from sparekey.storage.sealed_rows import insert_row, intact_rows, one, update_rows
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
    insert_row(connection, security_domain, {"id": domain_id, "name": name, "parent_id": parent_id})


def find_domain(connection: Connection, name: str) -> Domain | None:
    row = one(intact_rows(connection, _domains().where(security_domain.c.name == name), security_domain))
    return None if row is None else _domain(row)


def get_name(connection: Connection, domain_id: str) -> str:
    """Return the name of a domain that exists."""
    query = select(security_domain.c.name).where(security_domain.c.id == domain_id)
    name: str = connection.execute(query).scalar_one()
    return name


def is_top(connection: Connection, domain_id: str) -> bool:
    """Return True for the domain above all others. An altered domain is not."""
    query = select(security_domain.c.parent_id).where(security_domain.c.id == domain_id)
    return any(row.parent_id is None for row in intact_rows(connection, query, security_domain))


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
    """Return the scopes of several domains, by the domain's id: names of domains, by id.

    An altered domain is in no scope, and neither are the domains below it. Every domain of a scope was asked for, or
    names its parent under its own seal, and that parent is in the scope, too.
    """
    if not domain_ids:
        return {}
    columns = (security_domain.c.id.label("root"), security_domain.c.id, security_domain.c.name)
    tree = select(*columns).where(security_domain.c.id.in_(domain_ids)).cte("tree", recursive=True)
    below = select(tree.c.root, security_domain.c.id, security_domain.c.name)
    tree = tree.union_all(below.join(tree, security_domain.c.parent_id == tree.c.id))
    query = select(tree.c.root, security_domain.c.id, security_domain.c.name, security_domain.c.parent_id)
    rows = intact_rows(connection, query.join(tree, security_domain.c.id == tree.c.id), security_domain)
    return {root: _below(root, [row for row in rows if row.root == root]) for root in {row.root for row in rows}}


def _below(root: str, rows: Sequence[AnyRow]) -> dict[str, str]:
    """Return the names, by id, of the root and of the domains that hang together with it."""
    by_parent: dict[str | None, list[AnyRow]] = {}
    for row in rows:
        by_parent.setdefault(row.parent_id, []).append(row)
    found = {row.id: row.name for row in rows if row.id == root}
    waiting = list(found)
    while waiting:
        below = {row.id: row.name for row in by_parent.get(waiting.pop(), ()) if row.id not in found}
        found |= below
        waiting.extend(below)
    return found


def domain_and_above(connection: Connection, domain_id: str) -> frozenset[str]:
    """Return the ids of a domain and of everything above it."""
    columns = (security_domain.c.id, security_domain.c.parent_id)
    tree = select(*columns).where(security_domain.c.id == domain_id).cte("above", recursive=True)
    tree = tree.union_all(select(*columns).join(tree, security_domain.c.id == tree.c.parent_id))
    query = select(*columns).join(tree, security_domain.c.id == tree.c.id)
    parents = {row.id: row.parent_id for row in intact_rows(connection, query, security_domain)}
    above: list[str] = []
    here: str | None = domain_id
    while here is not None and here in parents and here not in above:
        above.append(here)
        here = parents[here]
    return frozenset(above)


def assign_policy(connection: Connection, domain_id: str, kind: PolicyKind, policy_id: str | None) -> None:
    """Assign the policy to the domain; None: the domain uses the default policy."""
    update_rows(connection, security_domain, [security_domain.c.id == domain_id], {f"{kind}_policy_id": policy_id})
