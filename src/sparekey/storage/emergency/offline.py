"""Versions of offline emergency codes, with the devices that hold them and the operators who showed them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    delete,
    exists,
    func,
    or_,
    select,
    union,
    update,
)

from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.offline import CodeKind, expiry
from sparekey.storage.rows import AnyRow, all_as
from sparekey.storage.sealed_rows import insert_row, intact_rows, one, one_intact, update_rows
from sparekey.storage.tables import (
    account,
    audit,
    device,
    device_account,
    device_code,
    device_token,
    emergency_code,
    emergency_showing,
    offline_policy,
    security_domain,
    token,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyCode:
    """One version of an offline emergency code; times are unix seconds."""

    id: str
    kind: CodeKind
    token_id: str | None  # of a tokencode
    account_id: str
    version: int
    code_sealed: bytes
    created_at: int
    not_after: int
    shown_at: int | None
    used_at: int | None
    reset_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """The version of a code that is sealed for a device, and the version that the device holds."""

    device_id: str
    owner_id: str  # the token, or for a passcode the account
    account_id: str
    code_id: str
    held_code_id: str | None
    held_since: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeOnDevice:
    """A device to which a code is assigned, and the version that it holds (None: none yet)."""

    id: str  # of the device
    name: str
    revoked_at: int | None
    code_id: str | None  # None: the code is not assigned to it
    held_code_id: str | None
    held_since: int | None
    version: int | None
    not_after: int | None
    reset_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOfCode(CodeOnDevice):
    """A device of a code or of its user, with the facts that decide whether the code can be on it."""

    domain_id: str
    supports_offline: bool
    hardware_bound: bool
    token_used_here: str | None  # the token of the code, if it was used there
    some_token_used: bool  # True if any token of the user was used there


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeShown:
    """The event that an operator was shown a version of a code."""

    id: str
    code_id: str
    device_id: str | None
    operator: str
    caller: str
    note: str
    ticket: str
    shown_at: int


def code_of(row: AnyRow) -> EmergencyCode:
    """Read a version from a row of `emergency_code`."""
    columns = {field.name: getattr(row, field.name) for field in fields(EmergencyCode)}
    return EmergencyCode(**columns | {"kind": CodeKind(row.kind)})


def insert_code(connection: Connection, values: Mapping[str, object]) -> None:
    insert_row(connection, emergency_code, values)


def find_code(connection: Connection, code_id: str) -> EmergencyCode | None:
    return _one(connection, select(emergency_code).where(emergency_code.c.id == code_id))


def find_version(connection: Connection, account_id: str, token_id: str | None, version: int) -> EmergencyCode | None:
    """Find one version of a token's tokencode, or of the account's passcode if `token_id` is None."""
    query = select(emergency_code).where(_owned(account_id, token_id), emergency_code.c.version == version)
    return _one(connection, query)


def versions(connection: Connection, account_id: str, token_id: str | None) -> list[EmergencyCode]:
    """Return every stored version, oldest first."""
    query = select(emergency_code).where(_owned(account_id, token_id)).order_by(emergency_code.c.version)
    return [code_of(row) for row in intact_rows(connection, query, emergency_code)]


def mark(connection: Connection, code_id: str, column: Literal["shown_at", "used_at"], now: int) -> None:
    """Set `shown_at` or `used_at`."""
    connection.execute(update(emergency_code).where(emergency_code.c.id == code_id).values({column: now}))


def mark_reset(connection: Connection, account_id: str, token_id: str | None, now: int) -> int:
    """Mark every version for replacement at the next online sign-in. Return the number of versions."""
    reset = connection.execute(update(emergency_code).where(_owned(account_id, token_id)).values(reset_at=now))
    return reset.rowcount


def end_earlier(connection: Connection, code_id: str, not_after: int) -> None:
    update_rows(connection, emergency_code, [emergency_code.c.id == code_id], {"not_after": not_after})


def owners_with_codes(connection: Connection, account_id: str, now: int) -> Sequence[str | None]:
    """Return the tokens of this account that have a valid tokencode, and None if the account has a valid passcode."""
    query = (
        select(emergency_code.c.token_id)
        .where(emergency_code.c.account_id == account_id, emergency_code.c.not_after > now)
        .distinct()
    )
    return connection.execute(query).scalars().all()


def end_all(connection: Connection, account_id: str, now: int) -> None:
    """Expire every version of every code of this account now."""
    valid = (emergency_code.c.account_id == account_id, emergency_code.c.not_after > now)
    update_rows(connection, emergency_code, valid, {"not_after": now})


def set_lifetime(connection: Connection, domain_ids: frozenset[str], days: int, now: int) -> None:
    """Let the codes of these domains' users expire that many days after their creation, or earlier with their token or
    account.

    The domain of a device to which the code is assigned may allow fewer days. An expired code stays expired.
    """
    for code in connection.execute(
        select(
            emergency_code.c.id,
            emergency_code.c.created_at,
            _fewest_days_on_devices().label("device_days"),
            token.c.expires_at.label("token_end"),
            account.c.expires_at.label("account_end"),
        )
        .join(account, emergency_code.c.account_id == account.c.id)
        .outerjoin(token, emergency_code.c.token_id == token.c.id)
        .where(account.c.domain_id.in_(domain_ids), emergency_code.c.not_after > now)
    ).all():
        end = expiry(code.created_at, min(days, code.device_days or days), code.token_end, code.account_end)
        update_rows(connection, emergency_code, [emergency_code.c.id == code.id], {"not_after": end})


def _fewest_days_on_devices() -> ScalarSelect[int]:
    """Select the shortest lifetime in the domains of the devices that hold the code or to which it is assigned."""
    on_device = or_(device_code.c.code_id == emergency_code.c.id, device_code.c.held_code_id == emergency_code.c.id)
    return (
        select(func.min(offline_policy.c.emergency_lifetime))
        .select_from(device_code)
        .join(device, device_code.c.device_id == device.c.id)
        .join(security_domain, device.c.domain_id == security_domain.c.id)
        .join(
            offline_policy,
            or_(
                offline_policy.c.id == security_domain.c.offline_policy_id,
                security_domain.c.offline_policy_id.is_(None) & offline_policy.c.is_default,
            ),
        )
        .where(on_device)
        .correlate(emergency_code)
        .scalar_subquery()
    )


def device_codes(connection: Connection, account_id: str, owner_id: str) -> list[CodeOnDevice]:
    """Return each device to which this code is assigned, with the version it holds and since when."""
    query = (
        select(
            device.c.id,
            device.c.name,
            device.c.revoked_at,
            device_code.c.code_id,
            device_code.c.held_code_id,
            device_code.c.held_since,
            emergency_code.c.version,
            emergency_code.c.not_after,
            emergency_code.c.reset_at,
        )
        .join(device_code, device_code.c.device_id == device.c.id)
        .outerjoin(emergency_code, device_code.c.held_code_id == emergency_code.c.id)
        .where(device_code.c.account_id == account_id, device_code.c.owner_id == owner_id)
        .order_by(device.c.name, device.c.id)
    )
    return all_as(CodeOnDevice, connection.execute(query))


def devices_of_code(connection: Connection, account_id: str, owner_id: str, since: int) -> list[DeviceOfCode]:
    """Return devices in order of name, with their state and the version of the code that they hold.

    They are the devices to which this code is assigned, those with data of its user, and those on which the user has
    signed in after `since` (microseconds). `owner_id`: the token, or for the passcode the account.
    """
    assigned = select(device_code.c.device_id).where(
        device_code.c.account_id == account_id, device_code.c.owner_id == owner_id
    )
    with_data = select(device_account.c.device_id).where(device_account.c.account_id == account_id)
    signed_in = select(audit.c.device_id).where(
        audit.c.account_id == account_id,
        audit.c.action == Action.SIGN_IN_GRANTED,
        audit.c.at > since,
        audit.c.device_id.is_not(None),
    )
    used = (device_token.c.device_id == device.c.id) & (device_token.c.token_id == owner_id)
    on_device = (device_code.c.device_id == device.c.id) & (device_code.c.owner_id == owner_id)
    any_token = device_token.alias()
    some_used = exists().where(any_token.c.device_id == device.c.id, any_token.c.account_id == account_id)
    query = (
        select(
            device.c.id,
            device.c.name,
            device.c.domain_id,
            device.c.revoked_at,
            device.c.supports_offline,
            device.c.hardware_bound,
            device_token.c.token_id.label("token_used_here"),
            some_used.label("some_token_used"),
            device_code.c.code_id,
            device_code.c.held_code_id,
            device_code.c.held_since,
            emergency_code.c.version,
            emergency_code.c.not_after,
            emergency_code.c.reset_at,
        )
        .outerjoin(device_token, used & (device_token.c.account_id == account_id))
        .outerjoin(device_code, on_device & (device_code.c.account_id == account_id))
        .outerjoin(emergency_code, device_code.c.held_code_id == emergency_code.c.id)
        .where(device.c.id.in_(union(assigned, with_data, signed_in)))
        .order_by(device.c.name, device.c.id)
    )
    return all_as(DeviceOfCode, connection.execute(query))


def find_device_code(connection: Connection, device_id: str, owner_id: str) -> DeviceCode | None:
    query = select(device_code).where(device_code.c.device_id == device_id, device_code.c.owner_id == owner_id)
    return one_intact(DeviceCode, connection, query, device_code)


def assign(connection: Connection, device_id: str, owner_id: str, account_id: str, code_id: str) -> None:
    """Seal this version for the device from now on. The version it holds does not change until it confirms."""
    where = (device_code.c.device_id == device_id, device_code.c.owner_id == owner_id)
    if update_rows(connection, device_code, where, {"code_id": code_id}) == 0:
        values = {"device_id": device_id, "owner_id": owner_id, "account_id": account_id, "code_id": code_id}
        insert_row(connection, device_code, values)


def confirm_held(connection: Connection, device_id: str, owner_id: str, code_id: str, now: int) -> None:
    """Save that the device has this version on its disk."""
    where = (device_code.c.device_id == device_id, device_code.c.owner_id == owner_id)
    news = device_code.c.held_code_id.is_distinct_from(code_id)
    update_rows(connection, device_code, (*where, news), {"held_code_id": code_id, "held_since": now})
    # A device accepts no version older than the one it holds: if an older one is assigned to it, this one stays.
    version = select(emergency_code.c.version)
    older = version.where(emergency_code.c.id == device_code.c.code_id).scalar_subquery()
    held = version.where(emergency_code.c.id == code_id).scalar_subquery()
    update_rows(connection, device_code, (*where, older < held), {"code_id": code_id})


def forget_held(connection: Connection, device_id: str, held_owners: frozenset[str]) -> None:
    """Save that the device holds codes of these owners only. Rows of users without data on the device are deleted."""
    gone = (device_code.c.device_id == device_id, device_code.c.owner_id.not_in(held_owners))
    update_rows(connection, device_code, gone, {"held_code_id": None, "held_since": None})
    with_data = select(device_account.c.account_id).where(device_account.c.device_id == device_id)
    connection.execute(delete(device_code).where(*gone, device_code.c.account_id.not_in(with_data)))


def insert_showing(connection: Connection, values: Mapping[str, object]) -> None:
    insert_row(connection, emergency_showing, values)


def last_showing(connection: Connection, code_id: str, before: int) -> CodeShown | None:
    """Return the last time that this version was shown, not later than `before`."""
    query = (
        select(emergency_showing)
        .where(emergency_showing.c.code_id == code_id, emergency_showing.c.shown_at <= before)
        .order_by(emergency_showing.c.shown_at.desc())
        .limit(1)
    )
    return one_intact(CodeShown, connection, query, emergency_showing)


def _one(connection: Connection, query: Select[*tuple[object, ...]]) -> EmergencyCode | None:
    row = one(intact_rows(connection, query, emergency_code))
    return None if row is None else code_of(row)


def _owned(account_id: str, token_id: str | None) -> ColumnElement[bool]:
    owner = emergency_code.c.token_id.is_(None) if token_id is None else emergency_code.c.token_id == token_id
    return (emergency_code.c.account_id == account_id) & owner
