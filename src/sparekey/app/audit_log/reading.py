"""Read the audit log: the newest events, all or filtered, and the state of the chain.

Rule: a token or device may have been used by people in several domains. Readers see only events about users in their
own domains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit import SYSTEM
from sparekey.app.audit_log.named_rows import NamedEvent, with_names
from sparekey.app.authorisation import verify_may
from sparekey.app.instance import MICROSECONDS, Instance
from sparekey.app.lookup import get_account, get_device, get_token
from sparekey.core.errors import NotFound
from sparekey.core.permissions import Actor, Permission
from sparekey.storage import names
from sparekey.storage.audit_log import chain as audit_chain
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.events import AuditFilter

REFUSED: Final = "refused"  # the value of `result` for every refusal, whatever its reason
MOST_WAITING: Final = 1_000  # unchained events are counted up to this number
_UNNAMED: Final = ("os", "rest", "self")  # kinds of actors that are neither users, devices nor API clients
_SERVER: Final = "the server"  # the name of SYSTEM in lists
_LATEST: Final = 2**63 // MICROSECONDS - 1  # seconds whose microseconds a column holds


@dataclass(frozen=True)
class ChainState:
    """The head of the chain: the number of its last batch, the time of signing, and the number of events up to it.

    All are 0 if no event is chained. `waiting`: events that no batch covers yet, counted up to MOST_WAITING.
    """

    batch: int
    signed_at: int
    rows: int
    waiting: int


def list_events(
    instance: Instance,
    actor: Actor,
    *,
    limit: int = 100,
    before: int | None = None,
    user: str | None = None,
    serial: str | None = None,
    device: str | None = None,
    actions: Sequence[str] = (),
    by: str | None = None,
    result: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> list[NamedEvent]:
    """Return at most `limit` events, newest first, with ids less than `before`. All filters must match.

    `by`: the actor: a login, the name of a device or an API client, an os_account of the server (`root`), the address
    of a sign-in (`192.0.2.7`), or the actor as the audit log names it (`os:root`). `result`: `ok`, `refused`, or one
    reason. `since`, `until`: unix seconds, both included. Raises NotFound or NotAllowed.
    """
    if not (user or serial or device):
        verify_may(actor, Permission.AUDIT_VIEW, None)
    with instance.database.read() as connection:
        wanted = AuditFilter(
            account_id=get_account(connection, actor, user, Permission.AUDIT_VIEW).id if user else None,
            token_id=get_token(connection, actor, serial, Permission.AUDIT_VIEW).id if serial else None,
            device_id=get_device(connection, actor, device, Permission.AUDIT_VIEW).id if device else None,
            actions=actions,
            actors=_actors(connection, actor, by) if by else (),
            result=result if result and result != REFUSED else "",
            refused_only=result == REFUSED,
            since=None if since is None else _microseconds(since),
            until=None if until is None else _microseconds(until) + MICROSECONDS - 1,
            domains=actor.domains_with(Permission.AUDIT_VIEW),
        )
        return with_names(connection, actor, audit_events.list_rows(connection, wanted, limit=limit, before=before))


def _microseconds(at: int) -> int:
    """Return a time in microseconds, limited to the range that a column can hold."""
    return max(-_LATEST, min(at, _LATEST)) * MICROSECONDS


def chain_state(instance: Instance, actor: Actor) -> ChainState:
    """Return the state of the chain. Raises NotAllowed unless the actor may see the whole audit log."""
    verify_may(actor, Permission.AUDIT_VIEW, None)
    with instance.database.read() as connection:
        head = audit_chain.find_head(connection)
        waiting = audit_chain.count_unchained(connection, MOST_WAITING)
    if head is None:
        return ChainState(0, 0, 0, waiting)
    return ChainState(head.number, head.signed_at, head.total, waiting)


def _actors(connection: Connection, reader: Actor, name: str) -> tuple[str, ...]:
    """Return the actors of this name as the audit log names them. Raises NotFound.

    Users, devices and API clients of this name come before other actors.
    """
    if name in (SYSTEM, _SERVER):
        return (SYSTEM,)
    named = names.actors_named(connection, name)
    found = [f"{actor.kind}:{actor.id}" for actor in named if reader.sees(actor.domain_id)]
    if not found:
        found = [actor for actor in (f"{kind}:{name}" for kind in _UNNAMED) if _has_acted(connection, reader, actor)]
    if not found and ":" in name:
        found = [name]
    if not found:
        raise NotFound(
            f"there is no user, device or API client {name!r}, and no event of an actor with that name",
            "give a name as a list shows it",
        )
    return tuple(found)


def _has_acted(connection: Connection, reader: Actor, actor: str) -> bool:
    """Return True if the reader may see an event of this actor."""
    wanted = AuditFilter(actors=(actor,), domains=reader.domains_with(Permission.AUDIT_VIEW))
    return bool(audit_events.list_rows(connection, wanted, limit=1))
