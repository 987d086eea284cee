"""Approvals: an approver must consent before an operator sees an offline emergency passcode, if policy says so (S43).

Rules:
- An operator requests an approval by asking for the passcode. Within fifteen minutes an approver in the user's domain
  approves or refuses. Then the operator asks for the passcode again, and sees it once.
- Operators cannot approve their own request, and an API client cannot make one (`core.emergency.two_people`). An
  approver needs at least the rights of the user concerned. Lists mark the requests that the reader may decide on.
- An approval is valid for this operator, user and device, and for the identification of the caller that the approver
  read.
- Each step is logged in its own transaction, and one conditional UPDATE decides each race.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit_log.named_rows import names_of_actors
from sparekey.app.authorisation import grants_of_several, verify_may
from sparekey.app.emergency.second_approver import nobody_else
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_account
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.two_people import is_person, is_same_person, is_second_person
from sparekey.core.errors import Conflict, NotAllowed, NotFound, SparekeyError
from sparekey.core.permissions import Actor, Grant, Permission
from sparekey.core.plurals import counted
from sparekey.durations import DAY_SECONDS
from sparekey.storage.emergency import approvals
from sparekey.storage.emergency.approvals import Approval
from sparekey.storage.people import accounts

APPROVAL_SECONDS: Final = 15 * 60
_KEPT_IN_LISTS: Final = DAY_SECONDS  # seconds


class ApprovalNeeded(SparekeyError):
    """The passcode can be shown only after an approval. The message names the request."""

    error = "approval-needed"


class ApprovalState(StrEnum):
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    SHOWN = "shown"


@dataclass(frozen=True)
class ApprovalView:
    """One request; times in unix seconds. `yours`: the reader made it. `decidable`: the reader may decide on it now.

    `asked_by`, `decided_by`: the actors as the audit log names them. `asker`, `decider`: their names.
    """

    id: str
    state: ApprovalState
    user: str
    device: str
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


@dataclass(frozen=True)
class Approved:
    """An approval that is used up now, with the identification that the approver read."""

    approval_id: str
    decided_by: str
    showing: Showing


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


def own_requests(connection: Connection, actor: Actor, account_id: str, now: int) -> list[ApprovalView]:
    """Return the actor's own unexpired requests about this user: the last one for each device."""
    requests = approvals.requests_of(connection, account_id, actor.name, now)
    last = {request.device_id: request for request in reversed(requests)}
    return _views(connection, actor, list(last.values()), now, only_own=True)


def approve(instance: Instance, actor: Actor, approval_id: str, *, now: int) -> ApprovalView:
    """Approve a request: its operator may see the passcode once. Raises NotFound, NotAllowed or Conflict."""
    return _decide(instance, actor, approval_id, approved=True, now=now)


def refuse(instance: Instance, actor: Actor, approval_id: str, *, now: int) -> ApprovalView:
    """Refuse a request: the passcode is not shown. Raises NotFound, NotAllowed or Conflict."""
    return _decide(instance, actor, approval_id, approved=False, now=now)


def settle_approval(
    connection: Connection, actor: Actor, account_id: str, device_id: str, showing: Showing, now: int
) -> Approved | ApprovalNeeded:
    """Use up an approval, or request one with the operator's identification of the caller.

    The calling function must commit in either case, and must show nothing if it gets an ApprovalNeeded. Raises
    NotAllowed if the actor is an API client.
    """
    if not is_person(actor):
        raise NotAllowed(
            "this passcode needs an approval, which only a person can request", "sign in as a user and try again"
        )
    latest = approvals.find_latest(connection, account_id, device_id, actor.name, now)
    alone = _nobody_else(connection, actor, account_id, now)
    if latest is not None and latest.decided_at is None:
        return _needed(latest.id, latest.expires_at - now, "", alone)
    decided_by = latest.decided_by if latest is not None else None
    if latest is not None and decided_by is not None and approvals.execute(connection, latest.id, now):
        return Approved(latest.id, decided_by, Showing(latest.caller, latest.note, latest.ticket))
    approval_id = new_id()
    values = {
        "id": approval_id,
        "account_id": account_id,
        "device_id": device_id,
        "asked_by": actor.name,
        "caller": showing.caller,
        "note": showing.note,
        "ticket": showing.ticket,
        "asked_at": now,
        "expires_at": now + APPROVAL_SECONDS,
    }
    approvals.insert_approval(connection, values)
    log(
        connection,
        now,
        actor,
        Action.APPROVAL_ASKED,
        account=account_id,
        device=device_id,
        approval=approval_id,
        caller=showing.caller,
        note=showing.note,
        ticket=showing.ticket,
    )
    refused = latest is not None and latest.approved is False
    return _needed(approval_id, APPROVAL_SECONDS, "the previous request was refused; " if refused else "", alone)


def _nobody_else(connection: Connection, actor: Actor, account_id: str, now: int) -> str:
    account = accounts.find_account_by_id(connection, account_id)
    domain_id = account.domain_id if account is not None else None
    return nobody_else(connection, actor, Permission.EMERGENCY_APPROVE, domain_id, now)


def _needed(approval_id: str, seconds: int, before: str, alone: str) -> ApprovalNeeded:
    return ApprovalNeeded(
        f"{before}approval is required: request {approval_id}",
        f"{alone}ask another person to run `sparekey approval approve {approval_id}` within "
        f"{counted(max(1, seconds // 60), 'minute')}, then repeat the command",
    )


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
    # Safe because this also refuses an approver with fewer rights than the user of the passcode.
    get_account(connection, actor, request.login, Permission.EMERGENCY_APPROVE)
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
            user=request.login,
            device=request.device_name,
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
            decidable=_is_decidable(reader, request, rights.get(request.account_id, ()), now),
            device_id=request.device_id,
        )
        for request in requests
    ]


def _rights(connection: Connection, requests: Sequence[Approval], now: int) -> dict[str, tuple[Grant, ...]]:
    """Return the rights of the users with waiting requests, by account id."""
    waiting = {request.account_id for request in requests if _state(request, now) is ApprovalState.WAITING}
    return grants_of_several(connection, waiting) if waiting else {}


def _is_decidable(reader: Actor, request: Approval, rights: Sequence[Grant], now: int) -> bool:
    """Return True if `decide_in` would accept the reader now. `rights`: those of the user."""
    return (
        _state(request, now) is ApprovalState.WAITING
        and is_second_person(reader, request.asked_by)
        and reader.may(Permission.EMERGENCY_APPROVE, request.domain_id)
        and reader.covers(rights)
    )


def _state(request: Approval, now: int) -> ApprovalState:
    if request.executed_at is not None:
        return ApprovalState.SHOWN
    if request.approved is False:
        return ApprovalState.REFUSED
    if now >= request.expires_at:
        return ApprovalState.EXPIRED
    return ApprovalState.APPROVED if request.approved else ApprovalState.WAITING
