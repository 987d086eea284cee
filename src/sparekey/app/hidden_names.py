"""Names outside an operator's domains: refusals that reveal them are counted, and many raise an alarm.

Logins, serial numbers, and the names of domains and API clients are unique on a server. An operator who adds one
therefore learns that it is taken, also by an object that does not exist for this operator (docs/roles.md).

Rules:
- The refusal has the same words as any other conflict.
- It is counted in a transaction of its own, because that of the refused change is rolled back.
- A file of a dry run is counted, too: it reveals as much.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sparekey.app.instance import Instance, new_id
from sparekey.app.notices import raise_alarm
from sparekey.core.audit_log.actions import Action
from sparekey.core.change_limit import HOUR, is_alarming
from sparekey.core.errors import Conflict
from sparekey.core.permissions import Actor
from sparekey.storage.emergency import rate_limit
from sparekey.storage.people import operator_acts
from sparekey.storage.people.operator_acts import ActKind


class HiddenConflict(Conflict):
    """A name is taken by an object that the actor does not see."""


def name_taken(actor: Actor, domain_id: str | None, message: str, do: str) -> Conflict:
    """Return the error for a name that an object of this domain has."""
    return Conflict(message, do) if actor.sees(domain_id) else HiddenConflict(message, do)


@contextmanager
def hidden_names_counted(instance: Instance, actor: Actor, now: int) -> Iterator[None]:
    """A context around the transaction that adds a name: counts a HiddenConflict, and raises it again."""
    try:
        yield
    except HiddenConflict:
        count_hidden_names(instance, actor, 1, now)
        raise


def count_hidden_names(instance: Instance, actor: Actor, number: int, now: int) -> None:
    """Count names that a refusal revealed to this operator."""
    if number == 0:
        return
    with instance.database.write() as connection:
        rate_limit.take_turn(connection, actor.name)
        before = operator_acts.count_since(connection, actor.name, ActKind.NAMES_LEARNT, now - HOUR)
        operator_acts.insert_act(connection, new_id(), actor.name, ActKind.NAMES_LEARNT, number, now, now - HOUR)
        if is_alarming(before, number):
            alarm = Action.ALARM_NAMES_LEARNT
            raise_alarm(connection, now, actor, alarm, account=actor.account_id, operator=actor.name)
