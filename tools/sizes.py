"""How long files and functions are: `python -m tools.sizes` lists those that deserve a hard look.

Rules: look hard at a file of 500 lines and a function of 60; never a file over 800 or a function over 100.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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


def main() -> None:
    for size in sorted(sizes(), key=lambda each: -each.lines):
        if size.lines > size.look:
            print(f"{size.lines:5} lines (look at {size.look}, never over {size.most})  {size.what}")


if __name__ == "__main__":
    main()
