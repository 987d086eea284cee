"""The places of policies: the policy assigned to each domain, and the policies in force in several domains."""

from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage.policies.policies import TABLES, NamedPolicy, read_policy
from sparekey.storage.sealed_rows import intact_rows
from sparekey.storage.tables import security_domain


@dataclass(frozen=True, slots=True)
class PolicyPlace:
    """A domain, by id and name, and the id of the policy assigned to it; None: it uses the default."""

    domain_id: str
    domain: str
    policy_id: str | None


def places(connection: Connection, kind: PolicyKind) -> list[PolicyPlace]:
    """Return every domain in order of name, with the policy of this kind that is assigned to it."""
    assigned = security_domain.c[f"{kind}_policy_id"]
    query = select(security_domain.c.id, security_domain.c.name, assigned).order_by(security_domain.c.name)
    return [PolicyPlace(*row) for row in connection.execute(query)]


def in_force_in(connection: Connection, kind: PolicyKind, domain_ids: frozenset[str]) -> list[NamedPolicy]:
    """Return the policies of this kind that are in force in these domains, each once, in order of name."""
    table, assigned = TABLES[kind], security_domain.c[f"{kind}_policy_id"]
    assigned_in_domains = select(assigned).where(security_domain.c.id.in_(domain_ids))
    by_default = select(security_domain.c.id).where(security_domain.c.id.in_(domain_ids), assigned.is_(None))
    query = select(table).where(or_(table.c.id.in_(assigned_in_domains), table.c.is_default & by_default.exists()))
    return [read_policy(kind, row) for row in intact_rows(connection, query.order_by(table.c.name), table)]
