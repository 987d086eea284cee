"""`sparekey doctor --deep`: every object is compared with the audit log, and a finding is an exit of 1."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sparekey.app.people.imports import import_users
from sparekey.app.tokens.tokens import set_lost
from sparekey.cli.server import service
from sparekey.clock import now as clock_now
from sparekey.server.settings import read_settings
from sparekey.storage.failure_counts import COUNT_NAMES
from sparekey.wiring.server import open_instance
from tests.builders import ROOT, a_user, denied, submit
from tests.cli.server.commands import CommandResult, Operator, sparekey


def altered(operator: Operator, statement: str, **values: object) -> None:
    """Execute a statement as an attacker with the database's password."""
    instance = open_instance(operator.data, read_settings(operator.data, {}))
    with instance.database.write() as connection:
        connection.execute(text(statement), values)
    instance.database.close()


def acted(operator: Operator, act: Callable[[Any], Any]) -> Any:
    instance = open_instance(operator.data, read_settings(operator.data, {}))
    result = act(instance)
    instance.database.close()
    return result


def deep(operator: Operator, *more: str) -> CommandResult:
    return sparekey("--data", str(operator.data), "doctor", "--deep", *more)


def state_of(said: CommandResult) -> list[tuple[bool, str]]:
    return [(row["ok"], row["words"]) for row in json.loads(said.out)["findings"] if row["what"] == "state"]


def test_s47_doctor_deep_finds_what_was_put_back(operator: Operator) -> None:
    user = acted(operator, lambda instance: a_user(instance, "alice", now=clock_now()))
    acted(operator, lambda instance: set_lost(instance, ROOT, user.serial, lost=True, now=clock_now()))
    operator.runs("audit", "chain")
    said = deep(operator, "--json")
    assert said.code == 0
    ((ok, words),) = state_of(said)
    assert ok
    assert "as the audit log says" in words

    altered(operator, "UPDATE token SET lost = false WHERE serial = :serial", serial=user.serial)
    altered(operator, "UPDATE account SET enabled = false WHERE login = 'alice'")
    said = deep(operator, "--json")
    assert said.code == 1
    assert sorted(state_of(said)) == [
        (False, f"token {user.serial}: lost is no in the database, and yes in the audit log"),
        (False, "user alice: enabled is no in the database, and yes in the audit log"),
    ]
    assert not sparekey("--data", str(operator.data), "alarm", "list", "--json").json["alarms"]  # it changes nothing
    assert "lost is no" in deep(operator).out


def test_s47_doctor_deep_names_counts_that_were_put_back(operator: Operator) -> None:
    user = acted(operator, lambda instance: a_user(instance, "alice", now=clock_now()))
    columns = ", ".join((*COUNT_NAMES, "counts_seal"))
    altered(operator, f"CREATE TABLE kept AS SELECT {columns} FROM account")
    for _ in range(2):
        denied(acted(operator, lambda instance: submit(instance, user, clock_now(), user.wrong(clock_now()))))
        altered(operator, f"UPDATE account SET ({columns}) = (SELECT {columns} FROM kept)")
    assert sorted(state_of(deep(operator, "--json"))) == [
        (False, "user alice: counts version is 0 in the database, and 1 in the audit log"),
        (False, "user alice: failures were counted or cleared on old counts, as version 1"),
    ]


def test_s47_doctor_deep_compares_events_that_nobody_has_chained(operator: Operator) -> None:
    data = "login\n" + "".join(f"user{number}\n" for number in range(50))
    acted(operator, lambda instance: import_users(instance, ROOT, data.encode(), now=clock_now()))
    altered(operator, "DELETE FROM account_word WHERE login = 'user7'")
    altered(operator, "DELETE FROM account WHERE login = 'user7'")
    said = deep(operator, "--json")
    assert said.code == 1
    ((_, words),) = state_of(said)
    assert words.endswith("deleted without an event")


def test_s47_doctor_deep_reads_no_altered_batch(operator: Operator) -> None:
    acted(operator, lambda instance: a_user(instance, "alice", now=clock_now()))
    operator.runs("audit", "chain")
    altered(operator, "UPDATE audit SET actor = 'os:nobody' WHERE id = 1")
    said = deep(operator, "--json")
    assert said.code == 1
    assert state_of(said) == [(False, "batch 1 of the audit log was altered: run `sparekey audit verify`")]


def test_doctor_deep_tells_its_progress(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_SAID_EACH", 5)
    data = "login\n" + "".join(f"user{number}\n" for number in range(50))
    acted(operator, lambda instance: import_users(instance, ROOT, data.encode(), now=clock_now()))
    said = deep(operator)
    assert "compared" in said.words
    assert "compared" not in said.out


def test_doctor_alone_does_not_read_the_whole_log(operator: Operator) -> None:
    assert state_of(sparekey("--data", str(operator.data), "doctor", "--json")) == []
    assert not list(Path(operator.data).glob("watch*"))
