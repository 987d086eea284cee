"""Imports of tokens: disabled, unassigned, one audit event each. Refused rows are reported, the rest imported."""

import pytest

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people.domains import add_domain
from sparekey.app.snapshots import token_owner
from sparekey.app.tokens.imports import BATCH, TokenImportReport, import_tokens
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, NotAllowed, NotFound
from sparekey.core.permissions import Actor, Grant, Permission
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.people import domains
from tests.builders import NOW, ROOT, logged_events, token_row
from tools.token_files import csv_file, pskc_file, sdtid_file, tokens

SEED = "3132333435363738393031323334353637383930"


def imported(
    instance: Instance,
    data: bytes | str,
    password: str | None = None,
    *,
    actor: Actor = ROOT,
    domain: str = TOP_DOMAIN,
    dry_run: bool = False,
) -> TokenImportReport:
    content = data if isinstance(data, bytes) else data.encode()
    secret = None if password is None else Secret(password)
    return import_tokens(instance, actor, content, secret, now=NOW, domain=domain, dry_run=dry_run)


def seed_of(instance: Instance, serial: str) -> bytes:
    """Return the stored seed of an unassigned token."""
    row = token_row(instance, serial)
    return instance.vault.open("token.seed_sealed", row.id, token_owner(None, row.id), row.seed_sealed).reveal()


def count_of(instance: Instance) -> int:
    with instance.database.read() as connection:
        return len(connection.execute(tables.token.select()).all())


@pytest.mark.parametrize(
    ("kind", "seed_bytes", "password"),
    [("csv", 20, None), ("pskc", 20, None), ("pskc", 20, "pass"), ("sdtid", 16, None), ("sdtid", 16, "pass")],
)
def test_tokens_of_every_format_are_imported_disabled_and_unassigned(
    kind: str, seed_bytes: int, password: str | None, any_server: Instance
) -> None:
    made = tokens(5, seed_bytes=seed_bytes)
    data = {
        "csv": lambda: csv_file(made),
        "pskc": lambda: pskc_file(made, password=password or ""),
        "sdtid": lambda: sdtid_file(made, password=password or ""),
    }[kind]()
    report = imported(any_server, data, password)
    assert (report.kind, report.added, report.refusals) == (kind, 5, ())
    for each in made:
        row = token_row(any_server, each.serial)
        assert (row.enabled, row.lost, row.account_id, row.with_pin, row.pin_sealed) == (False, False, None, True, None)
        assert row.created_at == NOW
        assert seed_of(any_server, each.serial) == each.seed


def test_each_type_has_its_numbers(any_server: Instance) -> None:
    imported(
        any_server,
        "serial,type,seed,digits,interval,algorithm,counter,expires,pin\n"
        f"T1,totp,{SEED},8,60,sha256,,2030-01-01,no\nH1,hotp,{SEED},,,,,,\nH2,hotp,{SEED},,,,42,,\n"
        f"000123456789,securid,{SEED[:32]},8,30,,,,\n",
    )
    columns = ("type", "digits", "interval", "algorithm", "last_step", "drift", "expires_at", "with_pin")
    found = {
        serial: tuple(getattr(token_row(any_server, serial), column) for column in columns)
        for serial in ("T1", "H1", "H2", "000123456789")
    }
    assert found == {
        "T1": ("totp", 8, 60, "sha256", 0, 0, 1_893_456_000, False),
        "H1": ("hotp", 6, 0, "sha1", -1, 0, None, True),  # the next counter is 0
        "H2": ("hotp", 6, 0, "sha1", 41, 0, None, True),  # the next counter is 42
        "000123456789": ("securid", 8, 30, "aes128", 0, 0, None, True),
    }


