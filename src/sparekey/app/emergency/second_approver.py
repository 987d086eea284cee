"""Find out whether a server has an approver besides root.

Rules: an approver is a user with the permission there, a valid account and a working token. Only root can be without
one, because root can approve the requests of every user (`core.emergency.two_people`). The result is advice in a
message, and allows nothing.
"""

from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import permissions_of
from sparekey.core.emergency.two_people import is_system
from sparekey.core.permissions import PREDEFINED, Actor, Permission
from sparekey.storage.people import domains, roles

_MAKE_ONE: Final = (
    "this server has no other administrator with this permission yet: make an administrator first, with a link of "
    "`sparekey admin link` that another person opens; then "
)


def nobody_else(connection: Connection, actor: Actor, needed: Permission, domain_id: str | None, now: int) -> str:
    """Return the advice to make an administrator first if root has no approver; else an empty text.

    `domain_id`: the domain in which the permission is needed; None: all domains.
    """
    if not is_system(actor):
        return ""
    own = {role.name: role.permissions for role in roles.list_roles(connection)}
    fit = [name for name in {**own, **dict.fromkeys(PREDEFINED)} if needed in permissions_of(name, own.get(name))]
    where = domains.domain_and_above(connection, domain_id) if domain_id else None
    return "" if roles.count_able(connection, fit, where, now, now) else _MAKE_ONE
