"""Resync a drifted token, whose clock or counter is far off, with two successive tokencodes.

Rules: a pair that is not found is a failure like any other, counted before the answer; the token of a locked user is
not searched at all (S06). The second code is used up, with every code before it (S01). The failures are not reset,
because the caller did not prove the PIN. The user's offline data are renewed, because they hold other steps now.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.audit import AuditEntry, append
from sparekey.app.instance import MICROSECONDS, Instance
from sparekey.app.lookup import get_token
from sparekey.app.policies_in_force import account_state_of, policy_in
from sparekey.app.sign_in.locks import counts_of, report_new_lock
from sparekey.app.snapshots import token_state
from sparekey.app.tokens.tokens import Find, SomeToken, find_locked
from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.errors import BadInput, NotAllowed
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.lockout import InterfaceGroup, LockoutPolicy
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.outcome import Denied
from sparekey.core.tokens import find_resync
from sparekey.json_value import Json
from sparekey.secret import Secret
from sparekey.storage.devices import devices
from sparekey.storage.people import accounts
from sparekey.storage.sign_in import statements as stored
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import AssignedToken, Token


@dataclass(frozen=True)
class Resync:
    """The result of a resync. If `refused` is None, the token is synchronised, with a drift of `drift` steps."""

    serial: str
    drift: int = 0
    refused: Reason | None = None

    def verify_found(self) -> None:
        """Raise NotAllowed with the reason if the resync was refused."""
        if self.refused is Reason.LOCKED:
            raise NotAllowed("the user is locked", "unlock the user first")
        if self.refused is not None:
            raise NotAllowed(
                "these are not two consecutive tokencodes of this token within twelve hours or a thousand presses; "
                "the attempt counts as a failed sign-in",
                "wait for two fresh codes and try again; if that fails too, replace the token",
            )


def resync(
    instance: Instance, actor: Actor, serial: str, first: Secret[str], second: Secret[str], *, now: int
) -> Resync:
    """Search the two codes in the range of this type of token.

    Raises BadInput if they cannot be tokencodes of it, and NotFound or NotAllowed if the actor may not edit it.
    """
    return resync_of(
        instance,
        actor,
        lambda connection: get_token(connection, actor, serial, Permission.TOKEN_EDIT),
        first,
        second,
        now=now,
    )


def resync_of(
    instance: Instance, actor: Actor, find: Find[SomeToken], first: Secret[str], second: Secret[str], *, now: int
) -> Resync:
    """Resync the token that `find` returns.

    `find` raises if the actor may not do this. It is called again under the lock of the token's user. Raises BadInput
    for texts that cannot be tokencodes.
    """
    with instance.database.read() as connection:
        token = find(connection)
    state = token_state(instance.vault, token)
    codes = [code.reveal().strip() for code in (first, second)]
    if not all(_is_code(code, state.otp.digits) for code in codes):
        raise BadInput(f"a tokencode of this token has {state.otp.digits} digits", "enter two consecutive codes")
    # Thousands of codes are compared. This is outside the transaction, so that no request waits for the one writer.
    step = find_resync(state.otp, now, state.last_step, *codes)
    drift = state.otp.drift_after(now, step) if step is not None else 0
    with instance.database.write() as connection:
        token = find_locked(connection, find)
        refused = _save(connection, actor, token, step, drift, now)
        if refused is None:
            told: dict[str, Json] = {"drift": drift, "step": step}
        else:
            told = {"drift": 0, "step": None, **counts_of(refused)}
        entry = AuditEntry(
            now * MICROSECONDS,
            actor.name,
            Action.TOKEN_RESYNCED,
            OK if refused is None else refused.reason,
            token.account_id,
            token.id,
            detail={"serial": token.serial, **told},
        )
        append(connection, entry)
    return Resync(token.serial, drift) if refused is None else Resync(token.serial, refused=refused.reason)


def _save(connection: Connection, actor: Actor, token: Token, step: int | None, drift: int, now: int) -> Denied | None:
    """Save the result, under the lock of the token's user if there is one. Return the refusal if it was refused."""
    if not isinstance(token, AssignedToken):
        found = step is not None and tokens.resynchronise(connection, token.id, step, drift)
        return None if found else Denied(Reason.WRONG_PASSCODE)
    policy = policy_in(connection, token.user_domain_id, LockoutPolicy)
    account = accounts.find_account_by_id(connection, token.account_id)
    if account is None or account_state_of(connection, account).locked(now):
        return Denied(Reason.LOCKED)
    if step is None or not tokens.resynchronise(connection, token.id, step, drift):
        return _count_failure(connection, actor, token, policy, now)
    devices.raise_generation(connection, token.account_id)
    return None


def _count_failure(
    connection: Connection, actor: Actor, token: AssignedToken, policy: LockoutPolicy, now: int
) -> Denied:
    guess = Denied(Reason.WRONG_PASSCODE, token.account_id, token.id, counted=True)
    counted = stored.commit(connection, guess, now, policy, InterfaceGroup.ELSEWHERE)
    report_new_lock(connection, actor, token.account_id, InterfaceGroup.ELSEWHERE, now)
    return counted if isinstance(counted, Denied) else guess


def _is_code(code: str, digits: int) -> bool:
    return len(code) == digits and code.isascii() and code.isdigit()
