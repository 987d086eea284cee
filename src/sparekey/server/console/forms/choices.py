"""What fields of forms offer to choose from."""

from sparekey.app.people import domains
from sparekey.core.permissions import Permission
from sparekey.server.web.visits import Visit

_DEEPER = "\u2003"  # as wide as a capital: an option has no indent of its own


def domain_options(visit: Visit, needed: Permission, but: str = "") -> list[tuple[str, str]]:
    """The security domains in which the visitor has this permission, value and words, indented as they lie below one
    another; `but`: one that is not offered."""
    found = domains.list_choices(visit.instance, visit.actor, needed)
    return [(each.name, _DEEPER * each.depth + each.name) for each in found if each.name != but]
