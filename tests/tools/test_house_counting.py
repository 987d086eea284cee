"""The counts of the house see each kind of finding, and the ratchet is lowered and never raised."""

from pathlib import Path

import pytest

from tools.house import code, english
from tools.house.counts import Count, House
from tools.house.ratchet import Maxima, complaints, lowered, read_maxima, write_maxima
from tools.house.sources import Line, Source
from tools.sizes import as_json, main, table

FUNCTIONS = code.Functions(2, 1, 1, 1)


def a_source(text: str, path: str = "src/sparekey/app/a.py") -> Source:
    return Source(Path(path), text)


def a_house(value: float = 5, goal: float | None = 0, packages: dict[str, int] | None = None) -> House:
    return House(packages or {}, FUNCTIONS, (Count("phrases", "phrases", value, goal, ()),))


@pytest.mark.parametrize(
    "docstring",
    ["What it is.", "Whether it fits.", "Who may.", "The same for tokens.", "When it ends.", "Whoever asks."],
)
def test_a_docstring_that_begins_with_a_clause_is_found(docstring: str) -> None:
    source = a_source(f'"""A module."""\n\n\ndef f():\n    """{docstring}"""\n')
    assert [line.number for line in english.clauses(source.docstrings)] == [5]


@pytest.mark.parametrize("docstring", ["Return the token.", "Whole days.", "A user who signs in.", "Howl."])
def test_a_docstring_that_begins_with_a_verb_or_noun_is_not(docstring: str) -> None:
    assert english.clauses(a_source(f'"""{docstring}"""').docstrings) == []


@pytest.mark.parametrize(
    "text",
    [
        '"""Text.\n\nWhoever asks is refused."""',
        "# what stands in\n# the way\nx = 1",
        "x = 1  # it is to be kept",
        '"""Text that is made\nanew."""',
    ],
)
def test_a_phrase_is_found_in_docstrings_and_comments_across_lines(text: str) -> None:
    assert len(english.found(english.read_phrases(), english.prose([a_source(text)]))) == 1


def test_a_found_phrase_has_its_place_and_a_replacement() -> None:
    source = a_source('"""Text.\n\nThe key is renewed by itself."""')
    [line] = english.found(english.read_phrases(), english.prose([source]))
    assert str(line).startswith('src/sparekey/app/a.py:3 "by itself": automatically')


@pytest.mark.parametrize("text", ['"""The page itself."""', "# nobodys_row", "x = 'nobody'", '"""Showing a code."""'])
def test_code_and_other_words_are_no_phrases(text: str) -> None:
    assert english.found(english.read_phrases(), english.prose([a_source(text)])) == []


