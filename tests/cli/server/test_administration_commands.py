"""Commands of administration: roles, domains, users from a file, upgrade."""

import csv
import io
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from sparekey.core.permissions import PREDEFINED
from sparekey.storage import schema
from sparekey.storage.engine import open_engine
from sparekey.storage.tables import data_key
from tests.cli.server.commands import Operator


def test_roles(operator: Operator) -> None:
    operator.runs("domain", "add", "Sales")
    operator.runs("user", "add", "carol", "--domain", "Sales")
    listed = operator.runs("role", "list").json["roles"]
    assert [each["name"] for each in listed] == [*PREDEFINED]
    assert all(each["predefined"] for each in listed)
    operator.runs("role", "add", "night desk", "user.view", "token.view")
    operator.runs("role", "set", "night desk", "user.view")
    granted = operator.runs("role", "grant", "night desk", "carol", "--domain", "Sales").json
    assert (granted["role"], granted["kind"], granted["holder"], granted["domain"]) == (
        "night desk",
        "user",
        "carol",
        "Sales",
    )
    shown = operator.runs("role", "show", "night desk").json
    assert shown["permissions"] == ["user.view"]
    assert shown["granted"] == [{"kind": "user", "holder": "carol", "domain": "Sales"}]
    assert "carol in Sales" in operator.sees("role", "show", "night desk").out
    operator.fails("role", "remove", "night desk")
    operator.runs("role", "revoke", "night desk", "carol", "--domain", "Sales")
    operator.runs("role", "remove", "night desk")
    operator.fails("role", "show", "night desk")


def test_a_role_of_a_client(operator: Operator) -> None:
    operator.runs("client", "add", "portal")
    operator.runs("role", "grant", "help desk", "--client", "portal")
    assert operator.runs("role", "show", "help desk").json["granted"][0]["kind"] == "client"
    operator.runs("role", "revoke", "help desk", "--client", "portal")


@pytest.mark.parametrize("arguments", [("help desk",), ("help desk", "carol", "--client", "portal"), ()])
def test_a_grant_is_to_one_holder(operator: Operator, arguments: tuple[str, ...]) -> None:
    operator.fails("role", "grant", *arguments, code=2)


def test_the_last_super_administrator_stays_for_root_too(operator: Operator) -> None:
    operator.runs("user", "add", "carol")
    operator.runs("token", "add", "--user", "carol", "--show-seed")
    operator.runs("role", "grant", "super administrator", "carol")
    for arguments in (
        ("role", "revoke", "super administrator", "carol"),
        ("user", "disable", "carol"),
        ("user", "edit", "carol", "--expires", "2020-01-01"),
    ):
        assert operator.fails(*arguments).json["error"] == "not-allowed"


def test_domains(operator: Operator) -> None:
    operator.runs("domain", "add", "Sales")
    operator.runs("domain", "add", "Bern", "--parent", "Sales")
    operator.runs("domain", "add", "Support")
    operator.runs("policy", "token", "add", "Strict")
    operator.runs("policy", "token", "assign", "Strict", "--domain", "Sales")
    assert operator.sees("domain", "list").out.splitlines()[1:] == [
        "SystemDomain\t-\t(default)\t(default)\t(default)",
        "  Sales\tSystemDomain\t(default)\tStrict\t(default)",
        "    Bern\tSales\t(default)\t(default)\t(default)",
        "  Support\tSystemDomain\t(default)\t(default)\t(default)",
    ]
    (sales,) = (each for each in operator.runs("domain", "list").json["domains"] if each["name"] == "Sales")
    assert (sales["offline_policy"], sales["token_policy"], sales["lockout_policy"]) == (None, "Strict", None)
    operator.runs("domain", "move", "Bern", "--parent", "Support")
    shown = operator.runs("domain", "show", "Bern").json
    assert (shown["parent"], shown["offline_policy"], shown["contents"]["users"]) == ("Support", "Default", 0)
    operator.runs("domain", "remove", "Bern")
    operator.fails("domain", "show", "Bern")
    operator.runs("user", "add", "carol", "--domain", "Support")
    assert "1 user, 0 unassigned tokens, 0 devices" in operator.sees("domain", "show", "Support").out
    operator.fails("domain", "remove", "SystemDomain")


