"""House rules of names: quoted names exist in the code, and one thing has one word."""

import tomllib
from pathlib import Path

import pytest

from tools.house.english import prose
from tools.house.names import Known, known_names, retired_names, unknown_names
from tools.house.sources import Line, Source, python_sources
from tools.tree import ROOT

# names of other software
FOREIGN = {"navigator.credentials.create", "navigator.credentials.get"}
RETIRED = Path(__file__).with_name("retired_names.toml")
MIGRATIONS = Path("src/sparekey/storage/migrations")
TOURS = ("docs/tour-server.md", "docs/tour-device.md")


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return [*python_sources("src", "tests", "tools", "bench", "spec")]


@pytest.fixture(scope="module")
def known(sources: list[Source]) -> Known:
    return known_names(sources)


def test_quoted_names_exist(known: Known) -> None:
    texts = [*prose(python_sources("src"))]
    texts += [Line(name, 1, (ROOT / name).read_text(encoding="utf-8")) for name in TOURS]
    unknown = [line for line in unknown_names(texts, known) if line.text not in FOREIGN]
    assert not unknown, "the code has no such name: " + "; ".join(map(str, unknown))


def test_a_name_that_is_gone_is_found() -> None:
    known = known_names([Source(Path("src/places/hall.py"), "class Gate:\n    handle = 'brass'\n\ndef _open(): ...\n")])
    text = Line("a.py", 7, "See `hall.Gate`, `_open` and `places`; not\n`_shut`, `hall.Window` or `cellar.Gate`.")
    found = [str(line) for line in unknown_names([text], known)]
    assert found == ["a.py:8 _shut", "a.py:8 hall.Window", "a.py:8 cellar.Gate"]


def test_no_name_contains_a_retired_word(sources: list[Source]) -> None:
    words = tomllib.loads(RETIRED.read_text(encoding="utf-8"))
    present = [source for source in sources if not source.path.is_relative_to(MIGRATIONS)]
    found = list(retired_names(present, words["retired"], words["kept"]))
    assert not found, "one thing has one word: " + "; ".join(map(str, found))


def test_a_retired_word_is_found_in_each_part_of_a_name() -> None:
    text = "class GateKind:\n    gates = 1\ndef _find_gate(gated, gatehouse, gate_limit):\n    self.gate = open_gate\n"
    found = retired_names([Source(Path("a.py"), text)], {"gate": "entrance"}, {"gate_limit"})
    assert [line.text.split()[0] for line in found] == ["GateKind", "_find_gate", "gates", "gated", "gate"]
