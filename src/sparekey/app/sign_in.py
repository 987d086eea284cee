"""Sign in: the one verification behind every server door (architecture, rule 7).

Snapshot, pure decision, then one transaction with the conditional writes, what the door adds, and the audit row. No
answer leaves before that transaction is committed (rule 5, S06); any error on the way denies (S09).
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.audit import AuditEntry, record, row_of
from sparekey.app.emergency_use import record_use
from sparekey.app.instance import MICROSECONDS, Instance, log
from sparekey.app.snapshots import code_state, joined_account_state, token_state
from sparekey.core.authenticate import Snapshot, decide, read_typed
from sparekey.core.events import OK, Action
from sparekey.core.names import is_login
from sparekey.core.outcome import Denied, Granted, Outcome, Reason
from sparekey.passcode import Kind
from sparekey.secret import Secret
from sparekey.storage import accounts
from sparekey.storage import sign_in as stored

AfterGrant = Callable[[Connection, Granted], None]


@dataclass(frozen=True)
class Door:
    """Through which door somebody asks, and for whom it may ask."""

    actor: str  # device:ID, client:ID, os:NAME
    device_id: str | None = None
    scope: frozenset[str] | None = None  # ids of domains; None: everyone


def sign_in(
    instance: Instance, door: Door, login: str, typed: Secret[str], now: int, *, after_grant: AfterGrant | None = None
) -> Outcome:
    """Judge what was typed and make it count. `after_grant` runs in the transaction of a success."""
    reading = read_typed(typed)
    with_codes = Kind.EMERGENCY_TOKENCODE in reading.kinds
    outcome = decide(reading, _snapshot(instance, door, login, with_codes=with_codes), now)
    if isinstance(outcome, Granted) and after_grant is None and _accepted_at_once(instance, door, outcome, now):
        return outcome
    with instance.database.write() as connection:
        outcome = stored.commit(connection, outcome, now, instance.lockout)
        if isinstance(outcome, Granted):
            record_use(connection, door.actor, door.device_id, outcome, now)
            if after_grant is not None:
                after_grant(connection, outcome)
        _put_on_record(connection, door, outcome, now)
    return outcome


def _accepted_at_once(instance: Instance, door: Door, granted: Granted, now: int) -> bool:
    """The common case in one trip to the database; False: nothing happened, the long way says what it is."""
    if granted.step is None:
        return False
    with instance.database.write() as connection:
        accepted = stored.accept_at_once(connection, granted, row_of(_granted_entry(door, granted, now)))
        if not accepted:
            connection.rollback()
        return accepted


def _snapshot(instance: Instance, door: Door, login: str, *, with_codes: bool) -> Snapshot:
    with instance.database.glance() as connection:
        # Nobody has a login that cannot be one; PostgreSQL would not even look for some of them.
        rows = stored.snapshot_rows(connection, login) if is_login(login) else ()
        if not rows:
            return Snapshot(None)
        if door.scope is not None and rows[0].domain_id not in door.scope:
            # A user outside the door's scope does not exist for it: no guess is judged, none is counted.
            return Snapshot(None, absence=Reason.OUT_OF_SCOPE)
        account = joined_account_state(rows[0])
        codes = stored.code_rows(connection, account.account_id) if with_codes else ()
    tokens = tuple(token_state(instance.vault, row) for row in rows if row.token_id is not None)
    return Snapshot(account, tokens, tuple(code_state(instance.vault, row) for row in codes))


def _granted_entry(door: Door, granted: Granted, now: int) -> AuditEntry:
    return AuditEntry(
        now * MICROSECONDS, door.actor, Action.SIGN_IN_GRANTED, OK, granted.account_id, granted.token_id,
        door.device_id, {"method": granted.method, "step": granted.step},
    )  # fmt: skip


def _put_on_record(connection: Connection, door: Door, outcome: Outcome, now: int) -> None:
    if isinstance(outcome, Granted):
        record(connection, _granted_entry(door, outcome, now))
        return
    # What was typed as a login that nobody has is not kept: it may be a PIN in the wrong field.
    log(
        connection, now, door.actor, Action.SIGN_IN_DENIED, result=outcome.reason, account=outcome.account_id,
        token=outcome.token_id, device=door.device_id,
    )  # fmt: skip
    if outcome.counted and outcome.account_id is not None and _just_locked(connection, outcome, now):
        log(connection, now, door.actor, Action.ACCOUNT_LOCKED, account=outcome.account_id, device=door.device_id)


def _just_locked(connection: Connection, denied: Denied, now: int) -> bool:
    """Whether this very failure was the last one allowed."""
    if denied.account_id is None or denied.reason is Reason.LOCKED:
        return False
    row = accounts.find_account_by_id(connection, denied.account_id)
    return row is not None and row.locked_at == now
