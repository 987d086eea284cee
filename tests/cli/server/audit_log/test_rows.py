"""`sparekey row`: altered rows as an operator of the server sees them, and accepts one."""

import pytest
from sqlalchemy import text

from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.cli.server.commands import Operator, sparekey

ANOTHER_NAME = "Mallory [bold]\\x1b"


@pytest.fixture
def altered(operator: Operator) -> str:
    """Return the id of a user whose row another program changed."""
    operator.runs("user", "add", "alice", "--domain", "SystemDomain")
    instance = open_instance(operator.data, read_settings(operator.data, {}))
    with instance.database.write() as connection:
        connection.execute(text("UPDATE account SET name = :name"), {"name": ANOTHER_NAME})
        account_id = connection.execute(text("SELECT id FROM account")).scalar_one()
    instance.database.close()
    return str(account_id)


def test_altered_rows_are_listed_and_shown(operator: Operator, altered: str) -> None:
    assert operator.runs("row", "list").json["altered-rows"] == [{"table": "account", "key": altered}]
    assert "row show TABLE KEY" in operator.sees("row", "list").words
    row = operator.runs("row", "show", "account", altered).json
    assert (row["altered"], row["user"], row["contradictions"]) == (True, "alice", {})
    assert (row["values"]["login"], row["values"]["name"], row["logged"]["enabled"]) == ("alice", ANOTHER_NAME, True)
    said = operator.sees("row", "show", "account", altered).out
    assert "does not hold" in said
    assert "Mallory [bold]" in said
    assert "contradicted by" in said


def test_a_row_is_accepted_and_an_alarm_says_so(operator: Operator, altered: str) -> None:
    assert operator.fails("user", "show", "alice").json["message"] == "there is no user 'alice'"
    said = operator.sees("row", "accept", "account", altered, typed=f"{altered}\n")
    assert ANOTHER_NAME[:14] in said.out
    assert "An alarm says so" in said.words
    assert operator.runs("row", "list").json["altered-rows"] == []
    assert operator.runs("user", "show", "alice").json["name"] == ANOTHER_NAME
    assert "alarm.row-accepted" in {each["action"] for each in operator.runs("alarm", "list").json["alarms"]}
    said = operator.fails("row", "accept", "account", altered, typed=f"{altered}\n")
    assert said.json["message"] == "the seal of this row holds"


@pytest.mark.parametrize("typed", ["y\n", "yes\n", "account\n"])
def test_s47_the_key_of_a_row_must_be_typed(operator: Operator, altered: str, typed: str) -> None:
    said = operator.fails("row", "accept", "account", altered, typed=typed)
    assert "was not accepted" in said.json["message"]
    assert len(operator.runs("row", "list").json["altered-rows"]) == 1


def test_what_the_log_contradicts_is_shown(operator: Operator) -> None:
    operator.runs("user", "add", "alice", "--domain", "SystemDomain")
    instance = open_instance(operator.data, read_settings(operator.data, {}))
    with instance.database.write() as connection:
        connection.execute(text("UPDATE account SET enabled = false"))
        account_id = connection.execute(text("SELECT id FROM account")).scalar_one()
    instance.database.close()
    assert operator.runs("row", "show", "account", account_id).json["contradictions"] == {"enabled": False}
    said = operator.fails("row", "accept", "account", account_id, typed=f"{account_id}\n")
    assert said.json["message"] == "the row contradicts the audit log"


def test_rows_are_for_the_server_itself() -> None:
    said = sparekey("--server", "https://localhost:1", "--as", "root", "row", "list")
    assert said.code != 0
    assert "only on the server itself" in said.words
