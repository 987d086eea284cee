"""Approvals: an approver must consent to an act by which one operator alone could sign in as a user (S43, S48).

Rules:
- An operator requests an approval by trying the act, such as showing an offline emergency passcode
  (`emergency.second_person`). Within fifteen minutes an approver in the user's domain approves or refuses. Then the
  operator does the same again, and it works once.
- Operators cannot approve their own request, and an API client cannot make one (`core.emergency.two_people`). An
  account that has both factors from the operator cannot approve. An approver needs at least the
  rights of the user concerned. Lists mark the requests that the reader may decide on.
- A request about no single user, such as the change of a policy, needs an approver at the top domain.
- Each step is logged in its own transaction, and one conditional UPDATE decides each race.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit_log.named_rows import names_of_actors
from sparekey.app.authorisation import grants_of_several, verify_may
from sparekey.app.emergency.second_person import held_by_name
from sparekey.app.instance import Instance, log
from sparekey.app.lookup import get_account
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.acts import ACTS, Factor, OperatorAct
from sparekey.core.emergency.two_people import is_same_person, is_second_person
from sparekey.core.errors import Conflict, NotAllowed, NotFound
from sparekey.core.permissions import Actor, Grant, Permission
from sparekey.durations import DAY_SECONDS
from sparekey.storage.emergency import approvals
from sparekey.storage.emergency.approvals import Approval

_KEPT_IN_LISTS: Final = DAY_SECONDS  # seconds


class ApprovalState(StrEnum):
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    USED = "used"


@dataclass(frozen=True)
class ApprovalView:
    """One request; times in unix seconds. `yours`: the reader made it. `decidable`: the reader may decide on it now.

    `act`: the act in words. `subject`: its token, domain or policy. `user`: "" if it is about no single user. `device`:
    "" if it is about no code on a device. `asked_by`, `decided_by`: the actors as the audit log names them. `asker`,
    `decider`: their names.
    """

    id: str
    state: ApprovalState
    act: str
    user: str
    device: str
    subject: str
    asked_by: str
    caller: str
    note: str
    ticket: str
    asked_at: int
    expires_at: int
    decided_by: str | None
    asker: str
    decider: str | None
    yours: bool = False
    decidable: bool = False
    device_id: str = ""


def list_approvals(
    instance: Instance, actor: Actor, limit: int = 100, after: str = "", *, now: int
) -> list[ApprovalView]:
    """Return the requests of the last day, newest first, from the one after the id `after`.

    They are the requests that this actor may approve, and those that they made themselves.
    """
    domains = actor.domains_with(Permission.EMERGENCY_APPROVE)
    with instance.database.read() as connection:
        requests = approvals.list_approvals(connection, limit, after, now - _KEPT_IN_LISTS, domains, actor.name)
        return _views(connection, actor, requests, now)


def in_words(view: ApprovalView) -> str:
    """Return the act with its user and its object: `set the PIN of a token (SK12345678) of alice`."""
    what = view.device or view.subject
    return view.act + (f" ({what})" if what else "") + (f" of {view.user}" if view.user else "")


def own_requests(connection: Connection, actor: Actor, account_id: str, now: int) -> list[ApprovalView]:
    """Return the actor's own unexpired requests to show this user's passcode: the last one for each device."""
    requests = approvals.requests_of(connection, account_id, actor.name, now)
    shown = [request for request in requests if request.act == OperatorAct.PASSCODE_SHOWN]
    last = {request.device_id: request for request in reversed(shown)}
    return _views(connection, actor, list(last.values()), now, only_own=True)


def approve(instance: Instance, actor: Actor, approval_id: str, *, now: int) -> ApprovalView:
    """Approve a request: its operator may do the act once. Raises NotFound, NotAllowed or Conflict."""
    return _decide(instance, actor, approval_id, approved=True, now=now)


def refuse(instance: Instance, actor: Actor, approval_id: str, *, now: int) -> ApprovalView:
    """Refuse a request: the act is not done. Raises NotFound, NotAllowed or Conflict."""
    return _decide(instance, actor, approval_id, approved=False, now=now)


def _decide(instance: Instance, actor: Actor, approval_id: str, *, approved: bool, now: int) -> ApprovalView:
    with instance.database.write() as connection:
        decide_in(connection, actor, approval_id, approved=approved, now=now)
        return _views(connection, actor, [_get_approval(connection, actor, approval_id)], now)[0]


def decide_in(connection: Connection, actor: Actor, approval_id: str, *, approved: bool, now: int) -> None:
    """Decide on a request in the caller's transaction. Raises NotFound, NotAllowed or Conflict."""
    action = Action.APPROVAL_GIVEN if approved else Action.APPROVAL_REFUSED
    request = _get_approval(connection, actor, approval_id)
    if not is_second_person(actor, request.asked_by):
        raise NotAllowed("you cannot decide your own request", "ask another approver")
    if request.login is not None:
        # Safe because this also refuses an approver with fewer rights than the user whose factor is replaced.
        get_account(connection, actor, request.login, Permission.EMERGENCY_APPROVE)
    if _gave_both_factors(connection, request.asked_by, actor, now):
        raise NotAllowed(
            "the operator who asks gave you both of your factors, so that you may be one person",
            "ask another approver",
        )
    if not approvals.decide(connection, approval_id, actor.name, approved=approved, now=now):
        raise Conflict(f"this request is already {_state(request, now)}", "see `sparekey approval list`")
    log(
        connection,
        now,
        actor,
        action,
        account=request.account_id,
        device=request.device_id,
        approval=approval_id,
        asked_by=request.asked_by,
    )


