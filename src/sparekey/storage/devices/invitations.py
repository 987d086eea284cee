"""Invitations of devices: made with a secret, used up by one enrolment, withdrawn or expired."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from sparekey.storage.rows import AnySelect, all_as
from sparekey.storage.sealed_rows import insert_row, intact_rows, one_intact, update_rows
from sparekey.storage.tables import device_invitation, security_domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation of a device. `domain`: the name of the security domain that the device will belong to."""

    id: str
    device_name: str
    domain_id: str
    domain: str
    created_at: int
    expires_at: int


def insert_invitation(
    connection: Connection,
    *,
    invitation_id: str,
    device_name: str,
    domain_id: str,
    secret_hash: bytes,
    created_at: int,
    expires_at: int,
) -> None:
    values = {
        "id": invitation_id,
        "device_name": device_name,
        "domain_id": domain_id,
        "secret_hash": secret_hash,
        "created_at": created_at,
        "expires_at": expires_at,
    }
    insert_row(connection, device_invitation, values)


def is_invited(connection: Connection, secret_hash: bytes, now: int) -> bool:
    """Return True if a valid invitation has this secret. `use_invitation` decides."""
    query = select(device_invitation.c.id).where(
        device_invitation.c.secret_hash == secret_hash,
        device_invitation.c.used_at.is_(None),
        device_invitation.c.expires_at > now,
    )
    return bool(intact_rows(connection, query, device_invitation))


def use_invitation(connection: Connection, secret_hash: bytes, now: int) -> Invitation | None:
    """Use up the invitation by one conditional write and return it. None: no valid invitation has this secret."""
    invitation = device_invitation
    usable = (invitation.c.secret_hash == secret_hash, invitation.c.used_at.is_(None), invitation.c.expires_at > now)
    if update_rows(connection, invitation, usable, {"used_at": now}) != 1:
        return None
    return one_intact(Invitation, connection, _invitations().where(invitation.c.secret_hash == secret_hash), invitation)


def list_invitations(
    connection: Connection, now: int, limit: int, after: str = "", within: frozenset[str] | None = None
) -> list[Invitation]:
    """Return the invitations that can still be used in order of the device's name, after the one with the id `after`.

    `within`: ids of domains; None: all of them.
    """
    invitation = device_invitation.c
    query = _open(now).order_by(invitation.device_name, invitation.id).limit(limit)
    if after:
        last = select(invitation.device_name).where(invitation.id == after).scalar_subquery()
        query = query.where(
            (invitation.device_name > last) | ((invitation.device_name == last) & (invitation.id > after))
        )
    if within is not None:
        query = query.where(invitation.domain_id.in_(within))
    return all_as(Invitation, connection.execute(query))


def find_invitation(connection: Connection, invitation_id: str, now: int) -> Invitation | None:
    """Return the invitation with this id if it can still be used."""
    query = _open(now).where(device_invitation.c.id == invitation_id)
    return one_intact(Invitation, connection, query, device_invitation)


def _open(now: int) -> AnySelect:
    return _invitations().where(device_invitation.c.used_at.is_(None), device_invitation.c.expires_at > now)


def _invitations() -> AnySelect:
    """Select the columns of `Invitation`."""
    columns = (
        device_invitation.c.id,
        device_invitation.c.device_name,
        device_invitation.c.domain_id,
        security_domain.c.name.label("domain"),
        device_invitation.c.created_at,
        device_invitation.c.expires_at,
    )
    return select(*columns).join(security_domain, device_invitation.c.domain_id == security_domain.c.id)


def delete_invitation(connection: Connection, invitation_id: str) -> bool:
    """Delete the invitation. Return False if it is gone or was used."""
    unused = (device_invitation.c.id == invitation_id, device_invitation.c.used_at.is_(None))
    return connection.execute(delete(device_invitation).where(*unused)).rowcount == 1
