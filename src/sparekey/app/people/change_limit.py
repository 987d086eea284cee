"""Ask for a fresh second factor before one operator changes more than ten users within an hour (S62).

Rules:
- Every use case that renames, moves, enables or disables users counts them here: the console, REST and the remote
  command line follow one rule.
- Users are counted in the transaction that changes them, one change of an operator after the other.
- Root on the server and API clients have no second factor, as everywhere, and are not counted.
"""

from sqlalchemy import Connection

from sparekey.app.instance import new_id
from sparekey.core.change_limit import FREE_CHANGES, HOUR, needs_second_factor
from sparekey.core.errors import SecondFactorNeeded
from sparekey.core.permissions import Actor
from sparekey.storage.emergency import rate_limit
from sparekey.storage.people import operator_acts
from sparekey.storage.people.operator_acts import ActKind


def begin_changes(connection: Connection, actor: Actor) -> None:
    """Lock the operator's row. Take this lock after policies and before accounts."""
    if actor.fresh_until is not None:
        rate_limit.take_turn(connection, actor.name)


def count_changes(connection: Connection, actor: Actor, number: int, now: int) -> None:
    """Count users that the operator changes in this transaction, after `begin_changes`.

    Raises SecondFactorNeeded, which must roll back the transaction.
    """
    if actor.fresh_until is None or number == 0:
        return
    before = operator_acts.count_since(connection, actor.name, ActKind.USERS_CHANGED, now - HOUR)
    if needs_second_factor(before, number, fresh=now < actor.fresh_until):
        raise SecondFactorNeeded(f"more than {FREE_CHANGES} users in an hour: this needs a second factor")
    operator_acts.insert_act(connection, new_id(), actor.name, ActKind.USERS_CHANGED, number, now, now - HOUR)
