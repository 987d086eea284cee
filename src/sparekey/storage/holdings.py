"""What devices hold of users, for many users at once: each question is one statement, however many they are.

"Holds" is what a device has confirmed in a signed request and has not been told to erase.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import (
    account,
    device,
    device_account,
    device_code,
    device_token,
    emergency_code,
    token,
    unit_receipt,
)  # fmt: skip


def devices_of(connection: Connection, account_ids: Sequence[str]) -> Sequence[AnyRow]:
    """Each device on which one of these users has offline data, with its state; by name."""
    query = (
        select(
            device_account.c.account_id, device_account.c.stale, device_account.c.last_sign_in, device.c.id,
            device.c.name, device.c.domain_id, device.c.revoked_at, device.c.supports_offline, device.c.hardware_bound,
            device.c.last_contact,
        )
        .join(device, device.c.id == device_account.c.device_id)
        .where(device_account.c.account_id.in_(account_ids))
        .order_by(device_account.c.account_id, device.c.name, device.c.id)
    )  # fmt: skip
    return connection.execute(query).all()


def tokens_used(connection: Connection, account_ids: Sequence[str]) -> Sequence[AnyRow]:
    """Each token of which days are kept on a device, the one used last first; without its seed."""
    query = (
        select(
            device_token.c.device_id, device_token.c.account_id, token.c.id, token.c.serial, token.c.digits,
            token.c.enabled, token.c.lost, token.c.expires_at, token.c.with_pin, token.c.pin_sealed, token.c.pin_salt,
            token.c.pin_memory, token.c.pin_passes, token.c.pin_must_change,
        )
        .join(token, token.c.id == device_token.c.token_id)
        .where(device_token.c.account_id.in_(account_ids), token.c.account_id == device_token.c.account_id)
        .order_by(device_token.c.account_id, device_token.c.last_used.desc(), token.c.id)
    )  # fmt: skip
    return connection.execute(query).all()


def days_held(connection: Connection, account_ids: Sequence[str], today: int) -> Sequence[AnyRow]:
    """Per device and token: how many `days` one after the other, today the first, the device holds."""
    receipt = unit_receipt.c
    held = (
        select(receipt.account_id, receipt.device_id, receipt.token_id, receipt.day)
        .where(receipt.account_id.in_(account_ids), receipt.kind == "day", receipt.day >= today)
        .where(receipt.acknowledged_at.is_not(None))
        .distinct()
        .subquery()
    )
    rank = func.row_number().over(
        partition_by=(held.c.account_id, held.c.device_id, held.c.token_id), order_by=held.c.day
    )  # fmt: skip
    ranked = select(held, rank.label("rank")).subquery()
    query = (
        select(ranked.c.account_id, ranked.c.device_id, ranked.c.token_id, func.count().label("days"))
        .where(ranked.c.day == today + ranked.c.rank - 1)  # after a gap they no longer agree
        .group_by(ranked.c.account_id, ranked.c.device_id, ranked.c.token_id)
    )
    return connection.execute(query).all()


def packs_held(connection: Connection, account_ids: Sequence[str], now: int) -> Sequence[AnyRow]:
    """Per device and event-based token: until when a pack opens, one with counters that are not used up."""
    receipt = unit_receipt.c
    query = (
        select(receipt.account_id, receipt.device_id, receipt.token_id, func.max(receipt.not_after).label("not_after"))
        .join(token, token.c.id == receipt.token_id)
        .where(receipt.account_id.in_(account_ids), receipt.kind == "events", receipt.not_after > now)
        .where(receipt.acknowledged_at.is_not(None), receipt.first + receipt.count - 1 > token.c.last_step)
        .group_by(receipt.account_id, receipt.device_id, receipt.token_id)
    )
    return connection.execute(query).all()


def codes_held(connection: Connection, account_ids: Sequence[str], now: int) -> Sequence[AnyRow]:
    """Emergency codes that work: per device the version and its end; `token_id` None: the passcode."""
    query = (
        select(
            device_code.c.account_id, device_code.c.device_id, emergency_code.c.token_id, emergency_code.c.version,
            emergency_code.c.not_after,
        )
        .join(emergency_code, emergency_code.c.id == device_code.c.held_code_id)
        .where(device_code.c.account_id.in_(account_ids), emergency_code.c.not_after > now)
    )  # fmt: skip
    return connection.execute(query).all()


def accounts_after(
    connection: Connection, after: str, limit: int, within: frozenset[str] | None
) -> Sequence[AnyRow]:  # fmt: skip
    """Accounts by login from the one after `after`, in these domains if given."""
    query = select(account).where(account.c.login > after).order_by(account.c.login).limit(limit)
    if within is not None:
        query = query.where(account.c.domain_id.in_(within))
    return connection.execute(query).all()