def _gave_both_factors(connection: Connection, asked_by: str, approver: Actor, now: int) -> bool:
    """Return True if the approver has both factors from the operator who asks: the two may be one person."""
    if approver.account_id is None or not is_second_person(approver, asked_by):
        return False
    return held_by_name(connection, asked_by, approver.account_id, now).factors is Factor.BOTH


def _get_approval(connection: Connection, actor: Actor, approval_id: str) -> Approval:
    request = approvals.find_approval(connection, approval_id)
    if request is None or not (actor.sees(request.domain_id) or request.asked_by == actor.name):
        raise NotFound(f"there is no request {approval_id!r}", "see `sparekey approval list`")
    verify_may(actor, Permission.EMERGENCY_APPROVE, request.domain_id)
    return request


def _views(
    connection: Connection, reader: Actor, requests: Sequence[Approval], now: int, *, only_own: bool = False
) -> list[ApprovalView]:
    """Return the requests as lists show them. `only_own`: the reader made all of them, and needs no names."""
    named = {name for request in requests for name in (request.asked_by, request.decided_by) if name is not None}
    people = named - {reader.name} if only_own else named
    called = names_of_actors(connection, reader, people)
    rights = _rights(connection, requests, now) if not only_own else {}
    return [
        ApprovalView(
            id=request.id,
            state=_state(request, now),
            act=ACTS[OperatorAct(request.act)].title,
            user=request.login or "",
            device=request.device_name or "",
            subject=request.subject,
            asked_by=request.asked_by,
            caller=request.caller,
            note=request.note,
            ticket=request.ticket,
            asked_at=request.asked_at,
            expires_at=request.expires_at,
            decided_by=request.decided_by,
            asker=called.get(request.asked_by, request.asked_by),
            decider=called.get(request.decided_by, request.decided_by) if request.decided_by is not None else None,
            yours=is_same_person(reader, request.asked_by),
            decidable=_is_decidable(reader, request, rights.get(request.account_id or "", ()), now),
            device_id=request.device_id or "",
        )
        for request in requests
    ]


def _rights(connection: Connection, requests: Sequence[Approval], now: int) -> dict[str, tuple[Grant, ...]]:
    """Return the rights of the users with waiting requests, by account id."""
    waiting = [request.account_id for request in requests if _state(request, now) is ApprovalState.WAITING]
    concerned = {account_id for account_id in waiting if account_id is not None}
    return grants_of_several(connection, concerned) if concerned else {}


def _is_decidable(reader: Actor, request: Approval, rights: Sequence[Grant], now: int) -> bool:
    """Return True if `decide_in` would accept the reader now, unless the reader has both factors from the asker.

    A list leaves that to the decision, because it is rare, and finding it out takes seven statements.
    `rights`: those of the user.
    """
    return (
        _state(request, now) is ApprovalState.WAITING
        and is_second_person(reader, request.asked_by)
        and reader.may(Permission.EMERGENCY_APPROVE, request.domain_id)
        and reader.covers(rights)
    )


def _state(request: Approval, now: int) -> ApprovalState:
    if request.executed_at is not None:
        return ApprovalState.USED
    if request.approved is False:
        return ApprovalState.REFUSED
    if now >= request.expires_at:
        return ApprovalState.EXPIRED
    return ApprovalState.APPROVED if request.approved else ApprovalState.WAITING
