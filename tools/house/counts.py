"""Every count of the house, with its goal and the places that it counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.house import code, english
from tools.house.sources import CODE, TESTS, Line, Source, python_sources
from tools.tree import ROOT

MOST_FILES = 25


@dataclass(frozen=True)
class Count:
    """One number. `goal` is None where the number has only to stay or fall; a share is rounded to one decimal."""

    name: str
    about: str
    value: float
    goal: float | None
    places: Sequence[Line]


@dataclass(frozen=True)
class House:
    """The counts of one tree. `packages` maps a directory such as "sparekey/app" to its number of Python files."""

    packages: dict[str, int]
    functions: code.Functions
    counts: tuple[Count, ...]

    def full_packages(self) -> dict[str, int]:
        """Return the packages with more than MOST_FILES files."""
        return {name: number for name, number in self.packages.items() if number > MOST_FILES}


def count_house(root: Path = ROOT) -> House:
    """Count everything in the tree at `root`; takes seconds."""
    product = list(python_sources("src", root=root))
    working = [*product, *python_sources(*CODE[1:], root=root)]
    tests = list(python_sources(*TESTS, root=root))
    counts = (*_english(product, working, tests, root), *_types(product), *_directives([*working, *tests]))
    return House(code.files_per_package(product), code.functions(product), (*counts, *_names(product)))


def _english(product: list[Source], working: list[Source], tests: list[Source], root: Path) -> list[Count]:
    phrases = english.read_phrases()
    texts = [*english.prose(working), *english.documents(root)]
    messages = [line for source in product for line in source.messages]
    in_tests = list(english.prose(tests))
    return [
        _clauses("wh_docstrings", "docstrings that begin with a wh-word, %", working),
        _clauses("wh_docstrings_in_tests", "docstrings of tests that begin with a wh-word, %", tests),
        _phrases("phrases", "phrases of english.toml in docstrings, comments, templates, documents", phrases, texts),
        _phrases("phrases_in_messages", "phrases in messages and labels of src", phrases, messages),
        _phrases("phrases_in_tests", "phrases in docstrings and comments of tests", phrases, in_tests),
    ]


def _clauses(name: str, about: str, sources: list[Source]) -> Count:
    docstrings = [line for source in sources for line in source.docstrings]
    places = english.clauses(docstrings)
    return Count(name, about, _share(len(places), len(docstrings), 100), 3, places)


def _phrases(name: str, about: str, phrases: list[english.Phrase], texts: list[Line]) -> Count:
    places = english.found(phrases, texts)
    return Count(name, f"{about}, per 10,000 words", _share(len(places), english.words(texts), 10_000), 3, places)


def _types(product: list[Source]) -> list[Count]:
    outside = code.names("Any", product, in_storage=False)
    inside = code.names("Any", product, in_storage=True)
    rows = code.names("AnyRow", product, in_storage=False)
    share_outside = _share(len(outside), code.lines_of(product, in_storage=False), 1000)
    share_inside = _share(len(inside), code.lines_of(product, in_storage=True), 1000)
    return [
        Count("any_outside_storage", "`Any` outside storage, per 1,000 lines", share_outside, 3, outside),
        Count("any_in_storage", "`Any` in storage, per 1,000 lines", share_inside, None, inside),
        Count("rows_without_types", "`AnyRow` outside storage", len(rows), 0, rows),
    ]


def _directives(sources: list[Source]) -> list[Count]:
    skips = code.comments_with("fmt: skip", sources)
    ignores = code.comments_with("type: ignore", sources)
    exceptions = code.comments_with("# noqa", sources)
    return [
        Count("fmt_skip", "`fmt: skip`", len(skips), 0, skips),
        Count("type_ignore", "`type: ignore`", len(ignores), None, ignores),
        Count("noqa", "`noqa`", len(exceptions), None, exceptions),
    ]


def _names(product: list[Source]) -> list[Count]:
    silent = code.silent_about_raising(product)
    classes = code.equal_class_names(product)
    days = code.days_in_seconds(product)
    return [
        Count("silent_about_raising", "public docstrings that do not say what is raised", len(silent), 0, silent),
        Count("equal_class_names", "class names defined twice or more", len(classes), 0, classes),
        Count("days_in_seconds", "places that spell out a day in seconds", len(days), 1, days),
    ]


def _share(part: int, whole: int, per: int) -> float:
    return round(part * per / whole, 1) if whole else 0.0
