"""Rows of the audit record: written once, read by noun; who chains them is `storage/audit_log/chain.py`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, exists, func, literal_column, select, text, union_all

from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.audit_log.chain import AuditRow
from sparekey.storage.tables import BY_ANOTHER_THAN_THE_DEVICE, NO_SUCCESS, account, audit

_DEVICE: Final = "device:"  # before its id, of an actor
_FEW: Final = 20_000  # rows

# the columns of an AuditRow, in its order
ROW: Final = (
    audit.c.id,
    audit.c.at,
    audit.c.actor,
    audit.c.action,
    audit.c.account_id,
    audit.c.token_id,
    audit.c.device_id,
    audit.c.result,
    audit.c.detail,
)

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
    holds = [
        audit.c[column] == value
        for column, value in (("account_id", account_id), ("token_id", token_id), ("device_id", device_id))
        if value is not None
    ]
    about_something = bool(holds)
    if before is not None:
        holds.append(audit.c.id < before)
    if actions:
        holds.append(audit.c.action.in_(actions))
    if result:
        holds.append(audit.c.result == result)
    if refused:
        holds.append(audit.c.result != OK)
    if detail:
        holds.append(audit.c.detail.contains(detail, autoescape=True))
    if within is not None:
        inside = exists().where(account.c.id == audit.c.account_id, account.c.domain_id.in_(within))
        holds.append(audit.c.account_id.is_(None) | inside)
    time = [*_between(since, until)]
    if time and not about_something and _are_few(connection, time):
        query = select(*ROW).where(*holds, *time, *([audit.c.actor.in_(actors)] if actors else []))
        rows = connection.execute(query.order_by((audit.c.id + 0).desc()).limit(limit))  # as no index has it
    else:
        ways = _ways(actors, actions, about_something=about_something)
        rows = connection.execute(_newest([select(*ROW).where(*holds, *time, *way) for way in ways], limit))
    return [AuditRow(*row) for row in rows]


def has_signed_in_there(connection: Connection, device_id: str, but: str) -> bool:
    """Whether anybody but the account with the id `but` ever signed in online on this device."""
    query = select(audit.c.id).where(
        audit.c.device_id == device_id, audit.c.action == Action.SIGN_IN_GRANTED, audit.c.account_id != but
    )
    return connection.execute(query.limit(1)).first() is not None


def _newest(parts: Sequence[Select[Any]], limit: int) -> Select[Any]:
    """Of these parts together, which have no row in common."""
    if len(parts) == 1:
        return parts[0].order_by(audit.c.id.desc()).limit(limit)
    together = union_all(*(select(_newest([each], limit).subquery()) for each in parts)).subquery()
    return select(together).order_by(together.c.id.desc()).limit(limit)


def _ways(
    actors: Collection[str], actions: Collection[str], *, about_something: bool
) -> list[list[ColumnElement[bool]]]:
    """By which index the rows are found, and so what is said as that index has it, and of nothing else: SQLite takes
    the smaller index, however many rows it gives. Together they are all rows of these actors.

    What a device did stands with what happened on it, unless it was about another one.
    """
    by: list[ColumnElement[bool]] = [audit.c.actor.in_(actors)] if actors else []
    busy = all(each == "system" or each.startswith("client:") for each in actors)
    if about_something:
        return [by]
    if actions and Action.SIGN_IN_GRANTED not in actions and busy:
        return [[*by, literal_column(NO_SUCCESS)]]
    if not actors:
        return [[]]
    others = [*by, literal_column(BY_ANOTHER_THAN_THE_DEVICE)]
    devices = [each.removeprefix(_DEVICE) for each in actors if each.startswith(_DEVICE)]
    if not devices:
        return [others]
    return [others, [audit.c.device_id.in_(devices), audit.c.actor == _DEVICE + audit.c.device_id]]


def _between(since: int | None, until: int | None) -> Iterator[ColumnElement[bool]]:
    if since is not None:
        yield audit.c.at >= since
    if until is not None:
        yield audit.c.at <= until


def _are_few(connection: Connection, time: Sequence[ColumnElement[bool]]) -> bool:
    """Whether so few rows are of this time that they are all fetched, wherever in the record they stand."""
    counted = select(audit.c.id).where(*time).order_by(audit.c.at).limit(_FEW + 1).subquery()
    return connection.execute(select(func.count()).select_from(counted)).scalar_one() <= _FEW
