"""Invitations of devices that are still unused: list and withdraw them."""

from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_may, verify_somewhere
from sparekey.app.instance import Instance, log
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import NotFound
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.devices import invitations
from sparekey.storage.devices.invitations import Invitation


@dataclass(frozen=True)
class InvitationView:
    """An enrolment code that can still be used. The code itself was shown once and is not stored."""

    id: str
    name: str  # the name that the device will have
    domain: str
    created_at: int
    expires_at: int


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
        log(connection, now, actor, Action.DEVICE_UNINVITED, name=invitation.device_name)


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
