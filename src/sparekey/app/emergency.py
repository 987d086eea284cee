"""Offline emergency codes for the help desk: which device holds which version, show it, reset it, allow it online.

The code to read out is the one that the caller's device holds: a pending version is never shown as current. Every
showing, reset and permission is an audit event in its own transaction (S42).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.approvals import ApprovalNeeded, Approved, settle_approval
from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_account, get_assigned_token
from sparekey.app.notices import notify_user
from sparekey.app.obstacles import obstacle_on, why_no_code
from sparekey.app.operators import begin_showing, count_showing, judge_showing, stopped, warning_of
from sparekey.app.policies import effective_in
from sparekey.app.record_rows import RecordRow, with_names
from sparekey.app.showings import Showing as Showing  # noqa: PLC0414 -- what `show` takes, for its callers
from sparekey.app.showings import verify_showing
from sparekey.app.snapshots import open_code
from sparekey.core.emergency import CodeKind
from sparekey.core.errors import Conflict, NotAllowed, NotFound, SparekeyError
from sparekey.core.events import Action
from sparekey.core.notices import Notice
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy import OfflinePolicy
from sparekey.core.showing_pace import Pace
from sparekey.passcode import grouped, spelled
from sparekey.secret import Secret
from sparekey.storage import accounts, audit, devices, emergency_codes, tokens
from sparekey.storage.rows import AnyRow

SHOW_PERMISSIONS: Final[Mapping[CodeKind, Permission]] = {
    CodeKind.TOKENCODE: Permission.EMERGENCY_TOKENCODE_SHOW,
    CodeKind.PASSCODE: Permission.EMERGENCY_PASSCODE_SHOW,
}


@dataclass(frozen=True)
class Owner:
    """Whose code it is: a token's tokencode, or a user's passcode."""

    kind: CodeKind
    account_id: str
    token_id: str | None
    label: str  # serial or login, for words

    @property
    def owner_id(self) -> str:
        return self.token_id or self.account_id


@dataclass(frozen=True)
class HeldCode:
    """One row of the page: what one device holds. Version 0: nothing yet."""

    device_id: str
    device: str
    version: int
    not_after: int
    held_since: int
    pending: bool  # another version is on its way
    reset: bool  # replaced at the next online sign-in


@dataclass(frozen=True)
class ShownCode:
    """What the operator reads out."""

    device: str
    version: int
    code: Secret[str]
    not_after: int
    needs_pin: bool
    warning: str = ""  # a word to an operator who is shown many

    @property
    def groups(self) -> Secret[str]:
        """`ABCDE-FGHJK`."""
        return Secret(grouped(self.code.reveal()))

    def spelling(self) -> tuple[tuple[str, ...], ...]:
        """Group by group in the ICAO alphabet. As secret as the code itself."""
        return spelled(self.code.reveal())


def tokencode_of(connection: Connection, actor: Actor, serial: str, needed: Permission) -> Owner:
    """The owner of a token's offline emergency tokencode."""
    row = get_assigned_token(connection, actor, serial, needed)
    return Owner(CodeKind.TOKENCODE, row.account_id, row.id, serial)


def passcode_of(connection: Connection, actor: Actor, login: str, needed: Permission) -> Owner:
    """The owner of a user's offline emergency passcode."""
    return Owner(CodeKind.PASSCODE, get_account(connection, actor, login, needed).id, None, login)


def list_held(connection: Connection, owner: Owner) -> list[HeldCode]:
    """One row per device that is given this code."""
    return [
        HeldCode(
            device_id=row.device_id,
            device=row.device_name,
            version=row.version or 0,
            not_after=row.not_after or 0,
            held_since=row.held_since or 0,
            pending=row.code_id != row.held_code_id,
            reset=row.reset_at is not None,
        )
        for row in emergency_codes.device_codes(connection, owner.account_id, owner.owner_id)
        if row.revoked_at is None
    ]


