"""Lengths of files and functions, and the other counts of the house: `python -m tools.sizes [--all]`.

Rules: look hard at a file of 500 lines and a function of 60; never a file over 800 or a function over 100. The other
counts have goals, and maxima in tests/house/ratchet.toml that fall and never rise.
"""

import argparse
import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.house.counts import MOST_FILES, House, count_house
from tools.house.ratchet import lowered, read_maxima, write_maxima
from tools.tree import ROOT, project_files

LOOK_FILE, MOST_FILE = 500, 800
LOOK_FUNCTION, MOST_FUNCTION = 60, 100
PLACES = ("src", "tools", "bench")


@dataclass(frozen=True)
class Size:
    """Lines of a file, or of a function with its decorators and docstring ("path:line name")."""

    what: str
    lines: int
    look: int
    most: int


def sizes(root: Path = ROOT) -> Iterator[Size]:
    """The size of every file and function of the code itself; tests are read from top to bottom and left out."""
    for name in project_files(root):
        if name.suffix == ".py" and name.parts[0] in PLACES:
            source = (root / name).read_text(encoding="utf-8")
            yield Size(name.as_posix(), len(source.splitlines()), LOOK_FILE, MOST_FILE)
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                    lines = (node.end_lineno or first) - first + 1
                    yield Size(f"{name.as_posix()}:{first} {node.name}", lines, LOOK_FUNCTION, MOST_FUNCTION)


def table(house: House) -> Iterator[str]:
    """Yield the lines of the table that `--all` prints."""
    yield "files per package of src"
    for name, number in sorted(house.packages.items(), key=lambda pair: -pair[1]):
        yield f"{number:8}  {name}{f'  (over {MOST_FILES})' if number > MOST_FILES else ''}"
    yield "functions of src"
    of = house.functions
    yield f"{of.number:8}  functions; lines: median {of.median}, p90 {of.p90}, longest {of.longest}"
    yield "counts"
    for count in house.counts:
        goal = "" if count.goal is None else f"; goal {count.goal:g}"
        yield f"{count.value:8g}  {count.name}: {count.about} ({len(count.places)} places{goal})"


def as_json(house: House) -> str:
    """Return all numbers as JSON, without the places."""
    counts = {
        count.name: {"value": count.value, "places": len(count.places), "goal": count.goal} for count in house.counts
    }
    document = {"packages": house.packages, "functions": asdict(house.functions), "counts": counts}
    return json.dumps(document, indent=2)


def _print_long_ones() -> None:
    for size in sorted(sizes(), key=lambda each: -each.lines):
        if size.lines > size.look:
            print(f"{size.lines:5} lines (look at {size.look}, never over {size.most})  {size.what}")


def _print_places(house: House, name: str) -> int:
    for count in house.counts:
        if count.name == name:
            print(*count.places, sep="\n")
            return 0
    print("No such count. There are:", *(count.name for count in house.counts))
    return 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit 0, or 2 if `--list` names no count."""
    parser = argparse.ArgumentParser(prog="python -m tools.sizes", description="Lists long files and functions.")
    parser.add_argument("--all", action="store_true", help="print every count of the house")
    parser.add_argument("--json", action="store_true", help="print every count as JSON")
    parser.add_argument("--list", metavar="COUNT", help="print the places that a count counts, such as phrases")
    parser.add_argument("--lower", action="store_true", help="lower the maxima in tests/house/ratchet.toml")
    parser.add_argument("--root", type=Path, default=ROOT, help="count another checkout of the project")
    chosen = parser.parse_args(arguments)
    if not (chosen.all or chosen.json or chosen.list or chosen.lower):
        _print_long_ones()
        return 0
    house = count_house(chosen.root)
    if chosen.list:
        return _print_places(house, chosen.list)
    if chosen.lower:
        write_maxima(lowered(house, read_maxima()))
    print(as_json(house) if chosen.json else "\n".join(table(house)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
