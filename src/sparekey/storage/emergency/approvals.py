"""Showings that wait for a second person. One conditional UPDATE settles who decides, and which showing it is for."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Select, case, insert, literal, select, tuple_, update

from sparekey.storage.rows import all_as, one_as
from sparekey.storage.tables import account, approval, device


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request to a second person, with the names of its user and device; times are unix seconds."""

    id: str
    account_id: str
    device_id: str
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
    login: str
    domain_id: str  # of the user
    device_name: str


def insert_approval(connection: Connection, values: Mapping[str, object]) -> None:
    connection.execute(insert(approval).values(**values))


def find_latest(connection: Connection, account_id: str, device_id: str, asked_by: str, now: int) -> Approval | None:
    """This operator's request for this user on this device, while its time has not run out.

    The one that waits, else the one that was approved and not used, else the last one.
    """
    usable = approval.c.approved.is_(True) & approval.c.executed_at.is_(None)
    use = case((approval.c.decided_at.is_(None), 0), (usable, 1), else_=2)
    # of one second the refused one: that the last one was refused is told
    refused_first = case((approval.c.approved.is_(False), 0), else_=1)
    query = (
        _with_names()
        .where(
            approval.c.account_id == account_id,
            approval.c.device_id == device_id,
            approval.c.asked_by == asked_by,
            approval.c.expires_at > now,
        )
        .order_by(use, approval.c.asked_at.desc(), refused_first, approval.c.id)
        .limit(1)
    )
    return one_as(Approval, connection.execute(query))


def requests_of(connection: Connection, account_id: str, asked_by: str, now: int) -> list[Approval]:
    """This operator's requests for this user, while their time has not run out, newest first."""
    mine = (approval.c.account_id == account_id, approval.c.asked_by == asked_by, approval.c.expires_at > now)
    query = _with_names().where(*mine).order_by(approval.c.asked_at.desc(), approval.c.id)
    return all_as(Approval, connection.execute(query))


def find_approval(connection: Connection, approval_id: str) -> Approval | None:
    return one_as(Approval, connection.execute(_with_names().where(approval.c.id == approval_id)))


def list_approvals(
    connection: Connection, limit: int, after: str, since: int, domains: frozenset[str] | None, asked_by: str
) -> list[Approval]:
    """Newest first, after the one with the id `after` ("": from the first).

    Asked after `since`, of users of these domains (None: all) or by this operator.
    """
    query = _with_names().where(approval.c.asked_at > since)
    if domains is not None:
        query = query.where(account.c.domain_id.in_(domains) | (approval.c.asked_by == asked_by))
    if after:
        last = select(approval.c.asked_at).where(approval.c.id == after).scalar_subquery()
        query = query.where(tuple_(approval.c.asked_at, approval.c.id) < tuple_(last, literal(after)))
    query = query.order_by(approval.c.asked_at.desc(), approval.c.id.desc()).limit(limit)
    return all_as(Approval, connection.execute(query))


def decide(connection: Connection, approval_id: str, decided_by: str, *, approved: bool, now: int) -> bool:
    """False: somebody has decided before, or its time has run out."""
    open_yet = (approval.c.id == approval_id, approval.c.decided_at.is_(None), approval.c.expires_at > now)
    values = {"decided_by": decided_by, "decided_at": now, "approved": approved}
    return connection.execute(update(approval).where(*open_yet).values(**values)).rowcount == 1


def execute(connection: Connection, approval_id: str, now: int) -> bool:
    """It is used up by this showing; False: it was before, or it allows none."""
    allowed = (approval.c.id == approval_id, approval.c.approved.is_(True), approval.c.expires_at > now)
    unused = approval.c.executed_at.is_(None)
    return connection.execute(update(approval).where(*allowed, unused).values(executed_at=now)).rowcount == 1


def _with_names() -> Select[*tuple[object, ...]]:
    return (
        select(approval, account.c.login, account.c.domain_id, device.c.name.label("device_name"))
        .join(account, approval.c.account_id == account.c.id)
        .join(device, approval.c.device_id == device.c.id)
    )
