"""One running server as the use cases see it: its database, its keys, and its pool for hashing."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from sparekey.app.audit import AuditEntry, append
from sparekey.app.installed_codes import RecentlyInstalled
from sparekey.app.ports import Keystore
from sparekey.app.vault import Vault
from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.networks import SourcePrefixes
from sparekey.core.permissions import Actor
from sparekey.json_value import Json
from sparekey.sealed import Run, one_by_one
from sparekey.storage.unit_of_work import Database

TOP_DOMAIN = "SystemDomain"
DEFAULT_POLICY = "Default"
MICROSECONDS = 1_000_000  # events carry their time in microseconds


def _nothing() -> None:
    """Do nothing, if nothing is sealed beside sign-ins."""


@dataclass(frozen=True)
class Instance:
    """A running server: the first argument of every use case. Safe to share between threads."""

    name: str
    database: Database
    keystore: Keystore
    vault: Vault
    ca_certificate: bytes  # DER of the CA that devices pin; enrolment codes contain its hash
    run: Run = one_by_one  # the map function that seals records, for example of a pool
    source_prefixes: SourcePrefixes = SourcePrefixes()
    user_signed_in: Callable[[], None] = _nothing  # lets sealing give way
    installed: RecentlyInstalled = field(default_factory=RecentlyInstalled, compare=False)


def new_id() -> str:
    """Return 128 random bits in hex: an id that is never used again."""
    return secrets.token_hex(16)


def log(
    connection: Connection,
    now: int,
    actor: Actor | str,
    action: Action,
    *,
    result: str = OK,
    account: str | None = None,
    token: str | None = None,
    device: str | None = None,
    **detail: Json,
) -> None:
    """Log an event in the caller's transaction; `now` in unix seconds. Raises TypeError if `detail` holds a Secret."""
    name = actor.name if isinstance(actor, Actor) else actor
    append(connection, AuditEntry(now * MICROSECONDS, name, action, result, account, token, device, detail))
