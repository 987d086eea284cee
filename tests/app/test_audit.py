"""Audit events: in the effect's transaction, canonical, and never with a secret."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.app.audit import SYSTEM, AuditEntry, append, canonical_json
from sparekey.core.audit_log.actions import OK, Action
from sparekey.secret import Secret
from sparekey.storage.audit_log.events import AuditFilter, list_rows
from sparekey.storage.unit_of_work import Database

NOW = 1_800_000_000_000_000


def an_entry(at: int = NOW, **values: object) -> AuditEntry:
    defaults: dict[str, object] = {"actor": SYSTEM, "action": Action.SIGN_IN_DENIED}
    return AuditEntry(at, **defaults | values)  # type: ignore[arg-type] # a builder


def test_an_entry_is_read_back_as_it_was_written(database: Database) -> None:
    entry = an_entry(
        actor="client:web",
        account_id="a1",
        token_id="t1",
        device_id="d1",
        result="wrong code",
        detail={"step": 7, "interface": "rest", "näme": None, "list": [True, "\x00"]},
    )
    with database.write() as connection:
        append(connection, entry)
        append(connection, an_entry())
    with database.read() as connection:
        second, first = list_rows(connection, limit=10)
    assert (first.at, first.actor, first.action, first.result) == (NOW, "client:web", "sign-in.denied", "wrong code")
    assert (first.account_id, first.token_id, first.device_id) == ("a1", "t1", "d1")
    assert first.detail == '{"interface":"rest","list":[true,"\\u0000"],"n\\u00e4me":null,"step":7}'
    assert (second.account_id, second.result, second.detail) == (None, OK, "{}")
    assert second.id > first.id


def test_s42_a_row_goes_with_its_transaction(database: Database) -> None:
    def fail_after_logging() -> None:
        with database.write() as connection:
            append(connection, an_entry())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_logging()
    with database.read() as connection:
        assert list_rows(connection, limit=10) == []


@pytest.mark.parametrize("detail", [{"pin": Secret("1234")}, {"deep": [{"seed": Secret(b"x")}]}, {"raw": b"\x01"}])
def test_s65_secrets_and_bytes_are_never_logged(memory_database: Database, detail: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="cannot hold") as refused, memory_database.write() as connection:
        append(connection, an_entry(detail=detail))
    assert "1234" not in str(refused.value)


def test_a_detail_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        canonical_json({"note": "x" * 20_000})


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.booleans()))
def test_the_same_detail_has_one_text(detail: dict[str, int | str | bool | None]) -> None:
    backwards = dict(reversed(list(detail.items())))
    assert canonical_json(detail) == canonical_json(backwards)
    assert canonical_json(detail).isascii()


def test_events_are_found_by_their_objects(database: Database) -> None:
    with database.write() as connection:
        for index in range(6):
            action = Action.TOKEN_LOST if index % 2 else Action.SIGN_IN_GRANTED
            append(
                connection, an_entry(at=index, action=action, account_id=f"a{index % 3}", token_id="t", device_id="d")
            )
    with database.read() as connection:
        everything = list_rows(connection, limit=10)
        assert [row.at for row in everything] == [5, 4, 3, 2, 1, 0]
        assert [row.at for row in list_rows(connection, limit=2)] == [5, 4]
        assert [row.at for row in list_rows(connection, limit=2, before=everything[1].id)] == [3, 2]
        assert [row.at for row in list_rows(connection, AuditFilter(account_id="a1"), limit=9)] == [4, 1]
        assert [row.at for row in list_rows(connection, AuditFilter(actions=[Action.TOKEN_LOST]), limit=9)] == [5, 3, 1]
        assert list_rows(connection, AuditFilter(token_id="t", device_id="other"), limit=9) == []


def test_names_of_actions_are_noun_and_verb() -> None:
    for action in Action:
        assert re.fullmatch(r"[a-z-]+\.[a-z-]+", action.value)
        assert len(action.value) <= 64
    assert [action for action in Action if action.is_alarm]
    assert not Action.SIGN_IN_DENIED.is_alarm
