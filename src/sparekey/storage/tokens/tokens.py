"""Tokens and the state that the server keeps of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, case, func, insert, select, update

from sparekey.core.search_words import serial_key
from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import account, device_token, security_domain, token


def insert_token(connection: Connection, values: Mapping[str, Any]) -> None:
    """A token that nobody has used; `values` by column name."""
    fresh = {"drift": 0, "last_step": 0, "replay_step": 0, "lost": False, "offline_code_online": False}
    key = serial_key(values["serial"])
    connection.execute(insert(token).values(**{**fresh, **values, "serial_key": key}))


def find_token(connection: Connection, serial: str) -> AnyRow | None:
    """The token with the login of its owner."""
    columns = (token.c.id.label("token_id"), account.c.login, account.c.domain_id.label("user_domain_id"))
    query = (
        select(token, *columns).outerjoin(account, token.c.account_id == account.c.id).where(token.c.serial == serial)
    )
    return connection.execute(query).one_or_none()


def find_token_by_id(connection: Connection, token_id: str) -> AnyRow | None:
    return connection.execute(select(token).where(token.c.id == token_id)).one_or_none()


def list_tokens(
    connection: Connection,
    limit: int,
    after: str = "",
    account_id: str | None = None,
    within: Iterable[str] | None = None,
) -> Sequence[AnyRow]:
    """In order of serial, from the one after `after`; of one account, and within these domains, if given.

    `domain`: the name of where its user is, of a token that nobody has its own; None: nowhere in particular.
    """
    domain_id = func.coalesce(account.c.domain_id, token.c.domain_id)
    query = (
        select(token, account.c.login, security_domain.c.name.label("domain"))
        .outerjoin(account, token.c.account_id == account.c.id)
        .outerjoin(security_domain, security_domain.c.id == domain_id)
        .where(token.c.serial > after)
        .order_by(token.c.serial)
        .limit(limit)
    )
    if account_id is not None:
        query = query.where(token.c.account_id == account_id)
    if within is not None:
        query = query.where(domain_id.in_(within))
    return connection.execute(query).all()


def tokens_on_device(connection: Connection, device_id: str, account_id: str) -> Sequence[AnyRow]:
    """The account's tokens of which days are kept on the device, the one used last first."""
    query = (
        select(token, token.c.id.label("token_id"))
        .join(device_token, device_token.c.token_id == token.c.id)
        .where(device_token.c.device_id == device_id, token.c.account_id == account_id)
        .order_by(device_token.c.last_used.desc(), token.c.id)
    )
    return connection.execute(query).all()


def update_token(connection: Connection, token_id: str, **values: Any) -> None:
    connection.execute(update(token).where(token.c.id == token_id).values(**values))


def take_token(connection: Connection, token_id: str, owner_id: str | None, **values: Any) -> bool:
    """Changes the token if it still belongs to this owner (None: to nobody); one conditional write settles it."""
    changed = update(token).where(token.c.id == token_id, token.c.account_id.is_not_distinct_from(owner_id))
    return connection.execute(changed.values(**values)).rowcount == 1


def count_of_account(connection: Connection, account_id: str) -> int:
    """How many tokens the account has."""
    query = select(func.count()).select_from(token).where(token.c.account_id == account_id)
    return connection.execute(query).scalar_one()


def next_available(
    connection: Connection, like: AnyRow, domain_ids: Iterable[str], now: int, *, also_without_domain: bool
) -> AnyRow | None:
    """A token that nobody has, neither lost nor expired, in these domains, used as `like` is: with a PIN or without.

    One of the same type and length goes first, then the order of serials.
    """
    here = token.c.domain_id.in_(domain_ids)
    same = (token.c.type == like.type) & (token.c.digits == like.digits)
    query = (
        select(token)
        .where(
            token.c.account_id.is_(None),
            token.c.lost.is_(False),
            token.c.expires_at.is_(None) | (token.c.expires_at > now),
            token.c.with_pin == like.with_pin,
            here | token.c.domain_id.is_(None) if also_without_domain else here,
        )
        .order_by(case((same, 0), else_=1), token.c.serial)
        .limit(1)
    )
    return connection.execute(query).one_or_none()


def resynchronise(connection: Connection, token_id: str, step: int, drift: int) -> bool:
    """The token is at this step, which is used up with all before it; False: it was used up already (S02)."""
    moved = update(token).where(token.c.id == token_id, token.c.last_step < step).values(last_step=step, drift=drift)
    return connection.execute(moved).rowcount == 1


def raise_last_step(connection: Connection, token_id: str, step: int) -> bool:
    """Steps up to this one are used up; False if they were before. Never lowers it (S02)."""
    raised = connection.execute(
        update(token).where(token.c.id == token_id, token.c.last_step < step).values(last_step=step)
    )
    return raised.rowcount == 1
