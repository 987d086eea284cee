"""Search users by name and mail address, tokens by serial number or user, and devices by name.

Rule: a kind is searched only in the domains in which the actor may view it.
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
from sparekey.storage.tokens.tokens import token_of

OF_EACH: Final = 8


@dataclass(frozen=True)
class Found:
    """The first results of each kind."""

    users: Sequence[UserView] = ()
    tokens: Sequence[TokenView] = ()
    devices: Sequence[DeviceView] = ()


def find(instance: Instance, actor: Actor, text: str, limit: int = OF_EACH, *, now: int) -> Found:
    """Return at most `limit` results of each kind; none for an empty text. Raises BadInput if the text is too long."""
    if not text.strip():
        return Found()
    with instance.database.read() as connection:
        by_user: list[Search] = []
        by_token: list[Search] = []
        by_device: list[Search] = []
        if _may_view(actor, Permission.USER_VIEW):
            by_user = [users.searched(connection, actor, UserSearch(text), limit)]
        if _may_view(actor, Permission.TOKEN_VIEW):
            by_token = tokens.searched(connection, actor, TokenSearch(text), limit, "", now)
        if _may_view(actor, Permission.DEVICE_VIEW):
            by_device = [devices.searched(connection, actor, DeviceSearch(text), limit, "", now)]
        # one call for all searches, so that shared conditions are counted once
        results = iter(run(connection, *by_user, *by_token, *by_device))
        accounts = [account_of(row) for _ in by_user for row in next(results)]
        found = [token_of(row) for _ in by_token for row in next(results)]
        computers = [device_of(row) for _ in by_device for row in next(results)]
    return Found(
        users=tuple(users.view_of(account) for account in accounts),
        tokens=tuple(tokens.merged(by_token, found)),
        devices=tuple(devices.view_of(computer) for computer in computers),
    )


def _may_view(actor: Actor, permission: Permission) -> bool:
    within = actor.domains_with(permission)
    return within is None or bool(within)
