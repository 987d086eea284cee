"""Limit the emergency codes that one operator sees within an hour. Another person can lift the limit in an outage.

Rules:
- A code is counted in the transaction that shows it, over all interfaces. An operator's codes are shown one at a time.
- Above the policy's first number the operator gets a warning, and the first time raises an alarm.
- At the second number no more codes are shown, and each attempt raises an alarm.
- Operators cannot lift their own limit.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit_log.named_rows import names_of_actors
from sparekey.app.authorisation import verify_may, verify_somewhere
from sparekey.app.emergency.second_approver import nobody_else
from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_account
from sparekey.app.notices import raise_alarm
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.rate_limit import HOUR, Pace, decide_pace
from sparekey.core.emergency.two_people import is_second_person
from sparekey.core.errors import BadInput, NotAllowed, SparekeyError
from sparekey.core.permissions import Actor, Permission
from sparekey.core.plurals import counted
from sparekey.core.policy.offline import OfflinePolicy
from sparekey.storage.emergency import rate_limit
from sparekey.storage.emergency.rate_limit import OperatorLift

DEFAULT_HOURS: Final = 4
MOST_HOURS: Final = 24
MOST_LISTED: Final = 1_000


@dataclass(frozen=True)
class Lift:
    """An operator whose limit is lifted until this time, in unix seconds."""

    operator: str
    until: int


@dataclass(frozen=True)
class Stopped:
    """The outcome of a request that shows no code. Commit first, so that its event is saved, then raise `error`."""

    error: SparekeyError


@dataclass(frozen=True)
class OperatorView:
    """An operator of the list. `operator`: their name in the audit log. `lifted_until`: None if the limit applies."""

    operator: str
    name: str
    shown: int  # codes within the last hour
    lifted_until: int | None


@dataclass(frozen=True)
class OperatorList:
    """The list of operators. `cut`: there are more than are listed."""

    items: tuple[OperatorView, ...]
    cut: bool


def list_operators(instance: Instance, actor: Actor, *, now: int) -> OperatorList:
    """Return operators who saw codes within the last hour, or whose limit is lifted: at most 1,000, most codes first.

    Raises NotAllowed.
    """
    verify_somewhere(actor, Permission.OPERATOR_LIFT)
    with instance.database.read() as connection:
        counts, lifted = rate_limit.counts_since(connection, now - HOUR), rate_limit.lifts(connection, now)
        called = names_of_actors(connection, actor, counts.keys() | lifted.keys())
    # An operator outside the actor's domains has no name here, and is not listed.
    seen = called if actor.domains_with(Permission.OPERATOR_LIFT) is not None else counts.keys() | lifted.keys()
    found = [
        OperatorView(operator, called.get(operator, operator), counts.get(operator, 0), lifted.get(operator))
        for operator in seen
    ]
    found.sort(key=lambda view: (-view.shown, view.name))
    return OperatorList(tuple(found[:MOST_LISTED]), len(found) > MOST_LISTED)


def lift(instance: Instance, actor: Actor, operator: str, hours: int = DEFAULT_HOURS, *, now: int) -> Lift:
    """Lift an operator's limit for some hours. `operator`: a login, or `os:NAME` or `client:ID` as in the audit log.

    Raises BadInput, NotFound or NotAllowed.
    """
    if not 1 <= hours <= MOST_HOURS:
        raise BadInput(
            f"the limit can be lifted for 1 to {MOST_HOURS} hours, not {hours}",
            "give another number; you can lift it again later",
        )
    with instance.database.write() as connection:
        name, account_id = _operator_named(connection, actor, operator)
        if not is_second_person(actor, name):
            raise NotAllowed("you cannot lift your own limit", "ask another person who has the permission")
        until = now + hours * HOUR
        rate_limit.lift(connection, name, until, actor.name, now)
        log(connection, now, actor, Action.OPERATOR_LIFTED, account=account_id, operator=name, until=until)
    return Lift(name, until)


def begin_showing(connection: Connection, actor: Actor) -> OperatorLift:
    """Lock the operator's row and return it. Take this lock before any account's."""
    return rate_limit.take_turn(connection, actor.name)


def limit_showing(connection: Connection, actor: Actor, turn: OperatorLift, policy: OfflinePolicy, now: int) -> Pace:
    """Decide whether the operator may see one more code, and raise an alarm if necessary. The caller must commit.

    `turn`: from `begin_showing` in this transaction. `policy`: the one in force for the user of the code.
    """
    times = rate_limit.shown_since(connection, actor.name, now - HOUR)
    pace = decide_pace(
        times, now, policy.showings_warn, policy.showings_limit, lifted=turn.until > now, warned_at=turn.warned_at
    )
    if pace in (Pace.WARNED_NOW, Pace.WARNED):
        rate_limit.mark_warned(connection, actor.name, now)
    alarm = {Pace.WARNED_NOW: Action.ALARM_OPERATOR_BUSY, Pace.STOPPED: Action.ALARM_OPERATOR_STOPPED}.get(pace)
    if alarm is not None:
        raise_alarm(connection, now, actor, alarm, account=actor.account_id, operator=actor.name)
    return pace


def count_showing(connection: Connection, actor: Actor, now: int) -> None:
    """Count one more code that this operator saw. It counts even if the access is ended at once."""
    rate_limit.insert_showing(connection, new_id(), actor.name, now, now - HOUR)


def stopped(connection: Connection, actor: Actor, policy: OfflinePolicy, now: int) -> Stopped:
    """Return the outcome for an operator at the limit."""
    alone = nobody_else(connection, actor, Permission.OPERATOR_LIFT, None, now)
    return Stopped(
        NotAllowed(
            f"you have shown {counted(policy.showings_limit, 'emergency code')} within an hour, "
            "which is the limit; another person can lift it",
            f"{alone}in an outage, ask another person to run `sparekey operator lift`; otherwise wait",
        )
    )


def warning_of(pace: Pace, policy: OfflinePolicy) -> str:
    """Return the warning for the operator; empty if there is none."""
    if pace is Pace.CALM:
        return ""
    return (
        f"You have shown more than {counted(policy.showings_warn, 'emergency code')} within an hour. "
        f"An alarm was raised. The limit is {policy.showings_limit} codes."
    )


def _operator_named(connection: Connection, actor: Actor, name: str) -> tuple[str, str | None]:
    if name.startswith(("os:", "client:")):
        verify_may(actor, Permission.OPERATOR_LIFT, None)
        return name, None
    account = get_account(connection, actor, name, Permission.OPERATOR_LIFT)
    return f"user:{account.id}", account.id
