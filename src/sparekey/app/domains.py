"""Security domains: add and list."""

from dataclasses import dataclass

from sparekey.app.authorisation import verify_somewhere
from sparekey.app.instance import TOP_DOMAIN, Instance, log, new_id
from sparekey.app.lookup import get_domain
from sparekey.core.errors import Conflict
from sparekey.core.events import Action
from sparekey.core.names import verify_name
from sparekey.core.permissions import Actor, Permission
from sparekey.storage import domains

LONGEST_NAME = 100
MOST_DOMAINS = 1_000


@dataclass(frozen=True)
class DomainView:
    """`policy` is None where the domain always uses the default."""

    name: str
    parent: str | None
    policy: str | None


def add_domain(instance: Instance, actor: Actor, name: str, parent: str = TOP_DOMAIN, *, now: int) -> DomainView:
    """A new domain below `parent`. It always uses the default policy until one is assigned."""
    verify_name(name, "security domain", LONGEST_NAME)
    with instance.database.write() as connection:
        parent_id = get_domain(connection, actor, parent, Permission.DOMAIN_MANAGE).id
        if domains.find_domain(connection, name) is not None:
            raise Conflict(f"there is a security domain {name!r} already", "choose another name")
        if domains.count_domains(connection) >= MOST_DOMAINS:
            raise Conflict(f"there are {MOST_DOMAINS} security domains, which is the most", "remove one first")
        domains.insert_domain(connection, new_id(), name, parent_id)
        log(connection, now, actor, Action.DOMAIN_ADDED, name=name, parent=parent)
    return DomainView(name, parent, None)


def list_domains(instance: Instance, actor: Actor) -> list[DomainView]:
    """All that the actor sees, by name."""
    within = verify_somewhere(actor, Permission.DOMAIN_VIEW)
    with instance.database.read() as connection:
        return [
            DomainView(row.name, row.parent, row.policy)
            for row in domains.list_domains(connection)
            if within is None or row.id in within
        ]
