"""Import users from a CSV file: all correct rows in one transaction, with one event for each user.

Rules: a refused row is reported with its line and the reason, and the others are imported. A login that exists keeps
its user. A dry run reports the same and changes nothing. The actor needs the permission in the domain of each row;
domains outside the actor's scope do not exist.
"""

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from sparekey.app.audit import AuditEntry, row_of
from sparekey.app.authorisation import verify_somewhere
from sparekey.app.hidden_names import count_hidden_names
from sparekey.app.instance import MICROSECONDS, TOP_DOMAIN, Instance, log, new_id
from sparekey.app.lookup import get_domain
from sparekey.app.people.users import LONGEST_NAME
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict, SparekeyError
from sparekey.core.names import verify_login, verify_mail_address, verify_name
from sparekey.core.permissions import Actor, Permission
from sparekey.core.plurals import counted
from sparekey.json_value import Json
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.people import accounts
from sparekey.storage.people.accounts import NewAccount

COLUMNS: Final = ("login", "name", "domain", "mail", "expires")
LARGEST_FILE: Final = 64 * 1024 * 1024  # bytes: more than 500,000 users
BATCH: Final = 1_000  # rows that go to the database at once


@dataclass(frozen=True)
class UserRow:
    """One row of the file with valid values; `domain` "": the domain of the import."""

    line: int
    login: str
    name: str
    domain: str
    mail: str
    expires_at: int | None


@dataclass(frozen=True)
class RefusedRow:
    """A row that is not imported, and why."""

    line: int
    login: str
    reason: str


@dataclass(frozen=True)
class UserImportReport:
    """The result of importing a file."""

    added: int  # in a dry run, the number that would be added
    refusals: tuple[RefusedRow, ...]  # in the file's order
    dry_run: bool


def import_users(
    instance: Instance, actor: Actor, data: bytes, *, now: int, domain: str = TOP_DOMAIN, dry_run: bool = False
) -> UserImportReport:
    """Import the users of a CSV file in UTF-8 with a header. `domain`: for the rows that name none.

    Raises BadInput if the file as a whole is wrong; then no user is imported. Raises Conflict if a user with one of the
    logins was added at the same time.
    """
    verify_somewhere(actor, Permission.USER_ADD)  # otherwise a file would reveal which logins exist
    rows, refusals = _sorted(read_rows(data))
    try:
        with instance.database.read() if dry_run else instance.database.write() as connection:
            taken = accounts.find_taken(connection, [row.login for row in rows])
            placed, more = _place(connection, actor, rows, domain, taken)
            report = UserImportReport(len(placed), tuple(sorted(refusals + more, key=lambda row: row.line)), dry_run)
            if not dry_run:
                _insert(connection, actor, placed, domain, now)
                log(connection, now, actor, Action.USERS_IMPORTED, added=report.added, refused=len(report.refusals))
    except IntegrityError as error:
        raise Conflict(
            "a user was added with one of these login names in the meantime", "import the file again"
        ) from error
    count_hidden_names(instance, actor, sum(not actor.sees(domain_id) for domain_id in taken.values()), now)
    return report


def read_rows(data: bytes) -> Iterator[UserRow | RefusedRow]:
    """Yield the rows of the file, or the reason why a row is refused.

    Raises BadInput if the file is not such a table.
    """
    if len(data) > LARGEST_FILE:
        raise BadInput(f"the file has more than {LARGEST_FILE} bytes", "import it in parts")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"the file is not UTF-8 (byte {error.start})", "save it as CSV in UTF-8") from error
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip().lower() for name in next(table, [])]
        _verify_header(names)
        for cells in table:
            if any(cell.strip() for cell in cells):
                yield _read_row(table.line_num, names, cells)
    except csv.Error as error:
        raise BadInput(f"line {table.line_num} is not valid CSV: {error}", "save the file as CSV again") from error


