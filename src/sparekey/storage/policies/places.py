"""Where policies are in force: the domains under each, and which policies of two kinds meet in a domain."""

from collections.abc import Sequence

from sqlalchemy import Connection, or_, select

from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage.policies.policies import TABLES
from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import security_domain


def places(connection: Connection, kind: PolicyKind) -> Sequence[AnyRow]:
    """Every domain by name, with the id of the policy of this kind that was assigned to it; None: the default one."""
    assigned = security_domain.c[f"{kind}_policy_id"].label("policy_id")
    query = select(security_domain.c.id, security_domain.c.name, assigned).order_by(security_domain.c.name)
    return connection.execute(query).all()


def in_force_in(connection: Connection, kind: PolicyKind, domain_ids: frozenset[str]) -> Sequence[AnyRow]:
    """The policies of this kind that are in force in these domains, each once, by name."""
    table, assigned = TABLES[kind], security_domain.c[f"{kind}_policy_id"]
    here = select(assigned).where(security_domain.c.id.in_(domain_ids))
    by_default = select(security_domain.c.id).where(security_domain.c.id.in_(domain_ids), assigned.is_(None))
    query = select(table).where(or_(table.c.id.in_(here), table.c.is_default & by_default.exists()))
    return connection.execute(query.order_by(table.c.name)).all()
