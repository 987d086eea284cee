"""The side of each column: sealed, or not, and why not. One declaration for each table.

Rules:
- A column that decides who may do what is sealed with its row (`core.row_seals`): one seal for each group of columns
  that are written together. An intruder who can write to the database but has no key cannot make such a row.
- A column that is not sealed has a reason here (S47). A house test compares this list with the tables.
- A change of a group's columns names the revision in `SEALED_SINCE`, so that `sparekey upgrade` seals those rows again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from sqlalchemy import Boolean, LargeBinary, Table

from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.row_seals import SealedKind
from sparekey.storage.failure_counts import COUNT_NAMES
from sparekey.storage.tables import metadata

SEAL: Final = "seal"  # the column of the seal of a row
COUNTS_SEAL: Final = "counts_seal"  # of the counts of failures of an account (storage/sealed_counts.py)
SEALED_SINCE: Final = "0021"
"""The newest revision that changed what is sealed."""

_ENCRYPTED: Final = "encrypted: bound to its row and owner"
_FOUND_BY: Final = "finds or sorts rows in lists: never decides"
_TOLD: Final = "only told to people"
_REPLACED: Final = "only when the next version is made: the code's end is sealed, and the chained log has each use"
_EVENTS: Final = "the place in the chain of events, which the device signs: an older place has the alarm of a fork"
_GENERATION: Final = "a device refuses a generation lower than it has: no more than data that is not renewed"
_USED_HERE: Final = "decides only whether a right passcode of a used step counts as a failure"
_MAIL: Final = "only when a mail is sent: a removed mail is in the chained log as its event"


@dataclass(frozen=True)
class Sides:
    """The columns of a table that are sealed, by the column of their seal, and the reasons of those that are not."""

    sealed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    free: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, str] = field(default_factory=dict)  # revisions of columns that were sealed later, by name
    apart: str = ""  # the seal that is verified only where its columns decide; an altered group leaves its row intact


def _sealed(*columns: str, **free: str) -> Sides:
    return Sides({SEAL: columns}, free)


def _also_sealed(seal: str, group: tuple[str, ...], *columns: str, **free: str) -> Sides:
    """Return the sides of a table with a second group of columns, which are written more often than the first."""
    return Sides({SEAL: columns, seal: group}, free)


def _free(reason: str, *columns: str) -> Sides:
    return Sides(free=dict.fromkeys(columns, reason))


def _session(*more: str) -> Sides:
    columns = ("id", "account_id", "last_used_at", "expires_at", "second_factor_at", "method")
    return _sealed(*columns, *more, created_at=_TOLD)


def _policy(kind: PolicyKind) -> Sides:
    return _sealed("id", "name", "is_default", "revision", *kind.fields)


SIDES: Final[Mapping[str, Sides]] = {
    **{f"{kind}_policy": _policy(kind) for kind in PolicyKind},
    "security_domain": _sealed("id", "name", "parent_id", *(f"{kind}_policy_id" for kind in PolicyKind)),
    "account": Sides(
        {
            SEAL: ("id", "login", "name", "domain_id", "enabled", "expires_at", "mail"),
            COUNTS_SEAL: ("id", *COUNT_NAMES),
        },
        {"created_at": _TOLD, "words": _FOUND_BY, "name_key": _FOUND_BY},
        since={COUNTS_SEAL: "0021"},
        apart=COUNTS_SEAL,
    ),
    "token": _also_sealed(
        "step_seal",
        ("id", "last_step", "drift"),
        "id",
        "serial",
        "type",
        "account_id",
        "digits",
        "interval",
        "algorithm",
        "seed_sealed",
        "enabled",
        "lost",
        "expires_at",
        "with_pin",
        "pin_sealed",
        "pin_salt",
        "pin_memory",
        "pin_passes",
        "offline_code_online",
        "pin_must_change",
        "pin_set_at",
        "domain_id",
        "pin_counts_from",
        pin_history_sealed=f"{_ENCRYPTED}; decides only which former PINs a user may not choose again",
        reported_from=_USED_HERE,
        reported_to=_USED_HERE,
        replay_step="decides only whether a repeated passcode counts once more as a failure",
        created_at="the order of a user's tokens",
        serial_key=_FOUND_BY,
    ),
    "emergency_code": _sealed(
        "id",
        "kind",
        "token_id",
        "account_id",
        "version",
        "not_after",
        code_sealed=_ENCRYPTED,
        created_at="the code has an end of its own, which is sealed",
        shown_at=_REPLACED,
        used_at=_REPLACED,
        reset_at=_REPLACED,
    ),
    "device": _sealed(
        "id",
        "name",
        "domain_id",
        "public_key",
        "supports_offline",
        "hardware_bound",
        "enrolled_at",
        "revoked_at",
        last_contact=_TOLD,
        event_number=_EVENTS,
        event_hash=_EVENTS,
        name_key=_FOUND_BY,
        protection=f"{_TOLD}, as the device's own word",
        exempt_accounts=f"{_TOLD}, as the device's own word",
    ),
    "device_invitation": _sealed(
        "id", "device_name", "domain_id", "secret_hash", "expires_at", "used_at", created_at=_TOLD
    ),
    "device_account": _sealed(
        "device_id",
        "account_id",
        "login",
        generation=_GENERATION,
        offline_key_sealed=_ENCRYPTED,
        check="names the key, which the device verifies: another one opens nothing",
        confirmed_key_sealed=_ENCRYPTED,
        confirmed_check="names the key, which the device verifies: another one opens nothing",
        stale=_GENERATION,
        last_sign_in="only which user's data drops out of a full device",
    ),
    "offline_event": _free(
        "tells a repeated upload from a forked device, by the hash of an event that the device signed",
        "device_id",
        "number",
        "event_hash",
        "uploaded_at",
    ),
    "device_token": _sealed(
        "device_id", "token_id", "account_id", last_used="only which token's data drops out of a full device"
    ),
    "device_code": _sealed("device_id", "owner_id", "account_id", "code_id", "held_code_id", held_since=_TOLD),
    "reported_success": _free(
        "what a device used up: a removed row allows that device some more, and the chained log has each",
        "device_id",
        "account_id",
        "minute",
        "token_id",
        "successes",
        "codes",
        "cost",
        "short_outage",
    ),
    "unit_receipt": _free(
        "which units a device holds: it decides what is sealed again or erased, and never who signs in",
        "id",
        "device_id",
        "account_id",
        "token_id",
        "kind",
        "day",
        "first",
        "count",
        "generation",
        "version",
        "policy_revision",
        "unit_hash",
        "sealed_at",
        "not_after",
        "acknowledged_at",
        "fetches",
        "fetches_since",
    ),
    "emergency_showing": _sealed("id", "code_id", "device_id", "operator", "caller", "note", "ticket", "shown_at"),
    "api_client": _sealed(
        "id", "name", "key_hash", "domain_id", "addresses", "expires_at", "revoked_at", created_at=_TOLD
    ),
    "online_emergency": _sealed(
        "token_id", "account_id", "kind", "if_available", "expires_at", "created_by", created_at=_TOLD
    ),
    "online_emergency_code": _sealed("id", "token_id", "used_at", code_sealed=_ENCRYPTED),
    "dialogue": _sealed(
        "id",
        "account_id",
        "token_id",
        "ask",
        "actor",
        "login",
        "method",
        "step",
        "tries",
        "expires_at",
        pin_sealed=_ENCRYPTED,
    ),
    "admin_session": _session("address"),
    "user_session": _session("token_id"),
    "passkey": _sealed(
        "id",
        "account_id",
        "name",
        "host",
        "credential_id",
        "public_key",
        "sign_count",
        created_at=_TOLD,
        last_used_at=_TOLD,
    ),
    "passkey_challenge": _free(
        "a removed row lets the browser that answered repeat its answer within two minutes",
        "id",
        "expires_at",
    ),
    "admin_link": _sealed("id", "account_id", "created_by", "expires_at", "used_at", created_at=_TOLD),
    "approval": Sides(
        {
            SEAL: (
                "id",
                "account_id",
                "device_id",
                "asked_by",
                "caller",
                "note",
                "ticket",
                "asked_at",
                "expires_at",
                "decided_by",
                "decided_at",
                "approved",
                "executed_at",
                "act",
                "subject_id",
                "subject",
            )
        },
        since=dict.fromkeys(("act", "subject_id", "subject"), "0020"),
    ),
    "operator_lift": _sealed(
        "operator", "until", "lifted_by", "lifted_at", warned_at="only whether an operator is warned once more"
    ),
    "operator_showing": _free(
        "counts shown codes: a removed row allows one more, and the chained log has each",
        "id",
        "operator",
        "shown_at",
    ),
    "operator_act": _free(
        "counts acts: a removed row allows one more, and the chained log has each",
        "id",
        "operator",
        "kind",
        "number",
        "at",
    ),
    "outbox": _sealed(
        "id",
        "kind",
        "recipient",
        "subject",
        "body",
        "account_id",
        "created_at",
        attempts=_MAIL,
        next_attempt_at=_MAIL,
        sent_at=_MAIL,
        last_error=_MAIL,
    ),
    "alarm": _free(
        "a list for people: the chained log has each alarm",
        "id",
        "action",
        "actor",
        "first_at",
        "last_at",
        "times",
        "noticed_at",
        "account_id",
        "token_id",
        "device_id",
        "result",
        "detail",
        "acknowledged_at",
        "acknowledged_by",
    ),
    "account_word": Sides(free={"word": _FOUND_BY, "login": _FOUND_BY}),
    "anonymous_refusal": _free(
        "told to people after at most a minute, like an event that is not chained yet: never decides",
        "id",
        "at",
        "source",
        "reason",
    ),
    "audit": _free(
        "sealed with a nonce until it is chained and signed (storage/audit_log/events.py)",
        "id",
        "at",
        "actor",
        "action",
        "account_id",
        "token_id",
        "device_id",
        "result",
        "detail",
        "batch",
        "seal",
    ),
    "audit_batch": _free(
        "signed by the checkpoint key, and verified with the whole chain",
        "number",
        "previous",
        "rows_hash",
        "row_list",
        "rows",
        "total",
        "hash",
        "signed_at",
        "signature",
    ),
    "data_key": _free(
        "wrapped by the keystore with its version: another one opens nothing",
        "version",
        "wrapped",
        "created_at",
    ),
    "export_cursor": _free(
        "how far a collector has the log: what is left out or sent twice has gaps or repeats in its numbers",
        "name",
        "batch",
        "claimed_by",
        "claimed_until",
    ),
    "role": _sealed("id", "name", "permissions", created_at=_TOLD),
    "role_grant": _sealed("id", "role", "principal_id", "domain_id", created_at=_TOLD),
}


@cache
def kinds_of(table: str, at: str | None = None) -> Mapping[str, SealedKind]:
    """Return the groups of sealed columns of a table, by the column of their seal. Empty: the table has none.

    `at`: as they were at that revision.
    """
    sides = SIDES.get(table, Sides())
    groups = {
        seal: tuple(name for name in columns if at is None or sides.since.get(name, "") <= at)
        for seal, columns in sides.sealed.items()
        if at is None or sides.since.get(seal, "") <= at
    }
    return {seal: _kind(metadata.tables[table], seal, columns) for seal, columns in groups.items()}


@cache
def row_kinds_of(table: str) -> Mapping[str, SealedKind]:
    """Return the groups that must hold wherever a row of the table decides, by the column of their seal."""
    return {seal: kind for seal, kind in kinds_of(table).items() if seal != SIDES[table].apart}


def is_seal(column: str) -> bool:
    """Return True for the name of a column that holds a seal."""
    return column == SEAL or column.endswith("_seal")


def changed_since(revision: str) -> list[str]:
    """Return the tables whose sealed columns have changed after that revision."""
    return [name for name, sides in SIDES.items() if any(since > revision for since in sides.since.values())]


def _kind(table: Table, seal: str, columns: tuple[str, ...]) -> SealedKind:
    name = table.name if seal == SEAL else f"{table.name}.{seal}"
    types = [table.c[column].type for column in columns]
    octets = tuple(place for place, kind in enumerate(types) if isinstance(kind, LargeBinary))
    truths = tuple(place for place, kind in enumerate(types) if isinstance(kind, Boolean))
    return SealedKind(name, columns, octets, truths)
