"""Invitations of devices: invite, and list and withdraw the unused invitations."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_may, verify_somewhere
from sparekey.app.instance import TOP_DOMAIN, Instance, log, new_id
from sparekey.app.lookup import get_domain
from sparekey.app.ports import KeyPurpose
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict, NotFound
from sparekey.core.names import verify_name
from sparekey.core.offline.units import DAY
from sparekey.core.permissions import Actor, Permission
from sparekey.secret import Secret
from sparekey.storage.devices import devices, invitations
from sparekey.storage.devices.invitations import Invitation
from sparekey.storage.sealed_rows import seals_of
from sparekey.wire.enrolment import EnrolmentCode, new_enrolment_code, secret_hash

INVITATION_LIFETIME: Final = DAY  # seconds
LONGEST_LIFETIME: Final = 30 * DAY


@dataclass(frozen=True)
class InvitationView:
    """An enrolment code that can still be used. The code itself was shown once and is not stored."""

    id: str
    name: str  # the name that the device will have
    domain: str
    created_at: int
    expires_at: int


def invite(
    instance: Instance,
    actor: Actor,
    name: str,
    domain: str = TOP_DOMAIN,
    *,
    now: int,
    lifetime: int = INVITATION_LIFETIME,
) -> EnrolmentCode:
    """Return a one-time enrolment code for a device of that name. Only a hash of its secret is stored.

    Raises BadInput for a wrong name or lifetime, and Conflict if a device in use has the name: the help desk tells
    devices apart by their names.
    """
    verify_name(name, "device", 128)
    if not 1 <= lifetime <= LONGEST_LIFETIME:
        raise BadInput(
            f"the lifetime of an invitation must be 1 to {LONGEST_LIFETIME} seconds", "give another lifetime"
        )
    code = new_enrolment_code(instance.keystore.public_key(KeyPurpose.OFFLINE), instance.ca_certificate)
    with instance.database.write() as connection:
        domain_id = get_domain(connection, actor, domain, Permission.DEVICE_INVITE).id
        _verify_free(connection, actor, name)
        invitation_id = new_id()
        invitations.insert_invitation(
            connection,
            invitation_id=invitation_id,
            device_name=name,
            domain_id=domain_id,
            secret_hash=stored_hash(connection, code.secret),
            created_at=now,
            expires_at=now + lifetime,
        )
        log(connection, now, actor, Action.DEVICE_INVITED, name=name, domain=domain, invitation=invitation_id)
    return code


def stored_hash(connection: Connection, secret: Secret[bytes]) -> bytes:
    """Return the hash by which the invitation with this secret is found. It depends on a key of the server (S47)."""
    return seals_of(connection).seals.id_of(secret_hash(secret))


def _verify_free(connection: Connection, actor: Actor, name: str) -> None:
    """Raise Conflict if the name is taken.

    Ignore devices that the actor may not see, or the error would reveal them.
    """
    named = [device for device in devices.devices_named(connection, name) if device.name == name]
    if any(device.revoked_at is None and actor.sees(device.domain_id) for device in named):
        raise Conflict(
            f"a device {name!r} already exists",
            f"choose another name; to enrol that computer again, first run: sparekey device revoke {name}",
        )


def list_invitations(
    instance: Instance, actor: Actor, limit: int = 100, after: str = "", *, now: int
) -> list[InvitationView]:
    """Return the invitations by device name, from the one after the invitation with the id `after`."""
    within = verify_somewhere(actor, Permission.DEVICE_VIEW)
    with instance.database.read() as connection:
        found = invitations.list_invitations(connection, now, limit, after, within)
        return [_view(invitation) for invitation in found]


def show_invitation(instance: Instance, actor: Actor, invitation_id: str, *, now: int) -> InvitationView:
    """Return an invitation by its id."""
    with instance.database.read() as connection:
        return _view(_get(connection, actor, invitation_id, Permission.DEVICE_VIEW, now))


def withdraw(instance: Instance, actor: Actor, invitation_id: str, *, now: int) -> None:
    """Withdraw an invitation, so that its code is refused. Raises NotFound if it is gone or was used."""
    with instance.database.write() as connection:
        invitation = _get(connection, actor, invitation_id, Permission.DEVICE_REVOKE, now)
        if not invitations.delete_invitation(connection, invitation.id):  # a device enrolled at this moment
            raise _gone()
        log(
            connection,
            now,
            actor,
            Action.DEVICE_UNINVITED,
            name=invitation.device_name,
            invitation=invitation.id,
        )


def _get(connection: Connection, actor: Actor, invitation_id: str, needed: Permission, now: int) -> Invitation:
    invitation = invitations.find_invitation(connection, invitation_id, now)
    if invitation is None or not actor.sees(invitation.domain_id):
        raise _gone()
    verify_may(actor, needed, invitation.domain_id)
    return invitation


def _view(invitation: Invitation) -> InvitationView:
    return InvitationView(
        invitation.id, invitation.device_name, invitation.domain, invitation.created_at, invitation.expires_at
    )


def _gone() -> NotFound:
    return NotFound("this invitation does not exist, was used, or was withdrawn", "see `sparekey device invitations`")
