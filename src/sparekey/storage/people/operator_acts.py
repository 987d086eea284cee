"""Recent acts of operators that are counted: users that they changed, names that a refusal revealed to them."""

from enum import StrEnum

from sqlalchemy import Connection, delete, func, insert, select

from sparekey.storage.tables import operator_act


class ActKind(StrEnum):
    USERS_CHANGED = "users-changed"
    NAMES_LEARNT = "names-learnt"


def count_since(connection: Connection, operator: str, kind: ActKind, since: int) -> int:
    """Return the number of users or names of the operator's acts after `since`."""
    query = select(func.coalesce(func.sum(operator_act.c.number), 0)).where(
        operator_act.c.operator == operator, operator_act.c.kind == kind, operator_act.c.at > since
    )
    return int(connection.execute(query).scalar_one())


def insert_act(
    connection: Connection, act_id: str, operator: str, kind: ActKind, number: int, now: int, forget_until: int
) -> None:
    """Count one more act, and delete the operator's acts up to `forget_until`.

    Needs the operator's lock (`storage.emergency.rate_limit.take_turn`), so that no two acts see the same count.
    """
    old = (operator_act.c.operator == operator, operator_act.c.at <= forget_until)
    connection.execute(delete(operator_act).where(*old))
    connection.execute(insert(operator_act).values(id=act_id, operator=operator, kind=kind, number=number, at=now))
