"""Import tokens from a file: disabled and unassigned, with one event for each token.

Rules: all entries are read, verified and sealed before the transaction begins, so that sign-ins wait for the inserts
only. The file is one transaction, so that an error leaves nothing of it. A refused entry is reported, and the others
are imported. A serial number that exists keeps its old token (S11). A seed never leaves the server again.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from sparekey.app.audit import AuditEntry, row_of
from sparekey.app.audit_log.named_rows import names_of_actors
from sparekey.app.authorisation import verify_somewhere
from sparekey.app.hidden_names import count_hidden_names
from sparekey.app.instance import MICROSECONDS, TOP_DOMAIN, Instance, log, new_id
from sparekey.app.lookup import get_domain
from sparekey.app.snapshots import token_owner
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import Conflict
from sparekey.core.permissions import Actor, Permission
from sparekey.core.tokens import TOKEN_TYPES
from sparekey.json_value import Json
from sparekey.secret import Secret
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.events import AuditFilter
from sparekey.storage.people import domains
from sparekey.storage.tokens import imports as stored
from sparekey.storage.tokens.tokens import UnusedToken
from sparekey.token_files import Item, RefusedEntry, TokenEntry, read_token_file

BATCH: Final = 1_000  # rows that go to the database at once
_SEARCHED: Final = 100  # newest files, from which those that went to the actor's domains are listed
_TWICE: Final = "the file has this serial number twice: only the first entry is used"
_TAKEN: Final = "a token with this serial number already exists: it is not changed"

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class TokenImportReport:
    """The result of importing a file."""

    kind: str  # csv, pskc or sdtid
    added: int  # in a dry run, the number that would be added
    refusals: tuple[RefusedEntry, ...]  # in the file's order
    dry_run: bool


@dataclass(frozen=True)
class ImportedFile:
    """A file whose tokens were imported, at the unix second `at`. `by`: its importer, as far as the reader may know."""

    at: int
    by: str
    kind: str
    domain: str
    added: int
    refused: int


def import_tokens(
    instance: Instance,
    actor: Actor,
    data: bytes,
    password: Secret[str] | None,
    *,
    now: int,
    domain: str = TOP_DOMAIN,
    dry_run: bool = False,
    progress: Progress = lambda doing, number: None,  # noqa: ARG005 -- it reports nothing
) -> TokenImportReport:
    """Import the tokens of a file into a security domain. `progress` receives the current action and the number so far.

    Raises BadInput if the file as a whole is wrong; then no token is imported. Raises Conflict if another token was
    added with one of the serial numbers at the same time.
    """
    with instance.database.read() as connection:
        domain_id = get_domain(connection, actor, domain, Permission.TOKEN_IMPORT).id
    file = read_token_file(data, password, now)
    entries, refusals = _sorted(file.items, progress)
    if dry_run:
        with instance.database.read() as connection:
            taken = stored.find_taken(connection, [entry.serial for entry in entries])
        _count_hidden(instance, actor, taken, now)
        kept, more = _without_taken(entries, taken)
        return _report(file.kind, len(kept), refusals + more, dry_run=True)
    sealed = {entry.serial: _unused_token(instance, entry, domain_id, now) for entry in entries}
    try:
        with instance.database.write() as connection:
            get_domain(connection, actor, domain, Permission.TOKEN_IMPORT)
            taken = stored.find_taken(connection, [entry.serial for entry in entries])
            kept, more = _without_taken(entries, taken)
            report = _report(file.kind, len(kept), refusals + more, dry_run=False)
            _insert(connection, actor, [sealed[entry.serial] for entry in kept], now, progress)
            _log_import(connection, actor, report, domain, now)
    except IntegrityError as error:
        raise Conflict(
            "another token was added with one of these serial numbers in the meantime", "import the file again"
        ) from error
    _count_hidden(instance, actor, taken, now)
    return report


def list_imports(instance: Instance, actor: Actor, limit: int = 10) -> list[ImportedFile]:
    """Return the last imported files, newest first, that went into domains in which the actor may import."""
    within = verify_somewhere(actor, Permission.TOKEN_IMPORT)
    with instance.database.read() as connection:
        rows = audit_events.list_rows(connection, AuditFilter(actions=[Action.TOKEN_IMPORTED]), limit=_SEARCHED)
        found = [(row, json.loads(row.detail)) for row in rows]
        if within is not None:
            names = {row.name for row in domains.list_domains(connection) if row.id in within}
            found = [(row, detail) for row, detail in found if detail["domain"] in names]
        found = found[:limit]
        importers = names_of_actors(connection, actor, [row.actor for row, _ in found])
    return [
        ImportedFile(
            row.at // MICROSECONDS,
            importers.get(row.actor, row.actor),
            detail["kind"],
            detail["domain"],
            detail["added"],
            detail["refused"],
        )
        for row, detail in found
    ]


def _sorted(items: Iterator[Item], progress: Progress) -> tuple[list[TokenEntry], list[RefusedEntry]]:
    """Return the entries that have a serial number of their own, and the refused entries."""
    entries: dict[str, TokenEntry] = {}
    refusals: list[RefusedEntry] = []
    for number, item in enumerate(items, 1):
        if isinstance(item, RefusedEntry):
            refusals.append(item)
        elif item.serial in entries:
            refusals.append(RefusedEntry(item.number, item.serial, _TWICE))
        else:
            entries[item.serial] = item
        if number % BATCH == 0:
            progress("read", number)
    return list(entries.values()), refusals


def _count_hidden(instance: Instance, actor: Actor, taken: Mapping[str, str], now: int) -> None:
    count_hidden_names(instance, actor, sum(not actor.sees(domain_id) for domain_id in taken.values()), now)


def _without_taken(
    entries: Sequence[TokenEntry], taken: Collection[str]
) -> tuple[list[TokenEntry], list[RefusedEntry]]:
    kept = [entry for entry in entries if entry.serial not in taken]
    return kept, [RefusedEntry(entry.number, entry.serial, _TAKEN) for entry in entries if entry.serial in taken]


def _unused_token(instance: Instance, entry: TokenEntry, domain_id: str, now: int) -> UnusedToken:
    token_id = new_id()
    parameters = entry.parameters
    # `counter` is that of the next code, so the one before it counts as used
    last_step = TOKEN_TYPES[entry.type].unused + entry.counter
    owner = token_owner(None, token_id)
    return UnusedToken(
        id=token_id,
        serial=entry.serial,
        type=entry.type,
        account_id=None,
        domain_id=domain_id,
        digits=parameters.digits,
        interval=parameters.interval,
        algorithm=parameters.algorithm,
        seed_sealed=instance.vault.seal("token.seed_sealed", token_id, owner, parameters.seed.reveal()),
        last_step=last_step,
        enabled=False,
        expires_at=entry.expires_at,
        with_pin=entry.with_pin,
        created_at=now,
    )


def _insert(connection: Connection, actor: Actor, new: Sequence[UnusedToken], now: int, progress: Progress) -> None:
    for start in range(0, len(new), BATCH):
        batch = new[start : start + BATCH]
        stored.insert_tokens(connection, batch)
        audit_events.insert_rows(connection, [_added(actor, token, now) for token in batch])
        progress("imported", start + len(batch))


def _added(actor: Actor, token: UnusedToken, now: int) -> dict[str, str | int | None]:
    detail: dict[str, Json] = {
        "serial": token.serial,
        "imported": True,
        "step": token.last_step,
        "expires": token.expires_at,
    }
    return row_of(AuditEntry(now * MICROSECONDS, actor.name, Action.TOKEN_ADDED, token_id=token.id, detail=detail))


def _log_import(connection: Connection, actor: Actor, report: TokenImportReport, domain: str, now: int) -> None:
    log(
        connection,
        now,
        actor,
        Action.TOKEN_IMPORTED,
        kind=report.kind,
        domain=domain,
        added=report.added,
        refused=len(report.refusals),
    )


def _report(kind: str, added: int, refusals: list[RefusedEntry], *, dry_run: bool) -> TokenImportReport:
    return TokenImportReport(kind, added, tuple(sorted(refusals, key=lambda refusal: refusal.number)), dry_run)
