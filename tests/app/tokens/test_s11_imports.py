"""S11: an import is complete or absent, a used serial number keeps its token, no answer contains a seed."""

from dataclasses import asdict

import pytest
from sqlalchemy import text

from sparekey.app.instance import Instance
from sparekey.app.snapshots import token_owner
from sparekey.app.tokens.imports import BATCH, import_tokens
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict
from sparekey.storage import tables
from tests.builders import NOW, ROOT, a_user, logged_events, token_row
from tools.token_files import MadeToken, csv_file, pskc_file, sdtid_file, tokens


def columns(instance: Instance, serial: str) -> dict[str, object]:
    return asdict(token_row(instance, serial))


def all_serials(instance: Instance) -> list[str]:
    with instance.database.read() as connection:
        return list(connection.execute(tables.token.select()).scalars().all())


def test_s11_an_error_in_the_database_leaves_nothing_of_the_file(server: Instance) -> None:
    made = tokens(2 * BATCH)
    with server.database.write() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER refuse BEFORE INSERT ON token WHEN NEW.serial = "
                f"'{made[-1].serial}' BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        )
    with pytest.raises(Conflict):
        import_tokens(server, ROOT, csv_file(made), None, now=NOW)
    assert all_serials(server) == []
    assert logged_events(server, Action.TOKEN_ADDED, Action.TOKEN_IMPORTED) == []


@pytest.mark.parametrize("made", [pskc_file(tokens(BATCH + 500)), sdtid_file(tokens(BATCH + 500, seed_bytes=16))])
def test_s11_a_file_that_breaks_off_after_a_whole_batch_leaves_nothing(made: bytes, server: Instance) -> None:
    with pytest.raises(BadInput):
        import_tokens(server, ROOT, made[:-200], None, now=NOW)
    assert all_serials(server) == []
    assert logged_events(server, Action.TOKEN_ADDED, Action.TOKEN_IMPORTED) == []


def test_s11_a_serial_number_that_is_taken_keeps_its_old_token(any_server: Instance) -> None:
    user = a_user(any_server, pin="4711abcd")
    old = tokens(1)[0]
    import_tokens(any_server, ROOT, csv_file([old]), None, now=NOW)
    before = columns(any_server, user.serial), columns(any_server, old.serial)
    other = [MadeToken(serial, bytes(20)) for serial in (user.serial, old.serial)]
    report = import_tokens(any_server, ROOT, csv_file([*other, *tokens(1, first=2)]), None, now=NOW + 60)
    assert report.added == 1
    assert [(each.serial, "already" in each.reason) for each in report.refusals] == [
        (user.serial, True),
        (old.serial, True),
    ]
    assert (columns(any_server, user.serial), columns(any_server, old.serial)) == before


def test_s11_the_first_of_two_with_one_serial_number_counts(server: Instance) -> None:
    first, second = MadeToken("SAME", bytes(range(20))), MadeToken("SAME", bytes(20))
    report = import_tokens(server, ROOT, csv_file([first, second]), None, now=NOW)
    assert (report.added, [each.number for each in report.refusals]) == (1, [3])
    row = token_row(server, "SAME")
    opened = server.vault.open("token.seed_sealed", row.id, token_owner(None, row.id), row.seed_sealed)
    assert opened.reveal() == first.seed


def test_s11_no_error_contains_a_seed(server: Instance) -> None:
    canary = "canary00canary00canary00"
    lines = [
        f"{canary} x,totp,00,6,30,sha1,,",
        f"A1,{canary},00,6,30,sha1,,",
        f"A2,totp,{canary},6,30,sha1,,",
        f"A3,totp,{canary}!,6,30,sha1,,",
        f"A4,totp,00112233445566778899,{canary},30,sha1,,",
        f"A5,totp,00112233445566778899,6,{canary},sha1,,",
        f"A6,totp,00112233445566778899,6,30,{canary},,",
        f"A7,hotp,00112233445566778899,6,,,{canary},",
        f"A8,totp,00112233445566778899,6,30,sha1,,{canary}",
        f"A9,totp,00112233445566778899,6,30,sha1,,,{canary}",
    ]
    head = "serial,type,seed,digits,interval,algorithm,counter,expires\n"
    report = import_tokens(server, ROOT, (head + "\n".join(lines)).encode(), None, now=NOW)
    assert (report.added, len(report.refusals)) == (0, len(lines))
    told = f"{report!r} {logged_events(server, Action.TOKEN_ADDED, Action.TOKEN_IMPORTED)!r}"
    with pytest.raises(BadInput) as refused:
        import_tokens(server, ROOT, f"{canary},{canary}\n".encode(), None, now=NOW)
    assert "canary" not in f"{told} {refused.value!r} {refused.value.do}"


def test_s11_a_serial_number_that_is_taken_meanwhile_refuses_the_whole_file(any_server: Instance) -> None:
    """A conflict that shows only when rows are inserted, as one with another import would."""
    made = tokens(BATCH + 1)
    with any_server.database.write() as connection:
        connection.execute(text(f"CREATE UNIQUE INDEX once ON token (digits) WHERE serial >= '{made[-2].serial}'"))
    with pytest.raises(Conflict, match="in the meantime"):
        import_tokens(any_server, ROOT, csv_file(made), None, now=NOW)
    assert all_serials(any_server) == []
    assert logged_events(any_server, Action.TOKEN_ADDED, Action.TOKEN_IMPORTED) == []
