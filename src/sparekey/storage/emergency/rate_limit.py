"""The codes that operators were shown, and the raised limits of operators."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, text, update

from sparekey.storage.sealed_rows import intact_rows, one_intact, with_seal
from sparekey.storage.tables import operator_lift, operator_showing


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorLift:
    """An operator's raised limit and its state; times are unix seconds."""

    operator: str
    until: int  # end of the raised limit; 0: it was never raised
    lifted_by: str
    lifted_at: int
    warned_at: int | None  # when the operator was last warned of many shown codes


# Lock this row before the rows of accounts, so that codes shown to one operator are counted one after the other.
_TAKE_TURN: Final = text("""
    INSERT INTO operator_lift (operator, until, lifted_by, lifted_at, seal) VALUES (:operator, 0, '', 0, :seal)
    ON CONFLICT (operator) DO UPDATE SET until = operator_lift.until
""")

_LIFT: Final = text("""
    INSERT INTO operator_lift (operator, until, lifted_by, lifted_at, seal)
    VALUES (:operator, :until, :lifted_by, :lifted_at, :seal)
    ON CONFLICT (operator) DO UPDATE SET until = :until, lifted_by = :lifted_by, lifted_at = :lifted_at, seal = :seal
""")


def take_turn(connection: Connection, operator: str) -> OperatorLift:
    """Lock the operator's row until the transaction ends, and return it. An altered one lifts no limit."""
    never = {"operator": operator, "until": 0, "lifted_by": "", "lifted_at": 0}
    connection.execute(_TAKE_TURN, with_seal(connection, operator_lift, never))
    query = select(operator_lift).where(operator_lift.c.operator == operator)
    found = one_intact(OperatorLift, connection, query, operator_lift)
    return found or OperatorLift(operator=operator, until=0, lifted_by="", lifted_at=0, warned_at=None)


def mark_warned(connection: Connection, operator: str, now: int) -> None:
    """Save that the operator, whose row the caller has locked, was warned of many shown codes."""
    connection.execute(update(operator_lift).where(operator_lift.c.operator == operator).values(warned_at=now))


def lift(connection: Connection, operator: str, until: int, lifted_by: str, now: int) -> None:
    values = {"operator": operator, "until": until, "lifted_by": lifted_by, "lifted_at": now}
    connection.execute(_LIFT, with_seal(connection, operator_lift, values))


def lifts(connection: Connection, now: int) -> dict[str, int]:
    """Return the operators whose limit is raised now, each with the end of the raised limit."""
    query = select(operator_lift.c.operator, operator_lift.c.until).where(operator_lift.c.until > now)
    return {row.operator: row.until for row in intact_rows(connection, query, operator_lift)}


def insert_showing(connection: Connection, showing_id: str, operator: str, now: int, forget_until: int) -> None:
    """Count one more shown code, whatever its outcome. Delete the operator's counts up to `forget_until`."""
    old = (operator_showing.c.operator == operator, operator_showing.c.shown_at <= forget_until)
    connection.execute(delete(operator_showing).where(*old))
    connection.execute(insert(operator_showing).values(id=showing_id, operator=operator, shown_at=now))


def counts_since(connection: Connection, since: int) -> dict[str, int]:
    """Return the number of codes that each operator was shown after `since`."""
    query = (
        select(operator_showing.c.operator, func.count().label("codes"))
        .where(operator_showing.c.shown_at > since)
        .group_by(operator_showing.c.operator)
    )
    return {row.operator: row.codes for row in connection.execute(query)}


def shown_since(connection: Connection, operator: str, since: int) -> Sequence[int]:
    """Return the times after `since` at which this operator was shown codes."""
    query = select(operator_showing.c.shown_at).where(
        operator_showing.c.operator == operator, operator_showing.c.shown_at > since
    )
    return connection.execute(query).scalars().all()
