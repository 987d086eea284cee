"""Options of form fields."""

from sparekey.app.people import domains
from sparekey.core.permissions import Permission
from sparekey.server.web.visits import Visit

_DEEPER = "\u2003"  # one em: options of a form have no indent of their own


def domain_options(visit: Visit, needed: Permission, but: str = "") -> list[tuple[str, str]]:
    """Return the security domains in which the visitor has this permission, as value and text, indented by depth.

    `but`: a domain to leave out.
    """
    found = domains.list_choices(visit.instance, visit.actor, needed)
    return [(option.name, _DEEPER * option.depth + option.name) for option in found if option.name != but]
