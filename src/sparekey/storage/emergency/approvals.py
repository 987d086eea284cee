"""Approvals of acts. One conditional UPDATE settles who decides, and another for which act it is used."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Select, case, literal, select, tuple_

from sparekey.storage.sealed_rows import all_intact, insert_row, one_intact, update_rows
from sparekey.storage.tables import account, approval, device


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request for approval, with the names of its user and device; times are unix seconds.

    `account_id`, `login`, `domain_id`: None if it is about no single user. `subject`: the name of a token, domain or
    policy when it was asked for.
    """

    id: str
    account_id: str | None
    device_id: str | None  # of a code
    act: str
    subject_id: str
    subject: str
    asked_by: str
    caller: str
    note: str
    ticket: str
    asked_at: int
    expires_at: int
    decided_by: str | None
    decided_at: int | None
    approved: bool | None
    executed_at: int | None
    login: str | None
    domain_id: str | None  # of the user
    device_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedThing:
    """The one act of one operator on one object for which an approval is valid."""

    act: str
    asked_by: str
    account_id: str | None
    device_id: str | None
    subject_id: str


def insert_approval(connection: Connection, values: Mapping[str, object]) -> None:
    insert_row(connection, approval, values)


def find_latest(connection: Connection, thing: ApprovedThing, now: int) -> Approval | None:
    """Find this operator's unexpired request for this act.

    A waiting request comes first, then an approved one that is not used yet, then the newest.
    """
    usable = approval.c.approved.is_(True) & approval.c.executed_at.is_(None)
    use = case((approval.c.decided_at.is_(None), 0), (usable, 1), else_=2)
    # Of several requests of the same second, return the refused one, so that the operator learns of the refusal.
    refused_first = case((approval.c.approved.is_(False), 0), else_=1)
    query = (
        _with_names()
        .where(
            approval.c.act == thing.act,
            approval.c.account_id.is_not_distinct_from(thing.account_id),
            approval.c.device_id.is_not_distinct_from(thing.device_id),
            approval.c.subject_id == thing.subject_id,
            approval.c.asked_by == thing.asked_by,
            approval.c.expires_at > now,
        )
        .order_by(use, approval.c.asked_at.desc(), refused_first, approval.c.id)
        .limit(1)
    )
    return one_intact(Approval, connection, query, approval)


def requests_of(connection: Connection, account_id: str, asked_by: str, now: int) -> list[Approval]:
    """Return this operator's unexpired requests for this user, newest first."""
    conditions = (approval.c.account_id == account_id, approval.c.asked_by == asked_by, approval.c.expires_at > now)
    query = _with_names().where(*conditions).order_by(approval.c.asked_at.desc(), approval.c.id)
    return all_intact(Approval, connection, query, approval)


def find_approval(connection: Connection, approval_id: str) -> Approval | None:
    return one_intact(Approval, connection, _with_names().where(approval.c.id == approval_id), approval)


def list_approvals(
    connection: Connection, limit: int, after: str, since: int, domains: frozenset[str] | None, asked_by: str
) -> list[Approval]:
    """Return requests, newest first, after the one with the id `after` ("": from the first).

    A request is listed if it was made after `since` by this operator or for a user of these domains (None: all, and
    requests about no single user).
    """
    query = _with_names().where(approval.c.asked_at > since)
    if domains is not None:
        query = query.where(account.c.domain_id.in_(domains) | (approval.c.asked_by == asked_by))
    if after:
        last = select(approval.c.asked_at).where(approval.c.id == after).scalar_subquery()
        query = query.where(tuple_(approval.c.asked_at, approval.c.id) < tuple_(last, literal(after)))
    query = query.order_by(approval.c.asked_at.desc(), approval.c.id.desc()).limit(limit)
    return all_intact(Approval, connection, query, approval)


def decide(connection: Connection, approval_id: str, decided_by: str, *, approved: bool, now: int) -> bool:
    """Save the decision. Return False if the request is decided already or has expired."""
    open_yet = (approval.c.id == approval_id, approval.c.decided_at.is_(None), approval.c.expires_at > now)
    values = {"decided_by": decided_by, "decided_at": now, "approved": approved}
    return update_rows(connection, approval, open_yet, values) == 1


def execute(connection: Connection, approval_id: str, now: int) -> bool:
    """Use up the approval for one act. Return False if it is used already or was refused."""
    allowed = (approval.c.id == approval_id, approval.c.approved.is_(True), approval.c.expires_at > now)
    unused = approval.c.executed_at.is_(None)
    return update_rows(connection, approval, (*allowed, unused), {"executed_at": now}) == 1


def _with_names() -> Select[*tuple[object, ...]]:
    return (
        select(approval, account.c.login, account.c.domain_id, device.c.name.label("device_name"))
        .outerjoin(account, approval.c.account_id == account.c.id)
        .outerjoin(device, approval.c.device_id == device.c.id)
    )
