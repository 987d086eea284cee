"""API clients: programs that verify passcodes over REST."""

import hashlib
import ipaddress
import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_somewhere
from sparekey.app.hidden_names import hidden_names_counted, name_taken
from sparekey.app.instance import TOP_DOMAIN, Instance, log, new_id
from sparekey.app.lookup import get_client, get_domain, get_scope
from sparekey.app.sign_in.verification import SignInInterface
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput
from sparekey.core.names import verify_name
from sparekey.core.networks import is_within
from sparekey.core.permissions import Actor, Permission
from sparekey.core.search_words import verify_length
from sparekey.secret import Secret
from sparekey.storage.people import domains
from sparekey.storage.sealed_rows import seals_of
from sparekey.storage.sessions import clients
from sparekey.storage.sessions.clients import Client

KEY_PREFIX = "spk_"
LONGEST_ADDRESSES = 500
_STATES: Final = ("", "in-use", "expired", "revoked")


@dataclass(frozen=True)
class ClientView:
    name: str
    domain: str
    addresses: str
    expires_at: int | None
    revoked_at: int | None
    created_at: int


@dataclass(frozen=True)
class ClientSearch:
    """Filters for API clients, combined with AND. An empty value matches everything.

    `text`: a part of the name. `domain`: this domain and all below it. `state`: in-use, expired or revoked.
    """

    text: str = ""
    domain: str = ""
    state: str = ""


def add_client(
    instance: Instance,
    actor: Actor,
    name: str,
    domain: str = TOP_DOMAIN,
    addresses: str = "",
    expires_at: int | None = None,
    *,
    now: int,
) -> Secret[str]:
    """Add an API client for the users of a domain and below. Return its key, which is stored only as a hash.

    The client has no role. Administrators can later grant it only rights that they have themselves (`people.roles`).
    Raises BadInput, NotFound, NotAllowed or Conflict.
    """
    verify_name(name, "client", 128)
    # Safe because an empty element is refused: it cannot turn a list into "any address".
    networks = ",".join(str(_network(address)) for address in addresses.split(",")) if addresses else ""
    if len(networks) > LONGEST_ADDRESSES:
        raise BadInput("too many addresses for one API client", "give networks instead, or add a second client")
    key = Secret(KEY_PREFIX + secrets.token_urlsafe(32))
    with hidden_names_counted(instance, actor, now), instance.database.write() as connection:
        domain_id = get_domain(connection, actor, domain, Permission.CLIENT_MANAGE).id
        existing = clients.find_client_named(connection, name)
        if existing is not None:
            raise name_taken(actor, existing.domain_id, f"an API client {name!r} already exists", "choose another name")
        client_id = new_id()
        clients.insert_client(
            connection,
            client_id=client_id,
            name=name,
            key_hash=_key_hash(connection, key),
            domain_id=domain_id,
            addresses=networks,
            created_at=now,
            expires_at=expires_at,
        )
        log(connection, now, actor, Action.CLIENT_ADDED, client=client_id, name=name, domain=domain)
    return key


def find_client_interface(instance: Instance, key: Secret[str], address: str, now: int) -> SignInInterface | None:
    """Return the interface of the client with this key that calls from this address; None: refuse, without a reason."""
    with instance.database.read() as connection:
        client = find_client_in_force(connection, key, address, now)
        if client is None:
            return None
        return SignInInterface(f"client:{client.id}", scope=domains.domain_and_below(connection, client.domain_id))


def find_client_in_force(connection: Connection, key: Secret[str], address: str, now: int) -> Client | None:
    """Return the valid client with this key that calls from this address; None: refuse."""
    client = clients.find_client(connection, _key_hash(connection, key))
    if client is None or client.revoked_at is not None or (client.expires_at is not None and now >= client.expires_at):
        return None
    return client if not client.addresses or is_within(address, client.addresses.split(",")) else None


def list_clients(instance: Instance, actor: Actor, limit: int = 100, after: str = "") -> list[ClientView]:
    """Return API clients in order of name, from the one after `after`. Raises NotAllowed."""
    within = verify_somewhere(actor, Permission.CLIENT_VIEW)
    with instance.database.read() as connection:
        return [_view(client) for client in clients.list_clients(connection, limit, after, within)]


def search_clients(
    instance: Instance, actor: Actor, wanted: ClientSearch, limit: int = 50, after: str = "", *, now: int
) -> list[ClientView]:
    """Return API clients that match, in order of name, from the one after `after`.

    Raises BadInput for an unknown state, NotFound or NotAllowed.
    """
    verify_length(wanted.text)
    if wanted.state not in _STATES:
        raise BadInput(f"{wanted.state!r} is not a state of an API client", f"give one of: {', '.join(_STATES[1:])}")
    with instance.database.read() as connection:
        within = get_scope(connection, actor, wanted.domain, Permission.CLIENT_VIEW)
        text = wanted.text.strip().lower()
        found = clients.search_clients(connection, text, wanted.state, within, limit, after, now)
        return [_view(client) for client in found]


def show_client(instance: Instance, actor: Actor, name: str) -> ClientView:
    """Return an API client by name, revoked or not. Raises NotFound or NotAllowed."""
    with instance.database.read() as connection:
        return _view(get_client(connection, actor, name, Permission.CLIENT_VIEW))


def revoke_client(instance: Instance, actor: Actor, name: str, *, now: int) -> None:
    """Revoke an API client: its key is refused from now on. Raises NotFound or NotAllowed.

    Administrators cannot revoke a client that has rights which they do not have themselves.
    """
    with instance.database.write() as connection:
        client = get_client(connection, actor, name, Permission.CLIENT_MANAGE)
        clients.revoke_client(connection, client.id, now)
        log(connection, now, actor, Action.CLIENT_REVOKED, client=client.id, name=name)


def _view(client: Client) -> ClientView:
    return ClientView(
        client.name, client.domain, client.addresses, client.expires_at, client.revoked_at, client.created_at
    )


def _key_hash(connection: Connection, key: Secret[str]) -> bytes:
    # Safe because the key has 256 random bits. An intruder in the database has no key of the server for a hash (S47).
    digest = hashlib.sha256(b"sparekey/1/client-key" + key.reveal().encode(errors="surrogatepass")).digest()
    return seals_of(connection).seals.id_of(digest)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise BadInput(
            f"{text.strip()!r} is not an address or network", "give for example 192.0.2.7,2001:db8::/32"
        ) from error
