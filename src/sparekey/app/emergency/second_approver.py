"""Whether there is a second person at all, for who acts as root on a server that has no other administrator.

Rules: somebody else is a user with the permission there, whose account is open and who has a token that works; only
root can be alone, for root on the server is a second person to every user (`core.emergency.two_people`). It says what
to do, and allows nothing.
"""

from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import permissions_of
from sparekey.core.emergency.two_people import is_system
from sparekey.core.permissions import PREDEFINED, Actor, Permission
from sparekey.storage.people import domains, roles

_MAKE_ONE: Final = (
    "there is no second person on this server yet: make an administrator first, with the link of "
    "`sparekey admin link`, which somebody else opens; then "
)


def nobody_else(connection: Connection, actor: Actor, needed: Permission, domain_id: str | None, now: int) -> str:
    """The words in front of what a second person is to do, where there is none; else nothing.

    `domain_id`: where the permission is needed; None: in all domains.
    """
    if not is_system(actor):
        return ""
    own = {role.name: role.permissions for role in roles.list_roles(connection)}
    fit = [name for name in {**own, **dict.fromkeys(PREDEFINED)} if needed in permissions_of(name, own.get(name))]
    where = domains.domain_and_above(connection, domain_id) if domain_id else None
    return "" if roles.count_able(connection, fit, where, now, now) else _MAKE_ONE
