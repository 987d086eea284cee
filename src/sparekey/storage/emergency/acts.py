"""Reads for the decision about an approval: events of a user, and the state of the user's factors (S48)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from sparekey.core.audit_log.actions import Action
from sparekey.storage.rows import all_as
from sparekey.storage.sealed_rows import intact_rows
from sparekey.storage.tables import audit, device, device_account, emergency_code, online_emergency, unit_receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRow:
    """An event of the audit log, as far as the decision needs it; `at` in unix microseconds, `detail` JSON."""

    id: int
    at: int
    actor: str
    action: str
    account_id: str | None
    token_id: str | None
    detail: str


def events_of(
    connection: Connection, account_id: str, token_ids: Collection[str], actions: Collection[str]
) -> list[LoggedRow]:
    """Return the events with these actions about the user or one of these tokens, oldest first."""
    columns = (
        audit.c.id,
        audit.c.at,
        audit.c.actor,
        audit.c.action,
        audit.c.account_id,
        audit.c.token_id,
        audit.c.detail,
    )
    found: dict[int, LoggedRow] = {}
    for about in (audit.c.account_id == account_id, audit.c.token_id.in_(token_ids)):  # each by its own index
        query = select(*columns).where(about, audit.c.action.in_(actions))
        found.update((row.id, row) for row in all_as(LoggedRow, connection.execute(query)))
    return [found[row_id] for row_id in sorted(found)]


def has_signed_in(connection: Connection, account_id: str) -> bool:
    """Return True if the user has ever signed in, online or on an offline device."""
    signed_in = (Action.SIGN_IN_GRANTED, Action.SIGN_IN_OFFLINE)
    query = select(audit.c.id).where(audit.c.account_id == account_id, audit.c.action.in_(signed_in)).limit(1)
    return connection.execute(query).first() is not None


def domains_of_devices(connection: Connection, account_id: str) -> Sequence[str]:
    """Return the ids of the domains of the devices in use that hold data of the user."""
    query = (
        select(device.c.domain_id)
        .join(device_account, device_account.c.device_id == device.c.id)
        .where(device_account.c.account_id == account_id, device.c.revoked_at.is_(None))
        .distinct()
    )
    return connection.execute(query).scalars().all()


def givers_of_access(connection: Connection, account_id: str) -> Mapping[str, str]:
    """Return the actor who gave the online emergency access of each of the user's tokens that has one."""
    query = select(online_emergency.c.token_id, online_emergency.c.created_by)
    rows = intact_rows(connection, query.where(online_emergency.c.account_id == account_id), online_emergency)
    return {row.token_id: row.created_by for row in rows}


def ends_of_codes(connection: Connection, account_id: str, now: int) -> Mapping[tuple[str, int], int]:
    """Return the ends of the user's valid offline emergency tokencodes, by token and version."""
    query = select(emergency_code.c.token_id, emergency_code.c.version, emergency_code.c.not_after).where(
        emergency_code.c.account_id == account_id,
        emergency_code.c.token_id.is_not(None),
        emergency_code.c.not_after > now,
    )
    rows = intact_rows(connection, query, emergency_code)
    return {(row.token_id, row.version): row.not_after for row in rows}


def sealed_since(connection: Connection, account_id: str, now: int) -> Mapping[str, int]:
    """Return the time at which the oldest valid unit on any device was sealed, for each token of a unit."""
    query = (
        select(unit_receipt.c.token_id, func.min(unit_receipt.c.sealed_at).label("oldest"))
        .where(
            unit_receipt.c.account_id == account_id,
            unit_receipt.c.token_id.is_not(None),
            unit_receipt.c.not_after > now,
        )
        .group_by(unit_receipt.c.token_id)
    )
    return {row.token_id: row.oldest for row in connection.execute(query)}