def show(
    instance: Instance, actor: Actor, kind: CodeKind, name: str, device: str | None, showing: Showing, *, now: int
) -> ShownCode:
    """The code that this device holds. `name`: serial or login; `device` may be left out where only one holds it."""
    verify_showing(showing)
    with instance.database.write() as connection:
        shown = _show(connection, instance, actor, kind, name, device, showing, now)
    if isinstance(shown, SparekeyError):
        raise shown  # here, so that what it put on record is committed
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
) -> ShownCode | SparekeyError:
    owner = _owner(connection, actor, kind, name, SHOW_PERMISSIONS[kind])
    lifted_until = begin_showing(connection, actor)
    accounts.lock_accounts(connection, [owner.account_id])
    held = _held_on(connection, instance, owner, device, now)
    row = _held_version(connection, owner, held)
    _verify_works(connection, instance, owner, held, row, now)
    policy = _policy_for(connection, owner, held)
    pace = judge_showing(connection, actor, lifted_until, policy, now)
    if pace is Pace.STOPPED:
        return stopped(policy)
    approved: Approved | None = None
    if kind is CodeKind.PASSCODE and policy.passcode_approval:
        settled = settle_approval(connection, actor, owner.account_id, held.device_id, showing, now)
        if isinstance(settled, ApprovalNeeded):
            return settled
        approved, showing = settled, settled.showing
    # A replacement that is on its way would take the code away from whoever is about to use it.
    emergency_codes.assign(connection, held.device_id, owner.owner_id, owner.account_id, row.id)
    count_showing(connection, actor, now)
    _put_on_record(connection, actor, owner, held, row, showing, approved, now)
    notify_user(connection, now, owner.account_id, Notice.CODE_SHOWN, kind=kind, device=held.device)
    return ShownCode(
        held.device, row.version, open_code(instance.vault, row), row.not_after, _needs_pin(connection, owner),
        warning_of(pace, policy),
    )  # fmt: skip


def reset(instance: Instance, actor: Actor, kind: CodeKind, name: str, *, now: int) -> int:
    """A new code comes with the next online sign-in, by any method; until then the old one works.

    Returns on how many devices that is.
    """
    with instance.database.write() as connection:
        owner = _owner(connection, actor, kind, name, Permission.EMERGENCY_RESET)
        accounts.lock_accounts(connection, [owner.account_id])
        held = list_held(connection, owner)
        if not held:
            raise _nobody_holds(connection, instance, owner, now)
        emergency_codes.mark_reset(connection, owner.account_id, owner.token_id, now)
        log(
            connection, now, actor, Action.EMERGENCY_RESET, account=owner.account_id, token=owner.token_id, kind=kind,
            devices=len(held),
        )  # fmt: skip
        notify_user(connection, now, owner.account_id, Notice.CODE_RESET, kind=kind)
        return len(held)


def set_online(instance: Instance, actor: Actor, serial: str, *, allowed: bool, now: int) -> None:
    """Whether the server also accepts the offline emergency tokencode of this token."""
    with instance.database.write() as connection:
        owner = tokencode_of(connection, actor, serial, Permission.EMERGENCY_ONLINE)
        if allowed:
            _verify_some_device(connection, instance, owner, now)
        tokens.update_token(connection, owner.owner_id, offline_code_online=allowed)
        log(
            connection, now, actor, Action.EMERGENCY_ONLINE, account=owner.account_id, token=owner.token_id,
            allowed=allowed,
        )  # fmt: skip
        notice = Notice.CODE_ONLINE if allowed else Notice.CODE_NOT_ONLINE
        notify_user(connection, now, owner.account_id, notice, serial=serial)


def history(instance: Instance, actor: Actor, kind: CodeKind, name: str, limit: int = 100) -> list[RecordRow]:
    """What happened with this code, newest first: rows of the record."""
    actions = (
        Action.EMERGENCY_SHOWN, Action.EMERGENCY_RESET, Action.EMERGENCY_ONLINE, Action.EMERGENCY_USED,
        Action.EMERGENCY_REPLACED, Action.EMERGENCY_VOIDED, Action.EMERGENCY_TEMPORARY, Action.EMERGENCY_ENDED,
        Action.APPROVAL_ASKED, Action.APPROVAL_GIVEN, Action.APPROVAL_REFUSED, Action.ALARM_EMERGENCY_UNSHOWN,
    )  # fmt: skip
    with instance.database.read() as connection:
        owner = _owner(connection, actor, kind, name, Permission.EMERGENCY_VIEW)
        rows = audit.list_rows(
            connection, limit=limit, account_id=owner.account_id, token_id=owner.token_id, actions=actions
        )
        return with_names(connection, actor, [row for row in rows if row.token_id == owner.token_id])


def held_codes(instance: Instance, actor: Actor, kind: CodeKind, name: str) -> list[HeldCode]:
    """The page's rows, without any code."""
    with instance.database.read() as connection:
        return list_held(connection, _owner(connection, actor, kind, name, Permission.EMERGENCY_VIEW))