def test_users_from_a_file(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("login,mail,expires\nanna,anna@example.org,2027-12-31\nno login!,,\n", encoding="utf-8")
    tried = operator.runs("user", "import", str(file), "--dry-run").json
    assert (tried["added"], tried["refused"], tried["dry_run"]) == (1, 1, True)
    assert operator.runs("user", "list").json["users"] == []
    said = operator.sees("user", "import", str(file))
    assert said.out.splitlines()[1].startswith("3\tno login!\t")
    assert "Imported 1 user; 1 line refused." in said.words
    anna = operator.runs("user", "show", "anna").json
    assert (anna["mail"], anna["expires"]) == ("anna@example.org", "2027-12-31T00:00:00Z")
    changed = operator.runs("user", "edit", "anna", "--expires", "never", "--name", "Anna", "--mail", "").json
    assert (changed["name"], changed["mail"], changed["expires"]) == ("Anna", "", None)
    operator.fails("user", "edit", "anna")
    operator.fails("user", "import", str(tmp_path / "missing.csv"))


def test_a_user_with_an_end(operator: Operator) -> None:
    added = operator.runs("user", "add", "temp", "--expires", "2099-12-31").json
    assert added["expires"] == operator.runs("user", "show", "temp").json["expires"] == "2099-12-31T00:00:00Z"
    refused = operator.fails("user", "add", "late", "--expires", "2020-01-01").json
    assert "the expiry 2020-01-01" in refused["message"]
    operator.fails("user", "show", "late")


def at_revision(data: Path, revision: str) -> None:
    """Put a database of another release with the server's data keys in the place of its own."""
    file = data / "sparekey.db"
    engine = open_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        keys = [dict(row._mapping) for row in connection.execute(select(data_key))]
    engine.dispose()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    engine = open_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        schema.upgrade_in(connection, "0001")
        connection.execute(insert(data_key), keys)
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    engine.dispose()


def test_an_older_database_is_upgraded_on_request(operator: Operator) -> None:
    assert operator.runs("upgrade").json["before"] == schema.HEAD
    at_revision(operator.data, "0001")
    refused = operator.fails("user", "list")
    assert refused.json["do"] == "run: sparekey upgrade"
    done = operator.runs("upgrade").json
    assert (done["before"], done["after"]) == ("0001", schema.HEAD)
    assert "Nothing was changed" in operator.sees("upgrade").words


def test_a_newer_database_is_not_touched(operator: Operator) -> None:
    at_revision(operator.data, "9999")
    assert "newer" in operator.fails("upgrade").json["do"]


def test_an_upgrade_makes_no_server(tmp_path: Path) -> None:
    Operator(tmp_path / "nothing").fails("upgrade")
    assert not (tmp_path / "nothing").exists()


def test_why(operator: Operator) -> None:
    operator.runs("user", "add", "alice")
    (without,) = (row for row in operator.runs("user", "why", "alice").json["rules"] if row["rule"] == "has a token")
    assert "sparekey token add --user alice" in without["mend"]
    assert "sparekey token assign SERIAL alice" in without["mend"]
    operator.runs("token", "add", "--user", "alice", "--no-pin", "--show-seed", "--serial", "T1")
    rules = operator.runs("user", "why", "alice").json["rules"]
    assert (rules[0]["side"], rules[0]["rule"], rules[0]["verdict"]) == ("online", "sign-in", "ok")
    assert rules[-1]["mend"].startswith("let the user sign in once")
    operator.runs("token", "disable", "T1")
    seen = operator.sees("user", "why", "alice").out.splitlines()
    assert any("\tstops\tdisabled\ttoken T1\tsparekey token enable T1" in line for line in seen)
    operator.fails("user", "why", "nobody")
    operator.fails("user", "why", "alice", "--device", "nothing")


def test_reports(operator: Operator) -> None:
    empty = operator.runs("report", "readiness").json
    assert (empty["rows"], empty["summary"]["users"]) == ([], 0)
    operator.runs("user", "add", "alice", "--name", "=1+1")
    operator.runs("user", "add", "bob")
    operator.runs("user", "disable", "bob")
    found = operator.runs("report", "readiness").json
    assert [(row["user"], row["ready_with"]) for row in found["rows"]] == [("alice", "nothing"), ("bob", "closed")]
    assert found["summary"] == {
        "rows": 2,
        "users": 2,
        "ready_with": {"nothing": 1, "closed": 1},
        "obstacles": {"no-token-used": 1, "account-closed": 1},
    }
    said = operator.sees("report", "readiness", "--csv")
    table = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["user"] for row in table] == ["alice", "bob"]
    assert table[0]["name"] == "'=1+1"
    assert "2 users, 2 rows" in said.words
    foreseen = operator.runs("report", "forecast").json
    assert [(row["user"], row["when"], row["left"]) for row in foreseen["rows"]] == [("alice", "now", "nothing")]
    assert foreseen["summary"] == {"now": 1, "this week": 0, "left with an emergency code": 0}
    assert "1 could not sign in" in operator.sees("report", "forecast").words
