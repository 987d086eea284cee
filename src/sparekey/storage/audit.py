"""Rows of the audit record: written once, read by noun; who chains them is `storage/audit_chain.py`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, exists, select, text

from sparekey.core.audit_chain import AuditRow
from sparekey.core.events import OK, Action
from sparekey.storage.tables import account, audit

# the columns of an AuditRow, in its order
ROW: Final = (
    audit.c.id, audit.c.at, audit.c.actor, audit.c.action, audit.c.account_id, audit.c.token_id, audit.c.device_id,
    audit.c.result, audit.c.detail,
)  # fmt: skip

# Plain text, for it is on the sign-in path. Times in unix microseconds, detail in canonical JSON.
INSERT_ROW: Final = text("""
    INSERT INTO audit (at, actor, action, account_id, token_id, device_id, result, detail)
    VALUES (:at, :actor, :action, :account_id, :token_id, :device_id, :result, :detail)
""")


def insert_row(connection: Connection, values: Mapping[str, Any]) -> None:
    """Adds one row in the caller's transaction; `values` for the columns of INSERT_ROW."""
    connection.execute(INSERT_ROW, values)


def insert_rows(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """The same for many at once; none: nothing."""
    if rows:
        connection.execute(INSERT_ROW, list(rows))


def list_rows(
    connection: Connection,
    *,
    limit: int,
    before: int | None = None,
    account_id: str | None = None,
    token_id: str | None = None,
    device_id: str | None = None,
    actions: Sequence[str] = (),
    detail: str = "",
    within: Collection[str] | None = None,
    actors: Collection[str] = (),
    result: str = "",
    refused: bool = False,
    since: int | None = None,
    until: int | None = None,
) -> Sequence[AuditRow]:
    """The newest rows first, at most `limit`, only those with an id less than `before` and with all that is given.

    `detail`: what the row's JSON contains as it stands. `within`: ids of domains; a row about a user elsewhere is none.
    `refused`: only those whose result is not ok. `since`, `until`: unix microseconds, both included.
    """
    query = select(*ROW).order_by(audit.c.id.desc()).limit(limit)
    for column, value in (("account_id", account_id), ("token_id", token_id), ("device_id", device_id)):
        if value is not None:
            query = query.where(audit.c[column] == value)
    if before is not None:
        query = query.where(audit.c.id < before)
    if actions:
        query = query.where(audit.c.action.in_(actions))
    query = query.where(*_narrowed(actors, result, since, until), *([audit.c.result != OK] if refused else []))
    if detail:
        query = query.where(audit.c.detail.contains(detail, autoescape=True))
    if within is not None:
        inside = exists().where(account.c.id == audit.c.account_id, account.c.domain_id.in_(within))
        query = query.where(audit.c.account_id.is_(None) | inside)
    return [AuditRow(*row) for row in connection.execute(query)]


def has_signed_in_there(connection: Connection, device_id: str, but: str) -> bool:
    """Whether anybody but the account with the id `but` ever signed in online on this device."""
    query = select(audit.c.id).where(
        audit.c.device_id == device_id, audit.c.action == Action.SIGN_IN_GRANTED, audit.c.account_id != but
    )
    return connection.execute(query.limit(1)).first() is not None


def _narrowed(
    actors: Collection[str], result: str, since: int | None, until: int | None
) -> Iterator[ColumnElement[bool]]:
    """The conditions that were given."""
    if actors:
        yield audit.c.actor.in_(actors)
    if result:
        yield audit.c.result == result
    if since is not None:
        yield audit.c.at >= since
    if until is not None:
        yield audit.c.at <= until