def _owner(connection: Connection, actor: Actor, kind: CodeKind, name: str, needed: Permission) -> Owner:
    find = tokencode_of if kind is CodeKind.TOKENCODE else passcode_of
    return find(connection, actor, name, needed)


def _verify_works(
    connection: Connection, instance: Instance, owner: Owner, held: HeldCode, row: AnyRow, now: int
) -> None:
    """NotAllowed where the rules stand against this code on this device, or it has expired."""
    obstacle = obstacle_on(connection, instance, owner.account_id, owner.token_id, held.device_id, now)
    if obstacle is not None:
        raise NotAllowed(f"{owner.label} cannot be given emergency access on {held.device}", obstacle)
    if now >= row.not_after:
        raise NotAllowed(
            f"the code on {held.device} has expired",
            "the user gets a new one at the next contact of that device with the server",
        )


def _policy_for(connection: Connection, owner: Owner, held: HeldCode) -> OfflinePolicy:
    """What is in force for this user on this device: of each limit the stricter one."""
    account = accounts.find_account_by_id(connection, owner.account_id)
    device = devices.find_device(connection, held.device_id)
    if account is None or device is None:
        raise LookupError("a code is held for nobody, or on no device")
    return effective_in(connection, account.domain_id, device.domain_id).values


def _put_on_record(
    connection: Connection,
    actor: Actor,
    owner: Owner,
    held: HeldCode,
    row: AnyRow,
    showing: Showing,
    approved: Approved | None,
    now: int,
) -> None:
    emergency_codes.mark(connection, row.id, "shown_at", now)
    said = {"caller": showing.caller, "note": showing.note, "ticket": showing.ticket}
    values = {"code_id": row.id, "device_id": held.device_id, "operator": actor.name, "shown_at": now, **said}
    emergency_codes.insert_showing(connection, {"id": new_id(), **values})
    second = {"approval": approved.approval_id, "approved_by": approved.decided_by} if approved else {}
    log(
        connection, now, actor, Action.EMERGENCY_SHOWN, account=owner.account_id, token=owner.token_id,
        device=held.device_id, kind=owner.kind, version=row.version, **said, **second,
    )  # fmt: skip


def _held_on(connection: Connection, instance: Instance, owner: Owner, device: str | None, now: int) -> HeldCode:
    held = [row for row in list_held(connection, owner) if row.version]
    if not held:
        raise _nobody_holds(connection, instance, owner, now)
    names = ", ".join(f"{row.device} ({row.device_id[:8]})" for row in held)
    if device is None:
        if len(held) > 1:
            raise Conflict(
                f"several devices hold a code: {names}", "ask which one the caller is at and give it with --device"
            )
        return held[0]
    chosen = [row for row in held if row.device_id == device] or [row for row in held if row.device == device]
    chosen = chosen or [row for row in held if device and row.device_id.startswith(device)]
    if len(chosen) != 1:
        raise NotFound(f"{device!r} is none of the devices that hold a code, or several", f"give one of: {names}")
    return chosen[0]


def _verify_some_device(connection: Connection, instance: Instance, owner: Owner, now: int) -> None:
    """NotAllowed where no device is given the code, or the rules stand against it on each that is."""
    held = list_held(connection, owner)
    if not held:
        raise _nobody_holds(connection, instance, owner, now)
    obstacles = [
        obstacle_on(connection, instance, owner.account_id, owner.token_id, row.device_id, now) for row in held
    ]
    if None not in obstacles:
        raise NotAllowed(f"{owner.label} cannot be given emergency access", obstacles[0] or "")


def _held_version(connection: Connection, owner: Owner, held: HeldCode) -> AnyRow:
    row = emergency_codes.find_version(connection, owner.account_id, owner.token_id, held.version)
    if row is None:
        raise LookupError("a device holds a version that is not stored")
    return row


def _nobody_holds(connection: Connection, instance: Instance, owner: Owner, now: int) -> NotAllowed:
    why = why_no_code(connection, instance, owner.account_id, owner.token_id, now)
    return NotAllowed(
        f"no device holds a code for {owner.label} yet: none can work until the user signs in online from a device",
        why,
    )


def _needs_pin(connection: Connection, owner: Owner) -> bool:
    if owner.kind is CodeKind.PASSCODE:
        return False
    row = tokens.find_token_by_id(connection, owner.owner_id)
    return row is None or bool(row.with_pin)
