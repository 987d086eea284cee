"""Rows of the audit log: written once, read by noun; `storage/audit_log/chain.py` chains them."""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, exists, func, literal_column, select, text, union_all, update

from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.row_seals import SealedKind
from sparekey.storage.bulk import insert_many
from sparekey.storage.rows import AnySelect
from sparekey.storage.sealed_rows import seals_of
from sparekey.storage.tables import BY_ANOTHER_THAN_THE_DEVICE, NO_SUCCESS, account, audit

REFUSED: Final = -1  # the batch of an event that is not ours: it is kept as evidence, and `audit verify` names it
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

# The seal of an event begins with a nonce, so that a copy of an event is not another one like it (S47).
NONCE_BYTES: Final = 8
_SEALED: Final = ("at", "actor", "action", "account_id", "token_id", "device_id", "result", "detail")
_EVENT: Final = SealedKind("audit", ("nonce", *_SEALED), octets=(0,))

# Plain text, for it is on the sign-in path. Times in unix microseconds, detail in canonical JSON.
_COLUMNS: Final = (*_SEALED, "seal")
_INTO: Final = f"INSERT INTO audit ({', '.join(_COLUMNS)})"
INSERT_ROW: Final = text(f"{_INTO} VALUES ({', '.join(f':{name}' for name in _COLUMNS)})")

# The same as the last part of a larger statement, with parameters of its own; a table with one row follows.
ROW_PREFIX: Final = "row_"
INSERT_ROW_FROM: Final = f"{_INTO} SELECT {', '.join(f':{ROW_PREFIX}{name}' for name in _COLUMNS)} FROM"

RowValues = Mapping[str, str | int | None]  # for the columns of INSERT_ROW, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Filters of the audit log, combined with AND. A field at its default matches every row.

    Example: AuditFilter(account_id=id, actions=(Action.SIGN_IN_DENIED,), since=monday) for the refusals of one user.
    """

    account_id: str | None = None
    token_id: str | None = None
    device_id: str | None = None
    actions: Collection[str] = ()  # one of these
    actors: Collection[str] = ()  # one of these, as rows name them: "user:ID"
    result: str = ""
    refused_only: bool = False  # the result is not "ok"
    detail_contains: str = ""  # in the row's JSON, as it is stored
    since: int | None = None  # unix microseconds; rows of that moment match
    until: int | None = None  # unix microseconds; rows of that moment match
    domains: Collection[str] | None = None  # ids; None: all. A row about a user of another domain does not match.

    @property
    def names_a_subject(self) -> bool:
        """True if the rows are about one account, token or device."""
        return not (self.account_id is None and self.token_id is None and self.device_id is None)


def insert_row(connection: Connection, values: RowValues) -> None:
    """Add one row in the caller's transaction."""
    connection.execute(INSERT_ROW, sealed_row(connection, values))


def insert_rows(connection: Connection, rows: Sequence[RowValues]) -> None:
    """Add many rows at once in the caller's transaction."""
    insert_many(connection, "audit", _COLUMNS, [sealed_row(connection, values) for values in rows])


