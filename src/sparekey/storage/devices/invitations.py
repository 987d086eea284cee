"""Invitations of devices: made with a secret, used up by one enrolment, withdrawn, or over in time."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from sparekey.storage.rows import AnyRow
from sparekey.storage.tables import device_invitation, security_domain


def insert_invitation(connection: Connection, values: Mapping[str, Any]) -> None:
    connection.execute(insert(device_invitation).values(**values))


def is_invited(connection: Connection, secret_hash: bytes, now: int) -> bool:
    """Whether there is an invitation that is valid: a look, before the write that settles it."""
    query = select(device_invitation.c.id).where(
        device_invitation.c.secret_hash == secret_hash,
        device_invitation.c.used_at.is_(None),
        device_invitation.c.expires_at > now,
    )
    return connection.execute(query).one_or_none() is not None


def use_invitation(connection: Connection, secret_hash: bytes, now: int) -> AnyRow | None:
    """The invitation, used up by one conditional write; None if there is none that is valid."""
    invitation = device_invitation
    used = connection.execute(
        update(invitation)
        .where(invitation.c.secret_hash == secret_hash, invitation.c.used_at.is_(None), invitation.c.expires_at > now)
        .values(used_at=now)
    )
    if used.rowcount != 1:
        return None
    return connection.execute(select(invitation).where(invitation.c.secret_hash == secret_hash)).one()


def list_invitations(
    connection: Connection, now: int, limit: int, after: str = "", within: frozenset[str] | None = None
) -> Sequence[AnyRow]:
    """Those that can still be used, by the device's name, after the one with the id `after`, of these domains (None: of
    all); each with its domain's name."""
    invitation = device_invitation.c
    query = _open(now).order_by(invitation.device_name, invitation.id).limit(limit)
    if after:
        last = select(invitation.device_name).where(invitation.id == after).scalar_subquery()
        query = query.where(
            (invitation.device_name > last) | ((invitation.device_name == last) & (invitation.id > after))
        )
    if within is not None:
        query = query.where(invitation.domain_id.in_(within))
    return connection.execute(query).all()


def _open(now: int) -> Select[Any]:
    query = select(device_invitation, security_domain.c.name.label("domain")).join(security_domain)
    return query.where(device_invitation.c.used_at.is_(None), device_invitation.c.expires_at > now)


def find_invitation(connection: Connection, invitation_id: str, now: int) -> AnyRow | None:
    """One that can still be used, by its id, with its domain's name."""
    return connection.execute(_open(now).where(device_invitation.c.id == invitation_id)).one_or_none()


def delete_invitation(connection: Connection, invitation_id: str) -> bool:
    """Whether it was there, and nobody had used it."""
    unused = (device_invitation.c.id == invitation_id, device_invitation.c.used_at.is_(None))
    return connection.execute(delete(device_invitation).where(*unused)).rowcount == 1
