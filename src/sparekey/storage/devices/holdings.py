"""What devices hold of users, for many users at once: each question is one statement, however many they are.

"Holds" is what a device has confirmed in a signed request and has not been told to erase.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, func, literal, select, union_all

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import (
    account,
    device,
    device_account,
    device_code,
    device_token,
    emergency_code,
    security_domain,
    token,
    unit_receipt,
)

DATA: Final = "day"  # what `held` finds
PACK: Final = "events"
CODE: Final = "code"


def devices_of(connection: Connection, account_ids: Sequence[str]) -> Sequence[AnyRow]:
    """Each device on which one of these users has offline data, with its state; by name."""
    query = (
        select(
            device_account.c.account_id,
            device_account.c.stale,
            device_account.c.last_sign_in,
            device.c.id,
            device.c.name,
            device.c.domain_id,
            device.c.revoked_at,
            device.c.supports_offline,
            device.c.hardware_bound,
            device.c.last_contact,
        )
        .join(device, device.c.id == device_account.c.device_id)
        .where(device_account.c.account_id.in_(account_ids))
        .order_by(device_account.c.account_id, device.c.name, device.c.id)
    )
    return connection.execute(query).all()


def tokens_used(connection: Connection, account_ids: Sequence[str]) -> Sequence[AnyRow]:
    """Each token of which days are kept on a device, the one used last first; without its seed."""
    query = (
        select(
            device_token.c.device_id,
            device_token.c.account_id,
            token.c.id,
            token.c.serial,
            token.c.digits,
            token.c.enabled,
            token.c.lost,
            token.c.expires_at,
            token.c.with_pin,
            token.c.pin_sealed,
            token.c.pin_salt,
            token.c.pin_memory,
            token.c.pin_passes,
            token.c.pin_must_change,
        )
        .join(token, token.c.id == device_token.c.token_id)
        .where(device_token.c.account_id.in_(account_ids), token.c.account_id == device_token.c.account_id)
        .order_by(device_token.c.account_id, device_token.c.last_used.desc(), token.c.id)
    )
    return connection.execute(query).all()


def devices_and_tokens_of(connection: Connection, account_id: str) -> Sequence[AnyRow]:
    """As `devices_of` and `tokens_used` together: a row for each device and token used there, the one used last first;
    `token_id` None: none was."""
    query = (
        select(
            device_account.c.stale,
            device.c.id,
            device.c.name,
            device.c.domain_id,
            device.c.revoked_at,
            device.c.supports_offline,
            device.c.hardware_bound,
            device.c.last_contact,
            device_token.c.token_id,
        )
        .join(device, device.c.id == device_account.c.device_id)
        .outerjoin(
            device_token,
            and_(device_token.c.device_id == device.c.id, device_token.c.account_id == device_account.c.account_id),
        )
        .where(device_account.c.account_id == account_id)
        .order_by(device.c.name, device.c.id, device_token.c.last_used.desc(), device_token.c.token_id)
    )
    return connection.execute(query).all()


def held(connection: Connection, account_ids: Sequence[str], today: int, now: int) -> Sequence[AnyRow]:
    """All that opens on devices: per account, device and token (None: the passcode) what `kind` says.

    DATA: `number` days one after the other, `today` the first. PACK: of an event-based token, one with counters that
    are not used up. CODE: version `number` of an emergency code. The latter two until `not_after`.
    """
    parts = _days(account_ids, today), _packs(account_ids, now), _codes(account_ids, now)
    return connection.execute(union_all(*parts)).all()


def _days(account_ids: Sequence[str], today: int) -> Select[Any]:
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
    )
    ranked = select(held, rank.label("rank")).subquery()
    columns = (ranked.c.account_id, ranked.c.device_id, ranked.c.token_id)
    return (
        select(literal(DATA).label("kind"), *columns, func.count().label("number"), literal(0).label("not_after"))
        .where(ranked.c.day == today + ranked.c.rank - 1)  # after a gap they no longer agree
        .group_by(*columns)
    )


def _packs(account_ids: Sequence[str], now: int) -> Select[Any]:
    receipt = unit_receipt.c
    columns = (receipt.account_id, receipt.device_id, receipt.token_id)
    return (
        select(literal(PACK), *columns, literal(0), func.max(receipt.not_after))
        .join(token, token.c.id == receipt.token_id)
        .where(receipt.account_id.in_(account_ids), receipt.kind == "events", receipt.not_after > now)
        .where(receipt.acknowledged_at.is_not(None), receipt.first + receipt.count - 1 > token.c.last_step)
        .group_by(*columns)
    )


def _codes(account_ids: Sequence[str], now: int) -> Select[Any]:
    return (
        select(
            literal(CODE),
            device_code.c.account_id,
            device_code.c.device_id,
            emergency_code.c.token_id,
            emergency_code.c.version,
            emergency_code.c.not_after,
        )
        .join(emergency_code, emergency_code.c.id == device_code.c.held_code_id)
        .where(device_code.c.account_id.in_(account_ids), emergency_code.c.not_after > now)
    )


def accounts_after(connection: Connection, after: str, limit: int, within: frozenset[str] | None) -> Sequence[AnyRow]:
    """Accounts by login from the one after `after`, in these domains if given; each with the name of its `domain`."""
    named = select(account, security_domain.c.name.label("domain")).join(
        security_domain, security_domain.c.id == account.c.domain_id
    )
    query = named.where(account.c.login > after).order_by(account.c.login).limit(limit)
    if within is not None:
        query = query.where(account.c.domain_id.in_(within))
    return connection.execute(query).all()
