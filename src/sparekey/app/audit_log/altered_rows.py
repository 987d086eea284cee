"""Rows of the database whose seal does not hold: list them, show one, and accept one as it is (S47, ADR 35).

Rules:
- Only a system account on the server may do this: to accept a row is what an intruder wants. No other interface has it.
- A row is accepted only with the values that were shown, and never if it contradicts the audit log, or is a user or a
  token that the log does not know. So a forged value of a fact that the log tells gets no seal here.
- A row that a command can make again, such as a grant, a passkey or a session, is not accepted.
- Counts of failures are not accepted: unlocking the user clears them.
- Each acceptance raises an alarm.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Table

from sparekey.app.audit_log.watcher import Watcher
from sparekey.app.instance import Instance
from sparekey.app.notices import raise_alarm
from sparekey.app.ports import KeyPurpose, WatchBook
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.watched import Difference, Fact, Facts, Named, WatchedKind, policy_key
from sparekey.core.errors import BadInput, Conflict, NotFound
from sparekey.core.permissions import Actor
from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage import one_row
from sparekey.storage.audit_log import alarms
from sparekey.storage.one_row import Values
from sparekey.storage.seal_sides import COUNTS_SEAL, is_seal
from sparekey.storage.sealed_rows import unsealed
from sparekey.storage.seals_in_use import AlteredRow

_POLICIES: Final = {f"{kind}_policy": kind for kind in PolicyKind}
# Tables of which a row may be accepted: other rows belong to them, so no command can make them again.
ACCEPTED: Final = ("account", "token", "security_domain", "role", *_POLICIES)
_TOLD_FROM_THE_START: Final = ("account", "token")  # each of their rows has an event that made it
_HERE: Final = "os:"  # the beginning of the name of a system account
_DIGEST: Final = 16  # characters


@dataclass(frozen=True)
class SealedRow:
    """A sealed row as it is stored, and what the audit log says about its object.

    `altered`: the seal does not hold. `values`: of the columns that decide; bytes as their length and hash.
    `logged`: the facts of the log; None: it says nothing about the object, or cannot say it of this table.
    `fingerprint`: of all values.
    """

    table: str
    key: str
    altered: bool
    user: str | None
    token: str | None
    device: str | None
    values: Mapping[str, Fact]
    logged: Facts | None
    contradictions: Sequence[Difference]
    fingerprint: str


def list_altered(instance: Instance, actor: Actor) -> list[AlteredRow]:
    """Return all rows whose seal does not hold, by table and key. It reads every sealed row."""
    _verify_here(actor)
    with instance.database.read() as connection:
        return [
            AlteredRow(table.name, "/".join(map(str, key)))
            for table in one_row.sealed_tables()
            for key in unsealed(connection, table)
        ]


def show_row(instance: Instance, actor: Actor, table: str, key: str, book: WatchBook, *, now: int) -> SealedRow:
    """Return one sealed row. It reads the whole audit log into `book`, an empty one. Raises NotFound."""
    _verify_here(actor)
    place = AlteredRow(table, key)
    with instance.database.read() as connection:
        row = _get(connection, place)
    named = _named(place, row)
    logged, contradictions = _told(instance, named, book, now) if named else (None, [])
    with instance.database.read() as connection:
        names = alarms.find_names(connection, *(_id_in(place, row, kind) for kind in ("account", "token", "device")))
        altered = bool(one_row.broken_seals(connection, _table(place), row))
    return SealedRow(
        table=table,
        key=key,
        altered=altered,
        user=names["user"],
        token=names["token"],
        device=names["device"],
        values={name: _shown(value) for name, value in row.items() if not is_seal(name)},
        logged=logged,
        contradictions=contradictions,
        fingerprint=_fingerprint(row),
    )


def verify_acceptable(shown: SealedRow) -> None:
    """Raise BadInput or Conflict if this row cannot be accepted."""
    if shown.table not in ACCEPTED:
        raise BadInput(
            f"rows of {shown.table} are not accepted", "delete the row from the database, and make the object again"
        )
    if shown.contradictions:
        raise Conflict(
            "the row contradicts the audit log", "put back the values that the log says, then use the commands"
        )
    if shown.logged is None and shown.table in _TOLD_FROM_THE_START:
        raise Conflict("the audit log says nothing about this row, so it may have been inserted", "restore a backup")


def accept_row(instance: Instance, actor: Actor, shown: SealedRow, *, now: int) -> None:
    """Seal the row with the values that were shown, and raise an alarm. Raises BadInput, Conflict or NotFound."""
    _verify_here(actor)
    place = AlteredRow(shown.table, shown.key)
    verify_acceptable(shown)
    with instance.database.write() as connection:
        row = _get(connection, place, lock=True)
        if _fingerprint(row) != shown.fingerprint:
            raise Conflict("the row has changed since it was shown", "look at it again")
        broken = one_row.broken_seals(connection, _table(place), row)
        if not broken:
            raise Conflict("the seal of this row holds", "there is nothing to accept")
        if broken == [COUNTS_SEAL]:
            raise Conflict("only the counts of failures were altered", "run `sparekey user unlock`")
        try:
            one_row.seal_as_it_is(connection, _table(place), _parts(place), row)
        except (TypeError, ValueError, KeyError) as error:
            raise BadInput("the row has a value of another type than its column", "restore a backup") from error
        raise_alarm(
            connection,
            now,
            actor,
            Action.ALARM_ROW_ACCEPTED,
            account=_id_in(place, row, "account"),
            token=_id_in(place, row, "token"),
            table=shown.table,
            row=shown.key,
            fingerprint=shown.fingerprint,
        )


def _verify_here(actor: Actor) -> None:
    if not actor.name.startswith(_HERE):
        raise BadInput("this works only on the server itself", "run it there, with --data DIR")


def _table(place: AlteredRow) -> Table:
    found = [table for table in one_row.sealed_tables() if table.name == place.table]
    if not found:
        raise NotFound(f"no table {place.table!r} has sealed rows", "see `sparekey row list`")
    return found[0]


def _parts(place: AlteredRow) -> list[str]:
    """Return the values of the primary key. Only a key of one value may contain a slash."""
    count = len(_table(place).primary_key.columns)
    parts = place.key.split("/", count - 1)
    if len(parts) != count:
        raise NotFound(
            f"a key of {place.table} has {count} values with a slash between them", "see `sparekey row list`"
        )
    return parts


def _get(connection: Connection, place: AlteredRow, *, lock: bool = False) -> Values:
    row = one_row.find_values(connection, _table(place), _parts(place), lock=lock)
    if row is None:
        raise NotFound(f"{place.table} has no row {place.key!r}", "see `sparekey row list`")
    return row


def _named(place: AlteredRow, row: Values) -> Named | None:
    """Return the name of the object in the watch; None: the watch does not compare this table by one row."""
    if place.table in _POLICIES:
        return WatchedKind.POLICY, policy_key(_POLICIES[place.table], str(row["name"]))
    if place.table in _BY_NAME:
        return _BY_NAME[place.table], str(row["name"])
    return (_BY_ID[place.table], place.key) if place.table in _BY_ID else None


_BY_ID: Final[Mapping[str, WatchedKind]] = {
    "account": WatchedKind.ACCOUNT,
    "token": WatchedKind.TOKEN,
    "device": WatchedKind.DEVICE,
    "api_client": WatchedKind.CLIENT,
    "passkey": WatchedKind.PASSKEY,
}
_BY_NAME: Final[Mapping[str, WatchedKind]] = {"role": WatchedKind.ROLE, "security_domain": WatchedKind.DOMAIN}


def _told(instance: Instance, named: Named, book: WatchBook, now: int) -> tuple[Facts | None, list[Difference]]:
    """Return what the audit log says about the object, and what the database contradicts. Raises Conflict."""
    watcher = Watcher(instance.database, instance.keystore.public_key(KeyPurpose.CHECKPOINT), book, alarms=False)
    logged: Facts | None = None
    contradictions: dict[Difference, None] = {}
    while True:
        step = watcher.step(now)
        if step.altered:
            raise Conflict("the audit log was altered", "run `sparekey audit verify`")
        logged = step.compared.get(named, logged)
        contradictions |= dict.fromkeys(each for each in step.differences if each.named == named)
        if step.round_ended:
            return logged, list(contradictions)


def _id_in(place: AlteredRow, row: Values, kind: str) -> str | None:
    """Return the id of the account, token or device that the row is or belongs to."""
    found = place.key if place.table == kind else row.get(f"{kind}_id")
    return found if isinstance(found, str) else None


def _shown(value: object) -> Fact:
    if isinstance(value, bytes):
        return f"{len(value)} bytes, SHA-256 {hashlib.sha256(value).hexdigest()[:_DIGEST]}"
    return value if value is None or isinstance(value, bool | int | str) else f"a {type(value).__name__}"


def _fingerprint(row: Values) -> str:
    return hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()[: 2 * _DIGEST]
