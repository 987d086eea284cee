"""The message of a row seal is one for each row, and the seal belongs to it and to its key."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.core.row_seals import RowSeals, SealedKind, Value
from sparekey.secret import Secret

KEY = Secret(bytes(range(32)))
SEALS = RowSeals({1: KEY}, Secret(b"i" * 32))
ROW = SealedKind("account", ("id", "login", "key", "enabled", "expires_at"), octets=(2,), truths=(3,))

rows = st.tuples(
    st.text(max_size=8),
    st.text(max_size=8) | st.none(),
    st.binary(max_size=8) | st.none(),
    st.booleans() | st.none(),
    st.integers(-(2**63), 2**63 - 1) | st.none(),
)


def test_the_message_is_the_one_of_the_specification() -> None:
    message = ROW.message(["a1", "zoë", b"\x01\xff", 1, None])
    assert message == b'["sparekey/1/row-seal","account","a1","zo\\u00eb","01ff",true,null]'
    assert SEALS.seal(ROW, ["a1", "zoë", b"\x01\xff", True, None]) == (
        b"\0\0\0\1" + hmac.digest(KEY.reveal(), message, "sha256")
    )


@given(rows, rows)
def test_s47_two_rows_have_two_messages(one: tuple[Value, ...], other: tuple[Value, ...]) -> None:
    assert (ROW.message(one) == ROW.message(other)) is (one == other)


@given(rows)
def test_s47_a_seal_holds_for_its_row_alone(row: tuple[Value, ...]) -> None:
    seal = SEALS.seal(ROW, row)
    assert SEALS.holds(ROW, row, seal)
    assert not SEALS.holds(SealedKind("token", ROW.columns, ROW.octets, ROW.truths), row, seal)
    assert not SEALS.holds(ROW, (*row[:4], 7 if row[4] != 7 else None), seal)
    assert not RowSeals({1: Secret(b"x" * 32)}, Secret(b"")).holds(ROW, row, seal)


@pytest.mark.parametrize("seal", [None, b"", b"\0\0\0\1", bytes(36), "text", 7], ids=repr)
def test_s47_what_is_no_seal_holds_nothing(seal: object) -> None:
    assert not SEALS.holds(ROW, ("a", None, None, None, None), seal)


@pytest.mark.parametrize(
    "row", [("a", "b", "text", True, 1), ("a", "b", b"", 5, 1), ("a", "b", b"", "yes", 1), ("a", b"b", b"", True, 1)]
)
def test_s47_values_of_foreign_types_hold_nothing(row: tuple[object, ...]) -> None:
    assert not SEALS.holds(ROW, row, SEALS.seal(ROW, ("a", "b", b"", True, 1)))


def test_the_newest_key_seals_and_the_older_still_holds() -> None:
    row = ("a", "b", b"", True, 1)
    both = RowSeals({1: KEY, 2: Secret(b"n" * 32)}, Secret(b""))
    assert both.seal(ROW, row)[:4] == b"\0\0\0\2"
    assert both.holds(ROW, row, SEALS.seal(ROW, row))
    assert not SEALS.holds(ROW, row, both.seal(ROW, row))


def test_s47_an_id_needs_the_key() -> None:
    assert SEALS.id_of(b"digest") == hmac.digest(b"i" * 32, b"digest", "sha256")
