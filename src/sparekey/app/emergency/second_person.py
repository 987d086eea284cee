"""Approvals of acts: an act by which one operator alone could sign in as a user waits for an approval (S43, S48).

Rules:
- Each use case that replaces a factor begins its transaction with `acting`, and calls `verify_second_person` under the
  lock of the user's account, before it changes anything. Acts on one user therefore come one after the other, and each
  sees the events of those before it.
- The decision is pure (`core.emergency.acts`) and reads the audit log (`core.emergency.held_factors`). It is made where
  the policy of the user's domain, or of the domain of a device with the user's data, asks for two people.
- Without an approval, nothing of the act is saved. The request is saved instead, and the error names it.
- An approval is used up in the transaction of the act. It is valid for one act of one operator on one object, and for
  the identification of the caller that the approver read.
- An API client cannot request an approval (`core.emergency.two_people`).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.emergency.second_approver import nobody_else
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import MICROSECONDS, Instance, log, new_id
from sparekey.app.policies_in_force import effective_in, effective_on
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import utc
from sparekey.core.emergency.acts import (
    ACTS,
    AskedAct,
    Factor,
    HeldFactors,
    OperatorAct,
    TokenOfAct,
    needs_second_person,
)
from sparekey.core.emergency.held_factors import KIND_OF, LoggedEvent, OwnedToken, UserNow, held_by
from sparekey.core.emergency.two_people import is_person
from sparekey.core.errors import NotAllowed, SparekeyError
from sparekey.core.permissions import Actor, Permission
from sparekey.core.plurals import counted
from sparekey.storage.emergency import acts as stored
from sparekey.storage.emergency import approvals
from sparekey.storage.emergency.approvals import ApprovedThing
from sparekey.storage.people import accounts
from sparekey.storage.people.accounts import Account
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import Token

APPROVAL_SECONDS: Final = 15 * 60
_MOST_TOKENS: Final = 100  # of one user that are read
_OF_TOKENS: Final = frozenset(OperatorAct) - {
    OperatorAct.USER_MOVED,
    OperatorAct.RULE_LIFTED,
}  # acts whose object is a token
_NOT_SHOWN: Final = Showing("")  # of an act without a caller


class ApprovalNeeded(SparekeyError):
    """The act waits for the approval of another person. The message names the request."""

    error = "approval-needed"


@dataclass(frozen=True)
class Wanted:
    """The act to approve, on one user (None: on no single one).

    `device_id`: of the code that is shown. `subject_id`, `subject`: id and name of the token, domain or policy. `why`:
    the reason, as a sentence for the operator.
    """

    kind: OperatorAct
    account_id: str | None
    why: str
    showing: Showing = _NOT_SHOWN
    device_id: str | None = None
    subject_id: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Approved:
    """An approval that is used up now, with the identification that the approver read."""

    approval_id: str
    decided_by: str
    showing: Showing


class _Waits(Exception):
    """Leaves the transaction of an act that needs an approval. Only `acting` catches it."""

    def __init__(self, actor: Actor, wanted: Wanted, now: int) -> None:
        super().__init__(wanted.kind)
        self.actor, self.wanted, self.now = actor, wanted, now


@contextmanager
def acting(instance: Instance) -> Iterator[Connection]:
    """Begin the transaction of an act. If it needs an approval, save the request alone and raise ApprovalNeeded."""
    try:
        with instance.database.write() as connection:
            yield connection
    except _Waits as waits:
        with instance.database.write() as connection:
            needed = request_approval(connection, waits.actor, waits.wanted, waits.now)
        raise needed from None  # after the commit, so that the request stays


def verify_second_person(
    connection: Connection,
    actor: Actor,
    account: Account,
    asked: AskedAct,
    *,
    now: int,
    subject: Token | None = None,
    showing: Showing = _NOT_SHOWN,
    device: tuple[str, str] | None = None,
) -> Approved | None:
    """Make sure that this act does not let one person alone sign in as the user; use up an approval if it needs one.

    Call it in a transaction of `acting`, under the account's lock. `device`: id and domain id of the device of a code.
    Return the approval; None: it needs none. Raises NotAllowed if the actor is an API client.
    """
    if not _policy_asks(connection, account, device):
        return None
    held = held_of(connection, actor, account.id, now)
    if not needs_second_person(asked, held):
        return None
    wanted = Wanted(
        asked.kind,
        account.id,
        _why(asked, held, account.login),
        showing,
        device[0] if device is not None else None,
        subject.id if subject is not None else "",
        subject.serial if subject is not None else "",
    )
    return verify_approved(connection, actor, wanted, now)


def verify_lifts(connection: Connection, actor: Actor, account: Account, domain_id: str, domain: str, now: int) -> None:
    """Use up an approval if moving the user to this domain lifts the rule of two people for them.

    Call it as `verify_second_person`, before the move.
    """
    # Whatever the domains of devices ask for: the operator could revoke the devices next.
    here, there = (effective_in(connection, place, place).values for place in (account.domain_id, domain_id))
    if there.passcode_approval or not here.passcode_approval:
        return
    asked = act_on_account(connection, OperatorAct.USER_MOVED, account.id)
    held = held_of(connection, actor, account.id, now)
    if needs_second_person(asked, held):
        why = _why(asked, held, account.login)
        verify_approved(
            connection, actor, Wanted(asked.kind, account.id, why, subject_id=domain_id, subject=domain), now
        )


def verify_approved(connection: Connection, actor: Actor, wanted: Wanted, now: int) -> Approved:
    """Use up an approval of this act, or leave the transaction. Raises NotAllowed if the actor is an API client."""
    verify_can_request(actor)
    approved = use_approval(connection, actor, wanted, now)
    if approved is None:
        raise _Waits(actor, wanted, now)
    return approved


def verify_can_request(actor: Actor) -> None:
    """Raise NotAllowed if the actor is an API client."""
    if not is_person(actor):
        raise NotAllowed("this needs an approval, which only a person can request", "sign in as a user and try again")


def facts_of(token: Token, *, ready: bool = True, pin_set: bool | None = None) -> TokenOfAct:
    """Return the token for the decision. `pin_set`: if the act changes that."""
    is_set = token.pin_sealed is not None if pin_set is None else pin_set
    return TokenOfAct(token.id, token.with_pin, is_set, ready)


def act_on(connection: Connection, kind: OperatorAct, account_id: str, *facts: TokenOfAct) -> AskedAct:
    """Return the act on these tokens of the user."""
    named = {fact.token_id for fact in facts}
    every = tokens.list_tokens(connection, _MOST_TOKENS, account_id=account_id)
    return AskedAct(kind, facts, sum(token.id not in named for token in every))


def act_on_account(connection: Connection, kind: OperatorAct, account_id: str) -> AskedAct:
    """Return the act on a user, which is about all of their tokens."""
    every = tokens.list_tokens(connection, _MOST_TOKENS, account_id=account_id)
    return AskedAct(kind, tuple(facts_of(token) for token in every if token.enabled and not token.lost))


def held_of(connection: Connection, actor: Actor, account_id: str, now: int) -> HeldFactors:
    """Return the factors of this user that the actor holds. On their own account, users are no operators."""
    return held_by_name(connection, actor.name, account_id, now) if actor.account_id != account_id else HeldFactors()


def held_by_name(connection: Connection, operator: str, account_id: str, now: int) -> HeldFactors:
    """Return the factors of this user that the actor with this name holds."""
    givers = stored.givers_of_access(connection, account_id)
    every = tokens.list_tokens(connection, _MOST_TOKENS, account_id=account_id)
    sealed_since = stored.sealed_since(connection, account_id, now)
    user = UserNow(
        account_id,
        tuple(OwnedToken(token.id, token.with_pin, givers.get(token.id)) for token in every),
        stored.has_signed_in(connection, account_id),
        stored.ends_of_codes(connection, account_id, now),
        sealed_since,
    )
    token_ids = {*(token.id for token in every), *sealed_since}
    rows = stored.events_of(connection, account_id, token_ids, [*KIND_OF])
    events = [
        LoggedEvent(row.at // MICROSECONDS, row.actor, row.action, row.account_id, row.token_id, json.loads(row.detail))
        for row in rows
    ]
    return held_by(operator, events, user, now)


def use_approval(connection: Connection, actor: Actor, wanted: Wanted, now: int) -> Approved | None:
    """Use up an approval of this act, and log that. Return None if there is none."""
    latest = approvals.find_latest(connection, _thing(actor, wanted), now)
    if latest is None or latest.decided_by is None or not approvals.execute(connection, latest.id, now):
        return None
    log(
        connection,
        now,
        actor,
        Action.APPROVAL_USED,
        account=wanted.account_id,
        token=_token_id(wanted),
        device=wanted.device_id,
        approval=latest.id,
        act=wanted.kind,
        approved_by=latest.decided_by,
    )
    return Approved(latest.id, latest.decided_by, Showing(latest.caller, latest.note, latest.ticket))


def request_approval(connection: Connection, actor: Actor, wanted: Wanted, now: int) -> ApprovalNeeded:
    """Request an approval, or find the request that waits. Return the error that says so."""
    if wanted.account_id is not None:
        accounts.lock_accounts(connection, [wanted.account_id])  # so that two requests at once are one
    latest = approvals.find_latest(connection, _thing(actor, wanted), now)
    alone = nobody_else(connection, actor, Permission.EMERGENCY_APPROVE, _domain_of(connection, wanted), now)
    if latest is not None and latest.decided_at is None:
        return _needed(wanted, latest.id, latest.expires_at - now, "", alone)
    approval_id = new_id()
    values = {
        "id": approval_id,
        "account_id": wanted.account_id,
        "device_id": wanted.device_id,
        "act": wanted.kind,
        "subject_id": wanted.subject_id,
        "subject": wanted.subject,
        "asked_by": actor.name,
        "caller": wanted.showing.caller,
        "note": wanted.showing.note,
        "ticket": wanted.showing.ticket,
        "asked_at": now,
        "expires_at": now + APPROVAL_SECONDS,
    }
    approvals.insert_approval(connection, values)
    log(
        connection,
        now,
        actor,
        Action.APPROVAL_ASKED,
        account=wanted.account_id,
        token=_token_id(wanted),
        device=wanted.device_id,
        approval=approval_id,
        act=wanted.kind,
        subject=wanted.subject,
        caller=wanted.showing.caller,
        note=wanted.showing.note,
        ticket=wanted.showing.ticket,
    )
    refused = latest is not None and latest.approved is False
    before = "the previous request was refused; " if refused else ""
    return _needed(wanted, approval_id, APPROVAL_SECONDS, before, alone)


def _thing(actor: Actor, wanted: Wanted) -> ApprovedThing:
    return ApprovedThing(
        act=wanted.kind,
        asked_by=actor.name,
        account_id=wanted.account_id,
        device_id=wanted.device_id,
        subject_id=wanted.subject_id,
    )


def _token_id(wanted: Wanted) -> str | None:
    return wanted.subject_id if wanted.subject_id and wanted.kind in _OF_TOKENS else None


def _domain_of(connection: Connection, wanted: Wanted) -> str | None:
    account = accounts.find_account_by_id(connection, wanted.account_id) if wanted.account_id else None
    return account.domain_id if account is not None else None


def _policy_asks(connection: Connection, account: Account, device: tuple[str, str] | None) -> bool:
    """Return True if the policy of the user's domain or of a device with data of the user asks for two people."""
    places = {*stored.domains_of_devices(connection, account.id), *([device[1]] if device is not None else [])}
    policies = effective_on(connection, account.domain_id, places)
    return any(policy.values.passcode_approval for policy in policies.values())


def _why(asked: AskedAct, held: HeldFactors, login: str) -> str:
    """Return the reason for the operator: the act, and the former acts that complete it."""
    parts = [ACTS[asked.kind].with_this]
    if asked.gives is not Factor.BOTH:
        parts += [f"{ACTS[cause.kind].with_this} ({utc(cause.at)})" for cause in held.causes]
    with_all = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"with {with_all}, you alone could sign in as {login}"


def _needed(wanted: Wanted, approval_id: str, seconds: int, before: str, alone: str) -> ApprovalNeeded:
    return ApprovalNeeded(
        f"{before}{wanted.why}; so approval is required: request {approval_id}",
        # Without the marks of a command, so that the console shows it, too.
        f"{alone}ask another person to approve request {approval_id} within "
        f"{counted(max(1, seconds // 60), 'minute')}, on the page Approval requests or with sparekey approval approve; "
        "then do the same again",
    )