def test_refused_rows_are_reported_in_order_and_the_rest_imported(server: Instance) -> None:
    imported(server, f"serial,type,seed\nOLD,totp,{SEED}\n")
    lines = ["A1,totp,{0}", "A2,totp,no seed", "OLD,totp,{0}", "A1,totp,{0}", "A3,hotp,{0}", "A 4,totp,{0}"]
    report = imported(server, "serial,type,seed\n" + "\n".join(lines).format(SEED) + "\n")
    assert report.added == 2
    assert [(each.number, each.serial, each.reason.split(":")[0]) for each in report.refusals] == [
        (3, "A2", "the seed is neither hex nor base32"),
        (4, "OLD", "a token with this serial number already exists"),
        (5, "A1", "the file has this serial number twice"),
        (7, "", "a serial number has 1 to 64 letters, digits and the characters _ . -"),
    ]
    assert count_of(server) == 3


def test_an_import_and_each_of_its_tokens_are_logged(server: Instance) -> None:
    imported(server, csv_file(tokens(3)) + b"bad,totp,x,\n")
    added = logged_events(server, Action.TOKEN_ADDED)
    assert [row.token_id for row in added] == [token_row(server, each.serial).id for each in tokens(3)]
    assert {row.actor for row in added} == {ROOT.name}
    (summary,) = logged_events(server, Action.TOKEN_IMPORTED)
    assert summary.detail == f'{{"added":3,"domain":"{TOP_DOMAIN}","kind":"csv","refused":1}}'


def test_a_dry_run_reports_the_same_and_changes_nothing(server: Instance) -> None:
    data = csv_file(tokens(3)) + b"bad,totp,x,\n"
    imported(server, csv_file(tokens(1)))
    before = logged_events(server, Action.TOKEN_ADDED, Action.TOKEN_IMPORTED)
    told = imported(server, data, dry_run=True)
    assert (told.added, len(told.refusals), told.dry_run) == (2, 2, True)
    assert count_of(server) == 1
    assert logged_events(server, Action.TOKEN_ADDED, Action.TOKEN_IMPORTED) == before
    done = imported(server, data)
    assert (done.added, done.refusals) == (told.added, told.refusals)


def test_files_larger_than_a_batch_come_in_whole(any_server: Instance) -> None:
    made = tokens(2 * BATCH + 1)
    told: list[tuple[str, int]] = []
    report = import_tokens(
        any_server, ROOT, csv_file(made), None, now=NOW, progress=lambda doing, number: told.append((doing, number))
    )
    assert report.added == count_of(any_server) == len(made)
    assert told == [
        ("read", BATCH),
        ("read", 2 * BATCH),
        ("imported", BATCH),
        ("imported", 2 * BATCH),
        ("imported", len(made)),
    ]
    assert imported(any_server, csv_file(made)).added == 0


def test_tokens_belong_to_the_domain_that_was_named(server: Instance) -> None:
    add_domain(server, ROOT, "Sales", now=NOW)
    imported(server, csv_file(tokens(1)), domain="Sales")
    with server.database.read() as connection:
        sales = domains.find_domain(connection, "Sales")
    assert sales is not None
    assert token_row(server, tokens(1)[0].serial).domain_id == sales.id


@pytest.mark.parametrize("permission", [Permission.TOKEN_IMPORT, Permission.TOKEN_VIEW])
def test_importing_is_limited_to_the_actor_s_domains(permission: Permission, server: Instance) -> None:
    add_domain(server, ROOT, "Sales", now=NOW)
    with server.database.read() as connection:
        sales = domains.find_domain(connection, "Sales")
    assert sales is not None
    actor = Actor("user:1", (Grant(frozenset({permission}), frozenset({sales.id})),))
    data = csv_file(tokens(1))
    if permission is Permission.TOKEN_IMPORT:
        assert imported(server, data, actor=actor, domain="Sales").added == 1
    else:
        with pytest.raises(NotAllowed, match=r"token\.import"):
            imported(server, data, actor=actor, domain="Sales")
    with pytest.raises((NotFound, NotAllowed)):
        imported(server, data, actor=actor)
    with pytest.raises((NotFound, NotAllowed)):
        imported(server, data, actor=actor, dry_run=True)


def test_a_file_that_is_wrong_as_a_whole_imports_nothing(server: Instance) -> None:
    with pytest.raises(BadInput):
        imported(server, pskc_file(tokens(3))[:-20])
    assert count_of(server) == 0
    assert logged_events(server, Action.TOKEN_ADDED, Action.TOKEN_IMPORTED) == []