def sealed_row(connection: Connection, values: RowValues) -> dict[str, object]:
    """Return the values of a row with its seal."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return {**values, "seal": nonce + seals_of(connection).seals.seal(_EVENT, [nonce, *map(values.get, _SEALED)])}


def is_ours(connection: Connection, row: AuditRow, seal: object) -> bool:
    """Return True if this server, or another one with the same keys, has logged the event."""
    if not isinstance(seal, bytes):
        return False
    nonce, rest = seal[:NONCE_BYTES], seal[NONCE_BYTES:]
    return seals_of(connection).seals.holds(_EVENT, [nonce, *(getattr(row, name) for name in _SEALED)], rest)


def seal_unchained(connection: Connection) -> int:
    """Seal the events that no batch covers yet, as they are. Return their number. Only an upgrade may do this."""
    rows = [AuditRow(*row) for row in connection.execute(select(*ROW).where(audit.c.batch.is_(None)))]
    for row in rows:
        seal = sealed_row(connection, {name: getattr(row, name) for name in _SEALED})["seal"]
        connection.execute(update(audit).where(audit.c.id == row.id).values(seal=seal))
    return len(rows)


def list_rows(
    connection: Connection, wanted: AuditFilter | None = None, *, limit: int, before: int | None = None
) -> list[AuditRow]:
    """Return the newest rows first, at most `limit`. `before`: only rows with an id less than this."""
    wanted = wanted or AuditFilter()
    conditions = [*_conditions(wanted), audit.c.batch.is_distinct_from(REFUSED)]
    if before is not None:
        conditions.append(audit.c.id < before)
    time = [*_between(wanted.since, wanted.until)]
    if time and not wanted.names_a_subject and _are_few(connection, time):
        by = [audit.c.actor.in_(wanted.actors)] if wanted.actors else []
        query = select(*ROW).where(*conditions, *time, *by)
        # `+ 0`: no index has this form, so the database finds the rows by the index of times and then sorts them
        rows = connection.execute(query.order_by((audit.c.id + 0).desc()).limit(limit))
    else:
        parts = [select(*ROW).where(*conditions, *time, *way) for way in _ways(wanted)]
        rows = connection.execute(_newest(parts, limit))
    return [AuditRow(*row) for row in rows]


def has_signed_in_there(connection: Connection, device_id: str, but: str) -> bool:
    """Return True if an account other than `but` ever signed in online on this device."""
    query = select(audit.c.id).where(
        audit.c.device_id == device_id, audit.c.action == Action.SIGN_IN_GRANTED, audit.c.account_id != but
    )
    return connection.execute(query.limit(1)).first() is not None


def _newest(parts: Sequence[AnySelect], limit: int) -> AnySelect:
    """Select the newest rows of these parts, which have no row in common."""
    if len(parts) == 1:
        return parts[0].order_by(audit.c.id.desc()).limit(limit)
    union = union_all(*(select(_newest([part], limit).subquery()) for part in parts)).subquery()
    return select(union).order_by(union.c.id.desc()).limit(limit)


def _conditions(wanted: AuditFilter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of the filter, except those on time and actor."""
    for column, value in (
        (audit.c.account_id, wanted.account_id),
        (audit.c.token_id, wanted.token_id),
        (audit.c.device_id, wanted.device_id),
    ):
        if value is not None:
            yield column == value
    if wanted.actions:
        yield audit.c.action.in_(wanted.actions)
    if wanted.result:
        yield audit.c.result == wanted.result
    if wanted.refused_only:
        yield audit.c.result != OK
    if wanted.detail_contains:
        yield audit.c.detail.contains(wanted.detail_contains, autoescape=True)
    if wanted.domains is not None:
        inside = exists().where(account.c.id == audit.c.account_id, account.c.domain_id.in_(wanted.domains))
        yield audit.c.account_id.is_(None) | inside


def _ways(wanted: AuditFilter) -> list[list[ColumnElement[bool]]]:
    """Choose the index by which the rows are found. Together, the ways give every row of these actors once.

    Only the chosen index fits the form of its condition, because SQLite prefers the smaller index even if that index
    gives more rows. Rows by a device are found among the rows about it, unless they are about another device.
    """
    actors, actions = wanted.actors, wanted.actions
    by: list[ColumnElement[bool]] = [audit.c.actor.in_(actors)] if actors else []
    busy = all(actor == "system" or actor.startswith("client:") for actor in actors)
    if wanted.names_a_subject:
        return [by]
    if actions and Action.SIGN_IN_GRANTED not in actions and busy:
        return [[*by, literal_column(NO_SUCCESS)]]
    if not actors:
        return [[]]
    others = [*by, literal_column(BY_ANOTHER_THAN_THE_DEVICE)]
    devices = [actor.removeprefix(_DEVICE) for actor in actors if actor.startswith(_DEVICE)]
    if not devices:
        return [others]
    return [others, [audit.c.device_id.in_(devices), audit.c.actor == _DEVICE + audit.c.device_id]]


def _between(since: int | None, until: int | None) -> Iterator[ColumnElement[bool]]:
    if since is not None:
        yield audit.c.at >= since
    if until is not None:
        yield audit.c.at <= until


def _are_few(connection: Connection, time: Sequence[ColumnElement[bool]]) -> bool:
    """Return True if the rows of this time are few enough to fetch them all."""
    counted = select(audit.c.id).where(*time).order_by(audit.c.at).limit(_FEW + 1).subquery()
    return connection.execute(select(func.count()).select_from(counted)).scalar_one() <= _FEW
