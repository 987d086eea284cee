"""The life of a token on the command line: imported, assigned, replaced, resynced, removed."""

from pathlib import Path

import pytest

from sparekey.core.tokens import Hotp
from sparekey.secret import Secret
from tests.cli.server.commands import Operator

SEED = "3132333435363738393031323334353637383930"
FILE = "serial,type,seed,counter,pin\n" + "".join(f"{serial},hotp,{SEED},0,yes\n" for serial in ("H1", "H2", "H3"))


@pytest.fixture
def drawer(operator: Operator, tmp_path: Path) -> Operator:
    """Import three tokens, and add Alice, who has none."""
    file = tmp_path / "tokens.csv"
    file.write_text(FILE)
    operator.runs("token", "import", str(file))
    operator.runs("user", "add", "alice")
    return operator


def shown(operator: Operator, serial: str) -> tuple[object, ...]:
    token = operator.runs("token", "show", serial).json
    return token["user"], token["enabled"], token["pin_set"]


def test_a_token_is_assigned_replaced_unassigned_and_removed(drawer: Operator) -> None:
    assert shown(drawer, "H1") == (None, False, False)
    assert "chooses one at the first sign-in" in drawer.sees("token", "assign", "H1", "alice").words
    assert shown(drawer, "H1") == ("alice", True, False)
    drawer.runs("token", "set-pin", "H1", typed="4711abcd\n")
    done = drawer.runs("token", "replace", "H1", "--next-available").json
    assert (done["serial"], done["user"], done["replaced"], done["pin_kept"]) == ("H2", "alice", "H1", True)
    assert (shown(drawer, "H1"), shown(drawer, "H2")) == ((None, False, False), ("alice", True, True))
    assert "keeps the PIN" not in drawer.sees("token", "replace", "H2", "--with", "H3", "--new-pin").words
    assert shown(drawer, "H3") == ("alice", True, False)
    assert drawer.fails("token", "remove", "H3").json["error"] == "conflict"
    assert "erase" in drawer.sees("token", "unassign", "H3").words
    drawer.runs("token", "remove", "H3")
    drawer.runs("token", "assign", "H1", "alice", "--disabled")
    assert shown(drawer, "H1") == ("alice", False, False)
    drawer.runs("token", "remove", "H1", "--yes")
    assert [token["serial"] for token in drawer.runs("token", "list").json["tokens"]] == ["H2"]


def test_resync_reads_two_codes_from_standard_input(drawer: Operator) -> None:
    otp = Hotp(Secret(bytes.fromhex(SEED)))
    drawer.runs("token", "assign", "H1", "alice")
    for typed in ("", "123456", "123456 654321 123456", "12345 123456"):
        assert drawer.fails("token", "resync", "H1", typed=typed).json["error"] == "bad-input"
    assert drawer.runs("user", "show", "alice").json["failures"] == 0
    wrong = drawer.fails("token", "resync", "H1", typed=f"{otp.code(501)}\n{otp.code(500)}\n")
    assert "counts as a failed sign-in" in wrong.json["message"]
    assert drawer.runs("user", "show", "alice").json["failures"] == 1
    assert drawer.runs("token", "resync", "H1", typed=f"{otp.code(500)}\n{otp.code(501)}\n").json["drift"] == 0
    for _ in range(4):
        drawer.fails("token", "resync", "H1", typed="000000 000000")
    locked = drawer.fails("token", "resync", "H1", typed=f"{otp.code(600)} {otp.code(601)}")
    assert locked.json["message"] == "the user is locked"


@pytest.mark.parametrize("arguments", [(), ("--with", "H2", "--next-available")])
def test_a_replacement_is_shown_once(drawer: Operator, arguments: tuple[str, ...]) -> None:
    drawer.fails("token", "replace", "H1", *arguments, code=2)


def test_an_expiry_is_set_and_removed(drawer: Operator) -> None:
    assert drawer.runs("token", "expire", "H1", "2027-12-31").json["expires"] == "2027-12-31T00:00:00Z"
    assert drawer.runs("token", "show", "H1").json["expires"] == "2027-12-31T00:00:00Z"
    assert drawer.runs("token", "expire", "H1", "never").json["expires"] is None
    drawer.fails("token", "expire", "H1", "soon")
    drawer.fails("token", "expire", "H1", "", code=2)


def test_an_event_based_token_is_added_with_a_hotp_uri(operator: Operator) -> None:
    operator.runs("user", "add", "alice")
    added = operator.runs(
        "token", "add", "--user", "alice", "--type", "hotp", "--counter", "3", "--no-pin", "--qr"
    ).json
    assert added["otpauth"].startswith("otpauth://hotp/Sparekey:alice?")
    assert added["otpauth"].endswith("&counter=3")
    assert (added["type"], added["interval"]) == ("hotp", 0)
    refused = operator.fails("token", "add", "--user", "alice", "--type", "hotp", "--algorithm", "sha256", "--qr")
    assert "sha1" in refused.json["message"]


def test_a_pin_for_once_is_shown_as_such(operator: Operator) -> None:
    operator.runs("user", "add", "alice")
    operator.runs("token", "add", "--user", "alice", "--serial", "T1", "--seed-stdin", typed=SEED)
    operator.runs("token", "set-pin", "T1", "--must-change", typed="4711abcd\n")
    token = operator.runs("token", "show", "T1").json
    assert (token["pin_must_change"], token["domain"], token["devices"]) == (True, "SystemDomain", [])
    assert token["created"][:4] == token["pin_since"][:4] >= "2020"
