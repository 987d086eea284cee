"""One search box: users by name and mail address, tokens by serial number or by who has them, devices by name.

Rules: each kind is found where the actor may look at it, and not at all where they may do so nowhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sparekey.app.devices import devices
from sparekey.app.devices.devices import DeviceSearch, DeviceView
from sparekey.app.instance import Instance
from sparekey.app.people import users
from sparekey.app.people.users import UserSearch, UserView
from sparekey.app.tokens import tokens
from sparekey.app.tokens.tokens import TokenSearch, TokenView
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.devices.devices import device_of
from sparekey.storage.people.accounts import account_of
from sparekey.storage.search.plan import run
from sparekey.storage.search.queries import Search

OF_EACH: Final = 8


@dataclass(frozen=True)
class Found:
    """The first ones of each kind."""

    users: Sequence[UserView] = ()
    tokens: Sequence[TokenView] = ()
    devices: Sequence[DeviceView] = ()


def find(instance: Instance, actor: Actor, typed: str, limit: int = OF_EACH, *, now: int) -> Found:
    """At most `limit` of each; nothing for nothing typed. Raises BadInput where that is too long."""
    if not typed.strip():
        return Found()
    with instance.database.read() as connection:
        asked: dict[Permission, list[Search]] = {}
        if _looks(actor, Permission.USER_VIEW):
            asked[Permission.USER_VIEW] = [users.searched(connection, actor, UserSearch(typed), limit)]
        if _looks(actor, Permission.TOKEN_VIEW):
            asked[Permission.TOKEN_VIEW] = tokens.searched(connection, actor, TokenSearch(typed), limit, "", now)
        if _looks(actor, Permission.DEVICE_VIEW):
            asked[Permission.DEVICE_VIEW] = [devices.searched(connection, actor, DeviceSearch(typed), limit, "", now)]
        # all at once: what they have in common is counted once
        rows = iter(run(connection, *(each for some in asked.values() for each in some)))
        found = {kind: [next(rows) for _ in some] for kind, some in asked.items()}
    return Found(
        users=tuple(users.view_of(account_of(row)) for some in found.get(Permission.USER_VIEW, ()) for row in some),
        tokens=tuple(tokens.found_in(asked.get(Permission.TOKEN_VIEW, ()), found.get(Permission.TOKEN_VIEW, ()))),
        devices=tuple(
            devices.view_of(device_of(row)) for some in found.get(Permission.DEVICE_VIEW, ()) for row in some
        ),
    )


def _looks(actor: Actor, permission: Permission) -> bool:
    within = actor.domains_with(permission)
    return within is None or bool(within)
