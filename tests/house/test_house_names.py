"""House rule of names: every name in backticks in a docstring, a comment or a tour exists in the code."""

from pathlib import Path

import pytest

from tools.house.english import prose
from tools.house.names import Known, known_names, unknown_names
from tools.house.sources import Line, Source, python_sources
from tools.tree import ROOT

# names of other software
FOREIGN = {"navigator.credentials.create", "navigator.credentials.get"}
TOURS = ("docs/tour-server.md", "docs/tour-device.md")


@pytest.fixture(scope="module")
def known() -> Known:
    return known_names(python_sources("src", "tests", "tools", "bench", "spec"))


def test_quoted_names_exist(known: Known) -> None:
    texts = [*prose(python_sources("src"))]
    texts += [Line(name, 1, (ROOT / name).read_text(encoding="utf-8")) for name in TOURS]
    unknown = [line for line in unknown_names(texts, known) if line.text not in FOREIGN]
    assert not unknown, "the code has no such name: " + "; ".join(map(str, unknown))


def test_a_name_that_is_gone_is_found() -> None:
    known = known_names([Source(Path("src/places/hall.py"), "class Door:\n    handle = 'brass'\n\ndef _open(): ...\n")])
    text = Line("a.py", 7, "See `hall.Door`, `_open` and `places`; not\n`_shut`, `hall.Window` or `cellar.Door`.")
    found = [str(line) for line in unknown_names([text], known)]
    assert found == ["a.py:8 _shut", "a.py:8 hall.Window", "a.py:8 cellar.Door"]
