"""Offline emergency codes for the help desk: list the versions on devices, show one, reset it, allow it online.

The operator must read out the version that the caller's device holds. A pending version is never shown as current.
Each code shown, each reset and each change of online use is an event in the transaction of its effect (S42).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit_log.named_rows import NamedEvent, with_names
from sparekey.app.emergency.held import (
    HeldCode,
    Owner,
    held_on,
    held_version,
    list_held,
    nobody_holds,
    owner_of,
    verify_some_device,
    verify_works,
)
from sparekey.app.emergency.rate_limit import Stopped, begin_showing, count_showing, limit_showing, stopped, warning_of
from sparekey.app.emergency.second_person import Approved, act_on, acting, facts_of, verify_second_person
from sparekey.app.emergency.showing import Showing, verify_showing
from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_assigned_token
from sparekey.app.notices import notify_user
from sparekey.app.policies_in_force import effective_in
from sparekey.app.snapshots import open_code
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.emergency.acts import OperatorAct
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.emergency.rate_limit import Pace
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.offline import OfflinePolicy
from sparekey.passcode import grouped, spelled
from sparekey.secret import Secret
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.events import AuditFilter
from sparekey.storage.devices import devices
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.storage.emergency.offline import EmergencyCode
from sparekey.storage.people import accounts
from sparekey.storage.sign_in import challenges
from sparekey.storage.tokens import tokens

SHOW_PERMISSIONS: Final[Mapping[str, Permission]] = {
    CodeKind.TOKENCODE: Permission.EMERGENCY_TOKENCODE_SHOW,
    CodeKind.PASSCODE: Permission.EMERGENCY_PASSCODE_SHOW,
}


@dataclass(frozen=True)
class ShownCode:
    """The code that the operator reads out."""

    device: str
    version: int
    code: Secret[str]
    not_after: int
    needs_pin: bool
    warning: str = ""  # for an operator close to the rate limit

    @property
    def groups(self) -> Secret[str]:
        """Return the code in groups: `ABCDE-FGHJK`."""
        return Secret(grouped(self.code.reveal()))

    def spelling(self) -> tuple[tuple[str, ...], ...]:
        """Return the code group by group in the ICAO alphabet. It is as secret as the code itself."""
        return spelled(self.code.reveal())


def show(
    instance: Instance, actor: Actor, kind: CodeKind, name: str, device: str | None, showing: Showing, *, now: int
) -> ShownCode:
    """Show the code that this device holds, and log it in the same transaction.

    `name`: serial or login. `device`: None if only one device holds it.
    Raises BadInput, NotFound, NotAllowed, Conflict or ApprovalNeeded.
    """
    verify_showing(showing)
    with acting(instance) as connection:
        shown = _show(connection, instance, actor, kind, name, device, showing, now)
    if isinstance(shown, Stopped):
        raise shown.error  # after the commit, so that its event stays
    return shown


def _show(
    connection: Connection,
    instance: Instance,
    actor: Actor,
    kind: CodeKind,
    name: str,
    device: str | None,
    showing: Showing,
    now: int,
) -> ShownCode | Stopped:
    owner = owner_of(connection, actor, kind, name, SHOW_PERMISSIONS[kind])
    turn = begin_showing(connection, actor)
    accounts.lock_accounts(connection, [owner.account_id])
    held = held_on(connection, instance, owner, device, now)
    code = held_version(connection, owner, held)
    verify_works(connection, instance, owner, held, code, now)
    policy = _policy_for(connection, owner, held)
    pace = limit_showing(connection, actor, turn, policy, now)
    if pace is Pace.STOPPED:
        return stopped(connection, actor, policy, now)
    approved = _verify_second_person(connection, actor, owner, held, showing, now)
    showing = approved.showing if approved is not None else showing
    # Keep this version: a pending replacement would make the code useless while the caller types it.
    emergency_codes.assign(connection, held.device_id, owner.owner_id, owner.account_id, code.id)
    count_showing(connection, actor, now)
    _log_code_shown(connection, actor, owner, held, code, showing, approved, now)
    notify_user(connection, now, owner.account_id, Notice.CODE_SHOWN, kind=kind, device=held.device)
    return ShownCode(
        held.device,
        code.version,
        open_code(instance.vault, code),
        code.not_after,
        _needs_pin(connection, owner),
        warning_of(pace, policy),
    )


def _verify_second_person(
    connection: Connection, actor: Actor, owner: Owner, held: HeldCode, showing: Showing, now: int
) -> Approved | None:
    """Use up an approval if showing this code needs one."""
    account = accounts.find_account_by_id(connection, owner.account_id)
    device = devices.find_device(connection, held.device_id)
    if account is None or device is None:
        raise LookupError("a code is held without an account or without a device")
    token = tokens.find_token_by_id(connection, owner.token_id) if owner.token_id is not None else None
    if token is None:
        asked = act_on(connection, OperatorAct.PASSCODE_SHOWN, account.id)
    else:
        asked = act_on(connection, OperatorAct.TOKENCODE_SHOWN, account.id, facts_of(token))
    place = (device.id, device.domain_id)
    return verify_second_person(
        connection, actor, account, asked, now=now, subject=token, showing=showing, device=place
    )


@dataclass(frozen=True)
class Saved:
    """The effect of *Save* on the page.

    `reset_on`: the number of devices that get a new code; None: no reset. `online`: True if the server accepts the code
    from now on, False if it does not; None: no change.
    """

    reset_on: int | None
    online: bool | None


def reset(instance: Instance, actor: Actor, kind: CodeKind, name: str, *, now: int) -> int:
    """Replace the code at the next online sign-in, by any method. Until then the old one works.

    Returns the number of devices that get a new code. Raises NotFound or NotAllowed.
    """
    with instance.database.write() as connection:
        return _reset(connection, instance, actor, kind, name, now)


def set_online(instance: Instance, actor: Actor, serial: str, *, allowed: bool, now: int) -> None:
    """Set whether the server also accepts the offline emergency tokencode of this token.

    Raises NotFound or NotAllowed.
    """
    with instance.database.write() as connection:
        _set_online(connection, instance, actor, serial, allowed, now)


def save(instance: Instance, actor: Actor, serial: str, *, new_code: bool, online: bool, now: int) -> Saved:
    """Reset the code if `new_code` is True, and set its online use: both in one transaction.

    Raises NotFound or NotAllowed.
    """
    with instance.database.write() as connection:
        token = get_assigned_token(connection, actor, serial, Permission.EMERGENCY_ONLINE)
        changed = token.offline_code_online is not online
        if changed:
            _set_online(connection, instance, actor, serial, online, now)
        devices = _reset(connection, instance, actor, CodeKind.TOKENCODE, serial, now) if new_code else None
        return Saved(devices, online if changed else None)


def _reset(connection: Connection, instance: Instance, actor: Actor, kind: CodeKind, name: str, now: int) -> int:
    owner = owner_of(connection, actor, kind, name, Permission.EMERGENCY_RESET)
    accounts.lock_accounts(connection, [owner.account_id])
    held = list_held(connection, owner)
    if not held:
        raise nobody_holds(connection, instance, owner, now)
    emergency_codes.mark_reset(connection, owner.account_id, owner.token_id, now)
    log(
        connection,
        now,
        actor,
        Action.EMERGENCY_RESET,
        account=owner.account_id,
        token=owner.token_id,
        kind=kind,
        devices=len(held),
    )
    notify_user(connection, now, owner.account_id, Notice.CODE_RESET, kind=kind)
    return len(held)


def _set_online(connection: Connection, instance: Instance, actor: Actor, serial: str, allowed: bool, now: int) -> None:
    owner = owner_of(connection, actor, CodeKind.TOKENCODE, serial, Permission.EMERGENCY_ONLINE)
    accounts.lock_accounts(connection, [owner.account_id])  # the answer to a challenge takes this lock, too
    if allowed:
        verify_some_device(connection, instance, owner, now)
    else:
        challenges.delete_of_token(connection, owner.owner_id)
    tokens.update_token(connection, owner.owner_id, offline_code_online=allowed)
    log(
        connection, now, actor, Action.EMERGENCY_ONLINE, account=owner.account_id, token=owner.token_id, allowed=allowed
    )
    notice = Notice.CODE_ONLINE if allowed else Notice.CODE_NOT_ONLINE
    notify_user(connection, now, owner.account_id, notice, serial=serial)


def history(instance: Instance, actor: Actor, kind: CodeKind, name: str, limit: int = 100) -> list[NamedEvent]:
    """Return the events of this code, newest first. Raises NotFound or NotAllowed."""
    with instance.database.read() as connection:
        owner = owner_of(connection, actor, kind, name, Permission.EMERGENCY_VIEW)
        return history_of(connection, actor, owner.account_id, owner.token_id, limit)


def history_of(
    connection: Connection, actor: Actor, account_id: str, token_id: str | None, limit: int
) -> list[NamedEvent]:
    """Return the events of a code, newest first, for an actor who may see them."""
    actions = (
        Action.EMERGENCY_SHOWN,
        Action.EMERGENCY_RESET,
        Action.EMERGENCY_ONLINE,
        Action.EMERGENCY_USED,
        Action.EMERGENCY_REPLACED,
        Action.EMERGENCY_VOIDED,
        Action.EMERGENCY_TEMPORARY,
        Action.EMERGENCY_ENDED,
        Action.APPROVAL_ASKED,
        Action.APPROVAL_GIVEN,
        Action.APPROVAL_REFUSED,
        Action.ALARM_EMERGENCY_UNSHOWN,
    )
    wanted = AuditFilter(account_id=account_id, token_id=token_id, actions=actions)
    rows = audit_events.list_rows(connection, wanted, limit=limit)
    return with_names(connection, actor, [row for row in rows if row.token_id == token_id])


def held_codes(instance: Instance, actor: Actor, kind: CodeKind, name: str) -> list[HeldCode]:
    """Return the version that each device holds, without the code. Raises NotFound or NotAllowed.

    REST and the command line call this. The page shows an `Overview` (app/emergency/overview.py).
    """
    with instance.database.read() as connection:
        return list_held(connection, owner_of(connection, actor, kind, name, Permission.EMERGENCY_VIEW))


def _policy_for(connection: Connection, owner: Owner, held: HeldCode) -> OfflinePolicy:
    """Return the policy in force for this user on this device: the stricter value of each limit."""
    account = accounts.find_account_by_id(connection, owner.account_id)
    device = devices.find_device(connection, held.device_id)
    if account is None or device is None:
        raise LookupError("a code is held without an account or without a device")
    return effective_in(connection, account.domain_id, device.domain_id).values


def _log_code_shown(
    connection: Connection,
    actor: Actor,
    owner: Owner,
    held: HeldCode,
    code: EmergencyCode,
    showing: Showing,
    approved: Approved | None,
    now: int,
) -> None:
    emergency_codes.mark(connection, code.id, "shown_at", now)
    identification = {"caller": showing.caller, "note": showing.note, "ticket": showing.ticket}
    values = {
        "code_id": code.id,
        "device_id": held.device_id,
        "operator": actor.name,
        "shown_at": now,
        **identification,
    }
    emergency_codes.insert_showing(connection, {"id": new_id(), **values})
    approval = {"approval": approved.approval_id, "approved_by": approved.decided_by} if approved else {}
    log(
        connection,
        now,
        actor,
        Action.EMERGENCY_SHOWN,
        account=owner.account_id,
        token=owner.token_id,
        device=held.device_id,
        kind=owner.kind,
        version=code.version,
        **identification,
        **approval,
    )


def _needs_pin(connection: Connection, owner: Owner) -> bool:
    if owner.kind is CodeKind.PASSCODE:
        return False
    token = tokens.find_token_by_id(connection, owner.owner_id)
    return token is None or token.with_pin
