"""Callers over REST: an administrator with a session, or an API client with a key and a role.

Rules: a client's roles apply only within its own scope, and from its own addresses. An unknown caller is refused
without a reason.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.authorisation import grants_of, scope_of
from sparekey.app.instance import Instance
from sparekey.app.sessions.administrators import TOKEN_PREFIX, Session, find_session
from sparekey.app.sessions.clients import find_client_in_force
from sparekey.core.permissions import Actor, Grant
from sparekey.secret import Secret
from sparekey.storage.sessions.clients import Client


@dataclass(frozen=True)
class Caller:
    """A caller over REST. `session` is None for an API client, which has no second factor."""

    actor: Actor
    session: Session | None = None

    def has_fresh_second_factor(self, now: int) -> bool:
        return self.session is None or self.session.is_fresh(now)


def find_caller(instance: Instance, bearer: Secret[str], address: str, now: int) -> Caller | None:
    """Return the owner of this token or key, with the rights that apply now from this address; None: refuse."""
    if bearer.reveal().startswith(TOKEN_PREFIX):
        session = find_session(instance, bearer, now)
        return None if session is None else Caller(session.actor, session)
    with instance.database.read() as connection:
        client = find_client_in_force(connection, bearer, address, now)
        return None if client is None else Caller(_client_actor(connection, client))


def _client_actor(connection: Connection, client: Client) -> Actor:
    scope = scope_of(connection, client.domain_id)
    grants = tuple(_within(grant, scope) for grant in grants_of(connection, client.id))
    return Actor(f"client:{client.id}", grants)


def _within(grant: Grant, scope: frozenset[str] | None) -> Grant:
    """Limit a grant to a scope; None: no limit."""
    if scope is None:
        return grant
    return Grant(grant.permissions, scope if grant.domains is None else grant.domains & scope)
