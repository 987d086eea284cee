"""Values of use cases in JSON: a round trip, refusal of undeclared fields and of other types."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.secret import Secret
from sparekey.wire.enrolment import EnrolmentCode
from sparekey.wire.messages import LARGEST_INTEGER, BadMessage
from sparekey.wire.values import from_json, is_list, is_object, is_value, schema_of, to_json


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    number: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Everything:
    text: str
    number: int
    truth: bool
    colour: Colour
    seed: Secret[bytes]
    code: EnrolmentCode
    inner: Inner
    rows: list[Inner]
    values: Mapping[str, bool | int | str]
    by_colour: Mapping[Colour, int]
    names: frozenset[str]
    perhaps: Inner | None = None
    pin: Secret[str] | None = None


# Text that a database can store: no NUL, no half character.
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
INNER = st.builds(Inner, NUMBERS, st.lists(TEXTS, max_size=3).map(tuple))
EVERYTHING = st.builds(
    Everything,
    text=TEXTS,
    number=NUMBERS,
    truth=st.booleans(),
    colour=st.sampled_from(Colour),
    seed=st.binary(max_size=9).map(Secret),
    inner=INNER,
    rows=st.lists(INNER, max_size=3),
    code=st.builds(
        EnrolmentCode, secret=st.binary(min_size=10, max_size=10).map(Secret), pin=st.binary(min_size=10, max_size=10)
    ),
    values=st.dictionaries(TEXTS, st.booleans() | NUMBERS | TEXTS, max_size=3),
    by_colour=st.dictionaries(st.sampled_from(Colour), NUMBERS),
    names=st.frozensets(TEXTS, max_size=3),
    perhaps=st.none() | INNER,
    pin=st.none() | TEXTS.map(Secret),
)


@given(EVERYTHING)
def test_values_survive_a_round_trip(value: Everything) -> None:
    sent = json.loads(json.dumps(to_json(value)))
    assert from_json(Everything, sent, "message") == value
    assert from_json(Everything, sent | {"newer": 1}, "message", exact=False) == value
    with pytest.raises(BadMessage):
        from_json(Everything, sent | {"more": 1}, "message")


REFUSED: Mapping[str, tuple[Any, Any]] = {
    "text for a number": (int, "1"),
    "truth for a number": (int, True),
    "a number for truth": (bool, 1),
    "a fraction": (int, 1.0),
    "a number too large": (int, LARGEST_INTEGER + 1),
    "null": (str, None),
    "NUL": (str, "a\x00"),
    "half a character": (str, "\ud800"),
    "long text": (str, "x" * 4_097),
    "a colour that is none": (Colour, "green"),
    "a list for a colour": (Colour, ["red"]),
    "text for a list": (list[str], "red"),
    "a name that is no colour": (Mapping[Colour, int], {"green": 1}),
    "a list for an object": (Inner, [1]),
    "a missing member": (Inner, {"words": []}),
    "none of several": (int | None, "x"),
    "upper-case hex": (bytes, "AB"),
    "white space in hex": (bytes, "a b"),
    "half a byte": (bytes, "abc"),
    "other digits": (bytes, "\uff11\uff11"),
    "a code that was mistyped": (EnrolmentCode, "AAAAA"),
    "too many": (list[int], [1] * 10_001),
}


@pytest.mark.parametrize("case", REFUSED)
def test_undeclared_fields_are_refused(case: str) -> None:
    kind, value = REFUSED[case]
    with pytest.raises(BadMessage):
        from_json(kind, value, "member")


@given(
    st.recursive(
        st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
        lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3),
    )
)
def test_a_refusal_names_the_member_and_not_its_value(value: Any) -> None:
    wrapped = {"number": {"canary7F3A": value}}
    with pytest.raises(BadMessage) as refused:
        from_json(Inner, wrapped, "message")
    assert "canary7F3A" not in str(refused.value)


@pytest.mark.parametrize("value", [object(), 1.5, Inner, len, [1.5], {"a": object()}])
def test_other_values_have_no_json_form(value: Any) -> None:
    with pytest.raises(TypeError):
        to_json(value)


def test_types_with_a_json_form() -> None:
    for kind in (str, int | None, Sequence[Inner], Secret[bytes], Everything, dict[str, Any]):
        assert is_value(kind)
        assert schema_of(kind)
    without: list[Any] = [float, object, list[float], Callable[[], int], Mapping[int, str]]
    assert not any(is_value(each) for each in without)
    assert is_list(Sequence[str])
    assert is_object(Inner | None)
    assert not is_object(EnrolmentCode)
