"""What operators were shown, and who let one of them go on."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import CompoundSelect, Connection, func, select, text, union_all

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import emergency_showing, online_emergency, operator_lift

# Taken before the rows of accounts: showings of one operator are counted one after the other.
_TAKE_TURN: Final = text("""
    INSERT INTO operator_lift (operator, until, lifted_by, lifted_at) VALUES (:operator, 0, '', 0)
    ON CONFLICT (operator) DO UPDATE SET until = operator_lift.until
""")

_LIFT: Final = text("""
    INSERT INTO operator_lift (operator, until, lifted_by, lifted_at) VALUES (:operator, :until, :lifted_by, :now)
    ON CONFLICT (operator) DO UPDATE SET until = :until, lifted_by = :lifted_by, lifted_at = :now
""")


def take_turn(connection: Connection, operator: str) -> AnyRow:
    """The operator's row, which nobody else reads for this until the transaction ends."""
    connection.execute(_TAKE_TURN, {"operator": operator})
    return connection.execute(select(operator_lift).where(operator_lift.c.operator == operator)).one()


def lift(connection: Connection, operator: str, until: int, lifted_by: str, now: int) -> None:
    connection.execute(_LIFT, {"operator": operator, "until": until, "lifted_by": lifted_by, "now": now})


def lifts(connection: Connection, now: int) -> dict[str, int]:
    """Until when, by operator, of those who are let go on now."""
    query = select(operator_lift.c.operator, operator_lift.c.until).where(operator_lift.c.until > now)
    return {row.operator: row.until for row in connection.execute(query)}


def counts_since(connection: Connection, since: int) -> dict[str, int]:
    """How many codes each operator was shown after that."""
    shown = _shown(since).subquery()
    query = select(shown.c.operator, func.count().label("codes")).group_by(shown.c.operator)
    return {row.operator: row.codes for row in connection.execute(query)}


def shown_since(connection: Connection, operator: str, since: int) -> Sequence[int]:
    """When this operator was shown codes after that: offline ones, and online ones whose access has not ended since."""
    shown = _shown(since).subquery()
    return connection.execute(select(shown.c.shown_at).where(shown.c.operator == operator)).scalars().all()


def _shown(since: int) -> CompoundSelect[tuple[str, int]]:
    offline = select(emergency_showing.c.operator, emergency_showing.c.shown_at)
    online = select(online_emergency.c.created_by, online_emergency.c.created_at)
    return union_all(
        offline.where(emergency_showing.c.shown_at > since), online.where(online_emergency.c.created_at > since)
    )
