"""`sparekey token import`: a report of each refused record, the password on standard input, progress in words."""

from pathlib import Path

from sparekey.token_files import LARGEST_FILE
from tests.cli.server.commands import Operator
from tools.token_files import csv_file, pskc_file, sdtid_file, tokens

SEED = "3132333435363738393031323334353637383930"


def test_a_file_is_imported_and_its_refusals_are_listed(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_bytes(csv_file(tokens(2)) + b"A3,totp,no seed,\n")
    would = operator.runs("token", "import", str(file), "--dry-run").json
    assert (would["kind"], would["added"], would["refused"], would["dry_run"]) == ("csv", 2, 1, True)
    assert operator.runs("token", "list").json["tokens"] == []
    done = operator.sees("token", "import", str(file))
    told, _, next_step = done.words.partition(" To assign them: ")
    assert told == "Imported 2 tokens (csv); 1 refused."
    assert next_step.endswith(" token assign SERIAL USER\n")
    assert done.out == "number\tserial\treason\n4\tA3\tthe seed is neither hex nor base32\n"
    listed = operator.runs("token", "list").json["tokens"]
    assert [(each["serial"], each["enabled"], each["user"]) for each in listed] == [
        (each.serial, False, None) for each in tokens(2)
    ]
    again = operator.runs("token", "import", str(file)).json
    assert (again["added"], again["refused"]) == (0, 3)
    assert "already" in again["refusals"][0]["reason"]


def test_the_password_of_a_file_comes_on_standard_input(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    for number, data in enumerate(
        (
            pskc_file(tokens(1, first=1), password="correct horse"),
            sdtid_file(tokens(1, first=2, seed_bytes=16), password="correct horse"),
        )
    ):
        file.write_bytes(data)
        operator.fails("token", "import", str(file))
        operator.fails("token", "import", str(file), "--password-stdin", typed="wrong\n")
        assert operator.runs("token", "list").json["tokens"][number:] == []
        operator.runs("token", "import", str(file), "--password-stdin", typed="correct horse\n")
    assert len(operator.runs("token", "list").json["tokens"]) == 2


def test_an_import_reports_its_progress(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_bytes(csv_file(tokens(10_001)))
    said = operator.runs("token", "import", str(file))
    assert said.words == "10000 token entries read\n10000 token entries imported\n"
    assert said.json["added"] == 10_001


def test_an_impossible_import_is_refused_with_a_reason(operator: Operator, tmp_path: Path) -> None:
    operator.fails("token", "import", str(tmp_path / "none"))
    operator.fails("token", "import", str(tmp_path))
    (tmp_path / "empty").write_bytes(b"")
    assert "is empty" in operator.fails("token", "import", str(tmp_path / "empty")).words
    (tmp_path / "good.csv").write_bytes(csv_file(tokens(1)))
    operator.fails("token", "import", str(tmp_path / "good.csv"), "--domain", "Nowhere")
    large = tmp_path / "large.csv"
    with large.open("wb") as opened:
        opened.truncate(LARGEST_FILE + 1)
    assert f"{LARGEST_FILE} bytes" in operator.fails("token", "import", str(large)).words
