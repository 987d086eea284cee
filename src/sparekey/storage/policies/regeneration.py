"""Counts of the data that an edit of a policy makes devices renew, made before anything is discarded.

The edit affects the users of its domains on every device, and all users on the devices of its domains. Their generation
is raised by `devices.raise_generation_in_domains`.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, func, or_, select

from sparekey.core.policy.sealing_work import Load
from sparekey.durations import DAY_SECONDS
from sparekey.storage.tables import account, device, device_account, device_token, token, unit_receipt


@dataclass(frozen=True, slots=True)
class Holders:
    """Numbers of users with data on devices. `holders` counts each user on each device. `silent` counts only those on
    devices without a recent contact."""

    holders: int
    users: int
    devices: int
    silent: int


@dataclass(frozen=True, slots=True)
class TokenWithPin:
    """A token's PIN as it is stored, and the number of digits of its codes."""

    id: str
    account_id: str
    digits: int
    pin_sealed: bytes
    pin_salt: bytes
    pin_memory: int
    pin_passes: int


def count_holders(connection: Connection, domain_ids: frozenset[str], silent_since: int) -> Holders:
    """Count the affected holders. `silent_since`: a device last seen before this unix second counts as silent."""
    silent = case((_is_silent(silent_since), 1), else_=0)
    query = (
        select(
            func.count().label("holders"),
            func.count(func.distinct(device_account.c.account_id)).label("users"),
            func.count(func.distinct(device_account.c.device_id)).label("devices"),
            func.coalesce(func.sum(silent), 0).label("silent"),
        )
        .join(device, device.c.id == device_account.c.device_id)
        .where(_touched(device_account.c.account_id, device_account.c.device_id, domain_ids))
    )
    row = connection.execute(query).one()
    return Holders(row.holders, row.users, row.devices, int(row.silent))


def load_of(connection: Connection, domain_ids: frozenset[str], holders: int) -> Load:
    """Return the amount of data to renew for this number of holders."""
    timed = case((token.c.interval > 0, DAY_SECONDS / func.nullif(token.c.interval, 0)), else_=0)
    query = (
        select(
            func.coalesce(func.sum(timed), 0).label("records"),
            func.coalesce(func.sum(case((token.c.interval > 0, 0), else_=1)), 0).label("packs"),
        )
        .select_from(device_token)
        .join(token, token.c.id == device_token.c.token_id)
        .where(_touched(device_token.c.account_id, device_token.c.device_id, domain_ids))
    )
    row = connection.execute(query).one()
    return Load(holders, int(row.records), int(row.packs))


def last_end(connection: Connection, domain_ids: frozenset[str], silent_since: int) -> int | None:
    """Return the time until which any silent device can open data that it holds. None: no such device has data."""
    query = (
        select(func.max(unit_receipt.c.not_after))
        .join(device, device.c.id == unit_receipt.c.device_id)
        .where(unit_receipt.c.acknowledged_at.is_not(None), _is_silent(silent_since))
        .where(_touched(unit_receipt.c.account_id, unit_receipt.c.device_id, domain_ids))
    )
    found = connection.execute(query).scalar()
    return None if found is None else int(found)


def tokens_with_pin(connection: Connection, domain_ids: frozenset[str], limit: int) -> list[TokenWithPin]:
    """Return the tokens with a PIN of the domains' users, at most `limit`."""
    query = (
        select(
            token.c.id,
            token.c.account_id,
            token.c.digits,
            token.c.pin_sealed,
            token.c.pin_salt,
            token.c.pin_memory,
            token.c.pin_passes,
        )
        .join(account, account.c.id == token.c.account_id)
        .where(account.c.domain_id.in_(domain_ids), token.c.pin_sealed.is_not(None))
        .limit(limit)
    )
    return [TokenWithPin(*row) for row in connection.execute(query)]


def _is_silent(since: int) -> ColumnElement[bool]:
    return or_(device.c.last_contact.is_(None), device.c.last_contact < since)


def _touched(
    account_id: ColumnElement[str], device_id: ColumnElement[str], domain_ids: frozenset[str]
) -> ColumnElement[bool]:
    users = select(account.c.id).where(account.c.domain_id.in_(domain_ids))
    devices = select(device.c.id).where(device.c.domain_id.in_(domain_ids))
    return or_(account_id.in_(users), device_id.in_(devices))
