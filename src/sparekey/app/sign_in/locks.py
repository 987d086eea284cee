"""Report failures and locks in the transaction of their outcome: for its event, and by a notice and an alarm.

Rules: the event and the notice of an administrator's lock say at which interfaces it refuses passcodes, and when it
ends. A lock that only a person ends raises an alarm: an attacker may have guessed a hundred times, and the
administrator cannot sign in with a passcode until another one acts.
"""

from sqlalchemy import Connection

from sparekey.app.instance import log
from sparekey.app.notices import notify_user, raise_alarm
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice, utc
from sparekey.core.permissions import Actor
from sparekey.core.policy.lockout import MOST_WITHOUT_SUCCESS, ONLY_A_PERSON, FailureCount, InterfaceGroup
from sparekey.core.sign_in.outcome import Denied, Granted
from sparekey.json_value import Json
from sparekey.storage.people import accounts


def counts_of(outcome: Granted | Denied) -> dict[str, Json]:
    """Return the version of the counts of failures for the event of a saved outcome (S47).

    An event without one is about version 0, which most users have: they never failed. Or it changed no count.
    """
    version: dict[str, Json] = {"counts_version": outcome.counts_version} if outcome.counts_version else {}
    return version | {"cleared": True} if isinstance(outcome, Granted) and outcome.cleared else version


def report_new_lock(
    connection: Connection,
    actor: Actor | str,
    account_id: str,
    group: InterfaceGroup,
    now: int,
    device_id: str | None = None,
) -> None:
    """Report the lock if the failure that was just counted at these interfaces has locked the account."""
    account = accounts.find_account_by_id(connection, account_id)
    count = account.count_at(group) if account is not None else FailureCount()
    if count.locked_at != now:
        return
    if count.locked_until is None:  # the lock of a user without a role
        log(connection, now, actor, Action.ACCOUNT_LOCKED, account=account_id, device=device_id)
        notify_user(connection, now, account_id, Notice.ACCOUNT_LOCKED)
        return
    end = utc(count.locked_until) if count.locked_until < ONLY_A_PERSON else ""
    log(
        connection,
        now,
        actor,
        Action.ACCOUNT_LOCKED,
        account=account_id,
        device=device_id,
        interfaces=group,
        until=end,
    )
    if end:
        notify_user(connection, now, account_id, Notice.LOCKED_FOR_A_WHILE, where=group.words, until=end)
    else:
        notify_user(
            connection,
            now,
            account_id,
            Notice.LOCKED_UNTIL_UNLOCKED,
            where=group.words,
            failures=str(MOST_WITHOUT_SUCCESS),
        )
        raise_alarm(
            connection,
            now,
            actor,
            Action.ALARM_ADMINISTRATOR_LOCKED,
            account=account_id,
            device=device_id,
            interfaces=group,
            failures=count.without_success,
        )
