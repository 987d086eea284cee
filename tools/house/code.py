"""Findings in the code that a reader or a type checker would trip over; each function lists the places it counts.

Rules: a finding is a `Line`, so that a failing test can print where it stands; nothing here knows a limit.
"""

import ast
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tools.house.sources import Function, Line, Source

DAY_IN_SECONDS = 24 * 60 * 60
STORAGE = ("src", "sparekey", "storage")
MIGRATIONS = "migrations/versions"
_SAYS_WHAT_IT_RAISES = re.compile(r"\b[Rr]ais(?:e|es|ed|ing)\b")


@dataclass(frozen=True)
class Functions:
    """Number and lengths of functions, in lines from `def` to the last one."""

    number: int
    median: int
    p90: int
    longest: int


def functions(sources: Iterable[Source]) -> Functions:
    """Measure every function, nested ones too. There must be at least two."""
    lengths = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for source in sources
        for node in source.nodes
        if isinstance(node, Function)
    ]
    p90 = statistics.quantiles(lengths, n=10, method="inclusive")[-1]
    return Functions(len(lengths), round(statistics.median(lengths)), round(p90), max(lengths))


def files_per_package(sources: Iterable[Source]) -> dict[str, int]:
    """Count the Python files directly in each directory of src/sparekey; versions of the database are left out."""
    folders = (source.path.parent.as_posix() for source in sources)
    counted = Counter(folder for folder in folders if not folder.endswith(MIGRATIONS))
    return {folder.removeprefix("src/"): number for folder, number in counted.items()}


def comments_with(text: str, sources: Iterable[Source]) -> list[Line]:
    """List the comments that contain a directive such as "fmt: skip"."""
    return [comment for source in sources for comment in source.comments if text in comment.text]


def names(name: str, sources: Iterable[Source], *, in_storage: bool) -> list[Line]:
    """List the uses of a name such as `Any`, its import left out, in src/sparekey/storage or outside it."""
    return [
        Line(source.name, node.lineno, name)
        for source in sources
        if (source.path.parts[:3] == STORAGE) == in_storage
        for node in source.nodes
        if isinstance(node, ast.Name) and node.id == name
    ]


def lines_of(sources: Iterable[Source], *, in_storage: bool) -> int:
    """Count the lines of src/sparekey/storage or of the files outside it."""
    return sum(len(each.text.splitlines()) for each in sources if (each.path.parts[:3] == STORAGE) == in_storage)


def equal_class_names(sources: Iterable[Source]) -> list[Line]:
    """List the class names that are defined twice or more, each with its places."""
    places = defaultdict(list)
    for source in sources:
        for node in source.nodes:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(Line(source.name, node.lineno, node.name))
    return [
        Line(found[0].path, found[0].number, f"{name}, {len(found)} times: {_where(found[1:])}")
        for name, found in sorted(places.items())
        if len(found) > 1
    ]


def _where(lines: Sequence[Line]) -> str:
    return ", ".join(f"{line.path}:{line.number}" for line in lines)


def days_in_seconds(sources: Iterable[Source]) -> list[Line]:
    """List the places where a day is spelled out, as 86400 or as a product of numbers such as 24 * 3600."""
    return [
        Line(source.name, node.lineno, ast.unparse(node))
        for source in sources
        for node in source.nodes
        if isinstance(node, ast.Constant | ast.BinOp) and _number(node) == DAY_IN_SECONDS
    ]


def _number(node: ast.expr) -> int | None:
    """Return the value of a number or of a product of numbers."""
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            factors = _number(left), _number(right)
            return factors[0] * factors[1] if factors[0] is not None and factors[1] is not None else None
    return None


def silent_about_raising(sources: Iterable[Source]) -> list[Line]:
    """List the public functions with a docstring that raise an error in their own body and do not say so.

    Errors of callees are not seen. A docstring says so by "raise" in any form or by the name of the error. Commands of
    `sparekey` are left out: their docstring is the text of `--help`, and their users read "error:" lines.
    """
    found = []
    for source in sources:
        for node in _public_functions(next(each for each in source.nodes if isinstance(each, ast.Module))):
            if _is_command(node):
                continue
            text, errors = ast.get_docstring(node), list(_raised(node.body))
            if text and errors and not _SAYS_WHAT_IT_RAISES.search(text) and not any(each in text for each in errors):
                found.append(Line(source.name, node.lineno, f"{node.name} raises {', '.join(sorted(set(errors)))}"))
    return found


def _is_command(node: Function) -> bool:
    """Return True if the first argument is a `typer.Context`."""
    first = node.args.args[0].annotation if node.args.args else None
    return first is not None and ast.unparse(first) == "typer.Context"


def _public_functions(node: ast.Module | ast.ClassDef) -> Iterator[Function]:
    for child in node.body:
        if isinstance(child, ast.ClassDef | Function) and not child.name.startswith("_"):
            if isinstance(child, ast.ClassDef):
                yield from _public_functions(child)
            else:
                yield child


def _raised(body: Sequence[ast.AST]) -> Iterator[str]:
    """Yield the name of each error that these statements raise; nested functions raise theirs when they are called."""
    for node in body:
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            yield _error_name(node.exc)
        yield from _raised(list(ast.iter_child_nodes(node)))


def _error_name(raised: ast.expr) -> str:
    error = raised.func if isinstance(raised, ast.Call) else raised
    return ast.unparse(error).rpartition(".")[2]
