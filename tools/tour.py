"""The source that docs/tour.md leads through: `python -m tools.tour` prints its parts and their lines.

Rules: a stop is a code span, `src/sparekey/...py` for a whole file or `src/sparekey/...py:10-60` for a part; a part
begins at a definition, or with the file, and ends where one ends, so that lines that have slipped are found; a line
counts once, however often the tour passes it; all stops together stay under MOST_LINES.
"""

import ast
import re
from pathlib import Path

from tools.tree import ROOT

STOP = re.compile(r"`(src/[^`\s:]+\.py)(?::(\d+)-(\d+))?`")
MOST_LINES = 1500

Lines = dict[str, set[int]]


class TourError(ValueError):
    """The tour names a file or lines that are not there, or that are no whole definitions."""


def lines_of_the_tour(root: Path = ROOT) -> Lines:
    """The line numbers that the tour passes, per file. Raises TourError, FileNotFoundError without a tour."""
    lines: Lines = {}
    for path, first, last in STOP.findall((root / "docs" / "tour.md").read_text(encoding="utf-8")):
        if not (root / path).is_file():
            raise TourError(f"docs/tour.md: {path} does not exist")
        source = (root / path).read_text(encoding="utf-8")
        length = len(source.splitlines())
        begin, end = (int(first), int(last)) if first else (1, length)
        if not 1 <= begin <= end <= length:
            raise TourError(f"docs/tour.md: {path} has {length} lines, not {begin}-{end}")
        _verify_whole(path, source, begin, end, length)
        lines.setdefault(path, set()).update(range(begin, end + 1))
    return lines


def _verify_whole(path: str, source: str, begin: int, end: int, length: int) -> None:
    """Raises TourError where a definition is cut, at the top level of the file."""
    body = ast.parse(source).body
    begins = {1, *(_first_line(node) for node in body)}
    ends = {length, *(node.end_lineno or node.lineno for node in body)}
    if begin not in begins:
        near = min(begins, key=lambda line: abs(line - begin))
        raise TourError(f"docs/tour.md: no definition of {path} begins at line {begin}; one does at {near}")
    if end not in ends:
        near = min(ends, key=lambda line: abs(line - end))
        raise TourError(f"docs/tour.md: no definition of {path} ends at line {end}; one does at {near}")


def _first_line(node: ast.stmt) -> int:
    """With its decorators."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min(node.lineno, *(each.lineno for each in decorators)) if decorators else node.lineno


def total(lines: Lines) -> int:
    """How many lines of source the tour leads through."""
    return sum(len(numbers) for numbers in lines.values())


def main() -> None:
    lines = lines_of_the_tour()
    for path, numbers in lines.items():
        print(f"{len(numbers):5}  {path}")
    print(f"{total(lines):5}  in all, under {MOST_LINES} allowed")


if __name__ == "__main__":
    main()
