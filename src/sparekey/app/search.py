"""One search box: users by name and mail address, tokens by serial number or by who has them, devices by name.

Rules: each kind is found where the actor may look at it, and not at all where they may do so nowhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sparekey.app.devices import DeviceSearch, DeviceView, search_devices
from sparekey.app.instance import Instance
from sparekey.app.tokens import TokenSearch, TokenView, search_tokens
from sparekey.app.users import UserSearch, UserView, search_users
from sparekey.core.permissions import Actor, Permission

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
    return Found(
        users=search_users(instance, actor, UserSearch(typed), limit) if _looks(actor, Permission.USER_VIEW) else (),
        tokens=search_tokens(instance, actor, TokenSearch(typed), limit, now=now)
        if _looks(actor, Permission.TOKEN_VIEW)
        else (),
        devices=search_devices(instance, actor, DeviceSearch(typed), limit, now=now)
        if _looks(actor, Permission.DEVICE_VIEW)
        else (),
    )


def _looks(actor: Actor, permission: Permission) -> bool:
    within = actor.domains_with(permission)
    return within is None or bool(within)
