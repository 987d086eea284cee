"""The source that the tours lead through: `python -m tools.tour` prints the parts of each tour and their lines.

Rules:
- A tour is a document of TOURS with its limit of lines. A stop is a code span: `src/sparekey/...py` for a whole file,
  or `src/sparekey/...py:10-60` for a part.
- A part begins at a definition, or with the file, and ends where one ends, so that lines that have slipped are found.
- A line counts once per tour, however often the tour passes it.
- `--missing` lists the functions that a shown function calls and that no stop of the tour shows.
"""

import argparse
import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.calls import Definition, calls_of, read_definitions
from tools.tree import ROOT

STOP: Final = re.compile(r"`(src/[^`\s:]+\.py)(?::(\d+)-(\d+))?`")
# each tour and the number of lines that its stops may have together
TOURS: Final[Mapping[str, int]] = {"docs/tour-server.md": 900, "docs/tour-device.md": 900}

Lines = dict[str, set[int]]


class TourError(ValueError):
    """The tour names a file or lines that are not there, or that are no whole definitions."""


def tours(root: Path = ROOT) -> dict[str, Lines]:
    """Return the lines that each tour passes, by its document. Raises TourError, FileNotFoundError without a tour."""
    return {tour: lines_of_the_tour(root, tour) for tour in TOURS}


def lines_of_the_tour(root: Path, tour: str) -> Lines:
    """Return the line numbers that a tour passes, per file. Raises TourError, FileNotFoundError without a tour."""
    lines: Lines = {}
    for path, first, last in STOP.findall((root / tour).read_text(encoding="utf-8")):
        if not (root / path).is_file():
            raise TourError(f"{tour}: {path} does not exist")
        source = (root / path).read_text(encoding="utf-8")
        length = len(source.splitlines())
        begin, end = (int(first), int(last)) if first else (1, length)
        if not 1 <= begin <= end <= length:
            raise TourError(f"{tour}: {path} has {length} lines, not {begin}-{end}")
        _verify_whole(f"{tour}: no definition of {path}", source, begin, end)
        lines.setdefault(path, set()).update(range(begin, end + 1))
    return lines


def _verify_whole(wrong: str, source: str, begin: int, end: int) -> None:
    """Raises TourError if a definition at the top level of the file is cut."""
    body = ast.parse(source).body
    begins = {1, *(_first_line(node) for node in body)}
    ends = {len(source.splitlines()), *(node.end_lineno or node.lineno for node in body)}
    if begin not in begins:
        near = min(begins, key=lambda line: abs(line - begin))
        raise TourError(f"{wrong} begins at line {begin}; one does at {near}")
    if end not in ends:
        near = min(ends, key=lambda line: abs(line - end))
        raise TourError(f"{wrong} ends at line {end}; one does at {near}")


def _first_line(node: ast.stmt) -> int:
    """Return the line of the first decorator, or of the definition."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min(node.lineno, *(each.lineno for each in decorators)) if decorators else node.lineno


def total(lines: Lines) -> int:
    """Return how many lines of source a tour leads through."""
    return sum(len(numbers) for numbers in lines.values())


def missing(lines: Lines, root: Path = ROOT) -> dict[Definition, set[str]]:
    """Return the functions that no stop shows and that shown ones call, each with the names of its callers."""
    definitions = read_definitions(root)
    shown = {each for each in definitions.functions if each.lines <= lines.get(each.file, set())}
    not_shown: dict[Definition, set[str]] = {}
    for caller in shown:
        for callee in calls_of(caller, definitions) - shown:
            not_shown.setdefault(callee, set()).add(caller.name)
    return not_shown


def _print_stops(tour: str, lines: Lines) -> None:
    for path, numbers in lines.items():
        print(f"{len(numbers):5}  {path}")
    print(f"{total(lines):5}  in all, under {TOURS[tour]} allowed in {tour}")


def _print_missing(tour: str, lines: Lines) -> None:
    found = missing(lines)
    print(f"{len(found):5}  functions are called in {tour} and not shown")
    for callee, callers in sorted(found.items(), key=lambda pair: (pair[0].file, pair[0].first)):
        where = f"{callee.file}:{callee.first}-{callee.last}"
        print(f"{len(callee.lines):5}  {where} {callee.name}, called by {', '.join(sorted(callers))}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.tour", description="Print the stops of each tour.")
    parser.add_argument("--missing", action="store_true", help="print the functions that are called and not shown")
    chosen = parser.parse_args(arguments)
    for tour, lines in tours().items():
        (_print_missing if chosen.missing else _print_stops)(tour, lines)


if __name__ == "__main__":
    main()