def test_documents_are_read_without_code_tags_and_expressions(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("One `nobody`.\n\n```\nnobody\n```\nNobody here.\n")
    (tmp_path / "b.html").write_text('<a title="nobody">{{ nobody }}{% if nobody %}nobody{% endif %}</a>')
    found = english.found(english.read_phrases(), english.documents(tmp_path))
    assert [(line.path, line.number) for line in found] == [("a.md", 6), ("b.html", 1)]


def test_messages_are_strings_of_some_words_that_are_no_docstrings() -> None:
    source = a_source('"""A module of words."""\nA = "No server found"\nB = "name"\nC = f"Not {A}"\n')
    assert [line.text for line in source.messages] == ["No server found"]


def test_a_directive_is_found_in_a_comment_and_not_in_a_string() -> None:
    source = a_source('A = "fmt: skip"\nB = 1  # fmt: skip\n')
    assert [line.number for line in code.comments_with("fmt: skip", [source])] == [2]


def test_a_name_is_counted_where_it_is_used_and_not_where_it_is_imported() -> None:
    text = "from typing import Any\n\n\ndef f(a: Any) -> dict[str, Any]:\n    return a\n"
    sources = [a_source(text), a_source(text, "src/sparekey/storage/a.py")]
    assert len(code.names("Any", sources, in_storage=False)) == 2
    assert code.lines_of(sources, in_storage=True) == 5


def test_files_are_counted_per_package_without_versions_of_the_database() -> None:
    paths = ["app/a.py", "app/b.py", "app/people/c.py", "storage/migrations/versions/d.py"]
    counted = code.files_per_package(a_source("", f"src/sparekey/{path}") for path in paths)
    assert counted == {"sparekey/app": 2, "sparekey/app/people": 1}


def test_functions_are_measured_from_def_to_their_last_line() -> None:
    source = a_source("@cached\ndef f():\n    return 1\n\n\ndef g():\n    def h(): ...\n    x = 1\n    return h\n")
    assert code.functions([source]) == code.Functions(number=3, median=2, p90=4, longest=4)


@pytest.mark.parametrize("number", ["86400", "86_400", "24 * 60 * 60", "24 * 3600"])
def test_a_day_in_seconds_is_found_however_it_is_spelled(number: str) -> None:
    assert len(code.days_in_seconds([a_source(f"day = 2 + {number}")])) == 1


def test_a_class_name_that_is_defined_twice_is_one_finding_with_both_places() -> None:
    [line] = code.equal_class_names([a_source("class Judged: ...\n"), a_source("class Judged: ...\nclass A: ...\n")])
    assert str(line) == "src/sparekey/app/a.py:1 Judged, 2 times: src/sparekey/app/a.py:1"


RAISING = 'def {name}(a):\n    """{text}"""\n    if a:\n        raise errors.NotFound("a")\n'


def test_a_public_docstring_that_hides_an_error_is_found() -> None:
    [line] = code.silent_about_raising([a_source(RAISING.format(name="get", text="Return a token."))])
    assert line.text == "get raises NotFound"


@pytest.mark.parametrize(
    ("name", "text"),
    [("get", "Return it. Raises NotFound."), ("get", "Raise an error if not."), ("_get", "Return it.")],
)
def test_a_documented_or_private_error_is_not_counted(name: str, text: str) -> None:
    assert code.silent_about_raising([a_source(RAISING.format(name=name, text=text))]) == []


def test_errors_of_nested_functions_and_raising_again_are_left_out() -> None:
    text = 'def f():\n    """Return it."""\n    def g():\n        raise NotFound\n    try: g()\n    except E: raise\n'
    assert code.silent_about_raising([a_source(text)]) == []


def test_a_count_above_its_maximum_is_a_complaint() -> None:
    assert list(complaints(a_house(5), Maxima({"phrases": 5}, {}))) == []
    assert len(list(complaints(a_house(5), Maxima({"phrases": 4}, {})))) == 1
    assert len(list(complaints(a_house(5), Maxima({}, {})))) == 1


def test_a_maximum_far_above_its_count_is_a_complaint_unless_the_goal_is_reached() -> None:
    assert len(list(complaints(a_house(50), Maxima({"phrases": 60}, {})))) == 1
    assert list(complaints(a_house(58), Maxima({"phrases": 60}, {}))) == []
    assert list(complaints(a_house(0, goal=3), Maxima({"phrases": 3}, {}))) == []


def test_a_package_may_have_no_more_files_than_25_or_its_exception() -> None:
    house = a_house(packages={"sparekey/app": 30, "sparekey/core": 25})
    counts = {"phrases": 5}
    assert list(complaints(house, Maxima(counts, {"sparekey/app": 30}))) == []
    assert len(list(complaints(house, Maxima(counts, {})))) == 1
    assert len(list(complaints(house, Maxima(counts, {"sparekey/app": 31})))) == 1
    assert len(list(complaints(house, Maxima(counts, {"sparekey/app": 30, "sparekey/core": 26})))) == 1


def test_the_ratchet_is_lowered_and_never_raised(tmp_path: Path) -> None:
    before = Maxima({"phrases": 7}, {"sparekey/app": 30, "sparekey/core": 30})
    after = lowered(a_house(5, packages={"sparekey/app": 28, "sparekey/core": 9, "sparekey/new": 26}), before)
    assert after == Maxima({"phrases": 5}, {"sparekey/app": 28})
    assert lowered(a_house(9), after).counts == {"phrases": 5}
    write_maxima(after, tmp_path / "ratchet.toml")
    assert read_maxima(tmp_path / "ratchet.toml") == after


def test_the_table_and_the_json_give_each_count() -> None:
    house = House({"sparekey/app": 30}, FUNCTIONS, (Count("phrases", "phrases", 5, 3, [Line("a.py", 1, "x")]),))
    assert "      30  sparekey/app  (over 25)" in list(table(house))
    assert '"phrases": {\n      "value": 5,\n      "places": 1' in as_json(house)


def test_the_places_of_a_count_are_listed_and_an_unknown_count_names_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text('"""What it is."""\n\n\ndef f(): ...\ndef g(): ...\n')
    assert main(["--list", "wh_docstrings", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "src/a.py:1 What it is.\n"
    assert main(["--list", "no-such-count", "--root", str(tmp_path)]) == 2
    assert "wh_docstrings" in capsys.readouterr().out
