"""Find a named object for an actor who needs a permission for it, or raise a NotFound that says where to look.

An object outside every domain of the actor is not found: the message is the same as for one that does not exist.
"""

from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import scope_of, verify_may, verify_not_above, verify_somewhere
from sparekey.core.errors import BadInput, NotFound
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage.devices import devices
from sparekey.storage.devices.devices import Device
from sparekey.storage.people import accounts, domains
from sparekey.storage.people.accounts import Account
from sparekey.storage.people.domains import Domain
from sparekey.storage.policies import policies
from sparekey.storage.policies.policies import NamedPolicy
from sparekey.storage.sessions import clients
from sparekey.storage.sessions.clients import Client
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import AssignedToken, Token

ELSEWHERE: Final = "in another domain"  # the name of a device that does not exist for the actor


def get_account(connection: Connection, actor: Actor, login: str, needed: Permission) -> Account:
    account = accounts.find_account(connection, login)
    if account is None or not actor.sees(account.domain_id):
        raise NotFound(f"there is no user {login!r}", "see `sparekey user list`")
    verify_may(actor, needed, account.domain_id)
    if not needed.only_looks:
        verify_not_above(connection, actor, account.id)
    return account


def get_token(connection: Connection, actor: Actor, serial: str, needed: Permission) -> Token:
    token = tokens.find_token(connection, serial)
    if token is None or not actor.sees(token.scope_id):
        raise NotFound(f"there is no token {serial!r}", "see `sparekey token list`")
    verify_may(actor, needed, token.scope_id)
    if token.account_id is not None and not needed.only_looks:
        verify_not_above(connection, actor, token.account_id)
    return token


def get_assigned_token(connection: Connection, actor: Actor, serial: str, needed: Permission) -> AssignedToken:
    """Return a token that a user has. Raises NotFound or NotAllowed."""
    token = get_token(connection, actor, serial, needed)
    if not isinstance(token, AssignedToken):
        raise NotFound(f"token {serial!r} is not assigned to a user", "assign it to a user first")
    return token


def get_domain(connection: Connection, actor: Actor, name: str, needed: Permission) -> Domain:
    domain = domains.find_domain(connection, name)
    if domain is None or not actor.sees(domain.id):
        raise NotFound(f"there is no security domain {name!r}", "see `sparekey domain list`")
    verify_may(actor, needed, domain.id)
    return domain


def get_scope(connection: Connection, actor: Actor, domain: str, needed: Permission) -> frozenset[str] | None:
    """Return the domains that a search covers: those with the permission, in `domain` or below; None: all domains.

    Raises NotFound or NotAllowed.
    """
    within = verify_somewhere(actor, needed)
    if not domain:
        return within
    below = scope_of(connection, get_domain(connection, actor, domain, needed).id)
    if within is None or below is None:
        return within if below is None else below
    return within & below


def get_client(connection: Connection, actor: Actor, name: str, needed: Permission) -> Client:
    """Return an API client by name. Raises NotFound or NotAllowed."""
    client = clients.find_client_named(connection, name)
    if client is None or not actor.sees(client.domain_id):
        raise NotFound(f"there is no API client {name!r}", "see `sparekey client list`")
    verify_may(actor, needed, client.domain_id)
    if not needed.only_looks:
        verify_not_above(connection, actor, client.id, "API client")
    return client


def get_policy(connection: Connection, actor: Actor, kind: PolicyKind, name: str, needed: Permission) -> NamedPolicy:
    """Return a policy by name. Raises NotFound or NotAllowed.

    Policies belong to no domain. The permission to view them in any domain is enough to see them all; changing one
    needs the permission in all domains.
    """
    if needed.only_looks:
        verify_somewhere(actor, needed)
    else:
        verify_may(actor, needed, None)
    row = policies.find_policy(connection, kind, name)
    if row is None:
        raise NotFound(f"there is no {kind} policy {name!r}", f"see `sparekey policy {kind} list`")
    return row


def get_device(connection: Connection, actor: Actor, name: str, needed: Permission) -> Device:
    """Return a device by id or name. Raises NotFound, NotAllowed, or BadInput if several devices have the name.

    A device in use comes before revoked ones of the same name. An id comes before a name, because a device chooses its
    name, which may be the id of another device.
    """
    found = [device for device in devices.devices_named(connection, name) if actor.sees(device.domain_id)]
    if not found:
        raise NotFound(f"there is no device {name!r}", "see `sparekey device list`")
    in_use = [device for device in found if device.revoked_at is None]
    found = [device for device in found if device.id == name] or in_use or found
    if len(found) > 1:
        ids = ", ".join(device.id for device in found)
        raise BadInput(f"{len(found)} devices are named {name!r}", f"give one of their ids: {ids}")
    verify_may(actor, needed, found[0].domain_id)
    return found[0]