def _verify_header(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or "login" not in names or len(set(names)) < len(names):
        raise BadInput(
            f"the first line names {', '.join(map(repr, names)) or 'no columns'}",
            f"name the columns there: login, and any of {', '.join(COLUMNS[1:])}, each once",
        )


def _read_row(line: int, names: Sequence[str], cells: Sequence[str]) -> UserRow | RefusedRow:
    values = dict(zip(names, (cell.strip() for cell in cells), strict=False))
    login = values.get("login", "")
    if len(cells) != len(names):
        return RefusedRow(line, login, f"the line has {counted(len(cells), 'value')}, the first line {len(names)}")
    try:
        verify_login(login)
        verify_name(values.get("name") or login, "user", LONGEST_NAME)
        if values.get("mail"):
            verify_mail_address(values["mail"])
        expires = _read_date(values.get("expires", ""))
    except SparekeyError as error:
        return RefusedRow(line, login, error.message)
    return UserRow(line, login, values.get("name") or login, values.get("domain", ""), values.get("mail", ""), expires)


def _read_date(text: str) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text!r} is not a date", "give for example 2027-12-31") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _sorted(items: Iterator[UserRow | RefusedRow]) -> tuple[list[UserRow], list[RefusedRow]]:
    """Return the rows that have a login of their own, and the refused rows."""
    rows: dict[str, UserRow] = {}
    refusals: list[RefusedRow] = []
    for item in items:
        if isinstance(item, RefusedRow):
            refusals.append(item)
        elif item.login in rows:
            refusals.append(
                RefusedRow(item.line, item.login, "the file has this login name twice: only the first line is used")
            )
        else:
            rows[item.login] = item
    return list(rows.values()), refusals


def _place(
    connection: Connection, actor: Actor, rows: Sequence[UserRow], default: str, taken: Collection[str]
) -> tuple[list[tuple[UserRow, str]], list[RefusedRow]]:
    """Return each row with the id of its domain, and the rows that cannot be placed. `taken`: logins of users."""
    domain_of = _finder(connection, actor)
    placed, refusals = [], []
    for row in rows:
        found = domain_of(row.domain or default)
        if row.login in taken:
            reason = "there is a user with this login name already: it is kept as it is"
            refusals.append(RefusedRow(row.line, row.login, reason))
        elif isinstance(found, SparekeyError):
            refusals.append(RefusedRow(row.line, row.login, found.message))
        else:
            placed.append((row, found))
    return placed, refusals


def _finder(connection: Connection, actor: Actor) -> Callable[[str], str | SparekeyError]:
    """Return a function that finds each domain once: its id, or the error."""
    known: dict[str, str | SparekeyError] = {}

    def find(name: str) -> str | SparekeyError:
        if name not in known:
            try:
                known[name] = get_domain(connection, actor, name, Permission.USER_ADD).id
            except SparekeyError as error:
                known[name] = error
        return known[name]

    return find


def _insert(
    connection: Connection, actor: Actor, placed: Sequence[tuple[UserRow, str]], default: str, now: int
) -> None:
    for start in range(0, len(placed), BATCH):
        batch = placed[start : start + BATCH]
        new = [_new_account(row, domain_id, now) for row, domain_id in batch]
        accounts.insert_accounts(connection, new)
        domains = [row.domain or default for row, _ in batch]
        added = [_added(actor, account, domain, now) for account, domain in zip(new, domains, strict=True)]
        audit_events.insert_rows(connection, added)


def _new_account(row: UserRow, domain_id: str, now: int) -> NewAccount:
    return NewAccount(
        id=new_id(),
        login=row.login,
        name=row.name,
        domain_id=domain_id,
        mail=row.mail,
        expires_at=row.expires_at,
        created_at=now,
    )


def _added(actor: Actor, account: NewAccount, domain: str, now: int) -> dict[str, str | int | None]:
    detail: dict[str, Json] = {
        "login": account.login,
        "imported": True,
        "domain": domain,
        "expires": account.expires_at,
    }
    return row_of(AuditEntry(now * MICROSECONDS, actor.name, Action.USER_ADDED, account_id=account.id, detail=detail))
