"""Find the owner of an offline emergency code, the version that each device holds, and the obstacles to its use.

The operator must read out the version that the caller's device holds. A pending version is never shown as current.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.lookup import get_account, get_assigned_token
from sparekey.app.obstacles import obstacle_on, why_no_code
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.errors import Conflict, NotAllowed, NotFound
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.storage.emergency.offline import EmergencyCode


@dataclass(frozen=True)
class Owner:
    """The owner of a code: a token of its tokencode, or a user of their passcode."""

    kind: CodeKind
    account_id: str
    token_id: str | None
    label: str  # serial or login, for messages

    @property
    def owner_id(self) -> str:
        return self.token_id or self.account_id


@dataclass(frozen=True)
class HeldCode:
    """The code that one device holds: one row of the page. Version 0: none yet."""

    device_id: str
    device: str
    version: int
    not_after: int
    held_since: int
    pending: bool  # another version is on its way
    reset: bool  # replaced at the next online sign-in


def owner_of(connection: Connection, actor: Actor, kind: CodeKind, name: str, needed: Permission) -> Owner:
    """Return the owner of a code. `name`: the token's serial, or the user's login. Raises NotFound or NotAllowed."""
    find = _tokencode_of if kind is CodeKind.TOKENCODE else _passcode_of
    return find(connection, actor, name, needed)


def _tokencode_of(connection: Connection, actor: Actor, serial: str, needed: Permission) -> Owner:
    """Return the owner of a token's offline emergency tokencode."""
    token = get_assigned_token(connection, actor, serial, needed)
    return Owner(CodeKind.TOKENCODE, token.account_id, token.id, serial)


def _passcode_of(connection: Connection, actor: Actor, login: str, needed: Permission) -> Owner:
    """Return the owner of a user's offline emergency passcode."""
    return Owner(CodeKind.PASSCODE, get_account(connection, actor, login, needed).id, None, login)


def list_held(connection: Connection, owner: Owner) -> list[HeldCode]:
    """Return one row for each device that receives this code."""
    return [
        HeldCode(
            device_id=device.id,
            device=device.name,
            version=device.version or 0,
            not_after=device.not_after or 0,
            held_since=device.held_since or 0,
            pending=device.code_id != device.held_code_id,
            reset=device.reset_at is not None,
        )
        for device in emergency_codes.device_codes(connection, owner.account_id, owner.owner_id)
        if device.revoked_at is None
    ]


def held_on(connection: Connection, instance: Instance, owner: Owner, device: str | None, now: int) -> HeldCode:
    """Return the code on this device, given by name, id or the start of an id; None: the only device.

    Raises NotAllowed, NotFound, or Conflict if several devices hold a code and none is given.
    """
    held = [row for row in list_held(connection, owner) if row.version]
    if not held:
        raise nobody_holds(connection, instance, owner, now)
    names = ", ".join(f"{row.device} ({row.device_id[:8]})" for row in held)
    if device is None:
        if len(held) > 1:
            raise Conflict(
                f"several devices hold a code: {names}",
                "ask the caller which device they are using, and give it with --device",
            )
        return held[0]
    chosen = [row for row in held if row.device_id == device] or [row for row in held if row.device == device]
    chosen = chosen or [row for row in held if device and row.device_id.startswith(device)]
    if len(chosen) != 1:
        raise NotFound(f"{device!r} does not name exactly one device that holds a code", f"give one of: {names}")
    return chosen[0]


def verify_some_device(connection: Connection, instance: Instance, owner: Owner, now: int) -> None:
    """Raise NotAllowed if no device receives the code, or there is an obstacle on each device."""
    held = list_held(connection, owner)
    if not held:
        raise nobody_holds(connection, instance, owner, now)
    obstacles = [
        obstacle_on(connection, instance, owner.account_id, owner.token_id, row.device_id, now) for row in held
    ]
    if None not in obstacles:
        raise NotAllowed(f"{owner.label} cannot be given emergency access", obstacles[0] or "")


def held_version(connection: Connection, owner: Owner, held: HeldCode) -> EmergencyCode:
    """Return the version that a device holds. Raises LookupError if it is not stored."""
    code = emergency_codes.find_version(connection, owner.account_id, owner.token_id, held.version)
    if code is None:
        raise LookupError("a device holds a version that is not stored")
    return code


def nobody_holds(connection: Connection, instance: Instance, owner: Owner, now: int) -> NotAllowed:
    """Return the error for a code that no device holds, with the reason."""
    why = why_no_code(connection, instance, owner.account_id, owner.token_id, now)
    return NotAllowed(
        f"no device holds a code for {owner.label} yet: none works until the user signs in online from a device",
        why,
    )


def verify_works(
    connection: Connection, instance: Instance, owner: Owner, held: HeldCode, code: EmergencyCode, now: int
) -> None:
    """Raise NotAllowed if there is an obstacle to this code on this device, or it has expired."""
    obstacle = obstacle_on(connection, instance, owner.account_id, owner.token_id, held.device_id, now)
    if obstacle is not None:
        raise NotAllowed(f"{owner.label} cannot be given emergency access on {held.device}", obstacle)
    if now >= code.not_after:
        raise NotAllowed(
            f"the code on {held.device} has expired",
            "the user gets a new one the next time that device is online",
        )
