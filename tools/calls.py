"""Functions of src/sparekey and what they call, as far as imports and names tell.

Rules: a call is resolved through a name of the module, an import, a module or class before the dot, or `self`. A method
of another value is not resolved, since its type is not known; a made object counts as a call of no function.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tools.house.sources import Function, python_sources
from tools.tree import ROOT


@dataclass(frozen=True)
class Definition:
    """A function or method. `module` is dotted; `name` is "function" or "Class.method"; lines include decorators."""

    module: str
    name: str
    file: str
    first: int
    last: int
    node: Function = field(compare=False, repr=False)

    @cached_property
    def lines(self) -> set[int]:
        """Return the numbers of all lines."""
        return set(range(self.first, self.last + 1))


@dataclass(frozen=True)
class Definitions:
    """All definitions by (module, name), and for each module the full names of what it imports, by local name."""

    by_name: Mapping[tuple[str, str], Definition]
    imports: Mapping[str, Mapping[str, str]]

    @property
    def functions(self) -> Iterable[Definition]:
        """Return all functions and methods."""
        return self.by_name.values()

    def find(self, full: str) -> Definition | None:
        """Return the function of a full dotted name, such as "sparekey.clock.now", if there is one."""
        parts = full.split(".")
        splits = ((".".join(parts[:at]), ".".join(parts[at:])) for at in range(len(parts) - 1, 0, -1))
        return next((self.by_name[split] for split in splits if split in self.by_name), None)


def read_definitions(root: Path = ROOT) -> Definitions:
    """Read every function at the top level of a module or a class."""
    by_name: dict[tuple[str, str], Definition] = {}
    imports: dict[str, dict[str, str]] = {}
    for source in python_sources("src", root=root):
        parts = source.path.with_suffix("").parts[1:]
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for name, node in _functions(ast.parse(source.text).body):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            definition = Definition(module, name, source.name, first, node.end_lineno or first, node)
            by_name[module, name] = definition
        imports[module] = dict(_imported(source.nodes))
    return Definitions(by_name, imports)


def _functions(body: Iterable[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Function]]:
    for node in body:
        if isinstance(node, Function):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")


def _imported(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((each.asname or each.name, f"{node.module}.{each.name}") for each in node.names)
        elif isinstance(node, ast.Import):
            yield from ((each.asname, each.name) for each in node.names if each.asname)


def calls_of(caller: Definition, definitions: Definitions) -> set[Definition]:
    """Return the functions that are called, or passed on to be called, in the body of one; itself left out."""
    names = {_full_name(node, caller, definitions) for node in ast.walk(caller.node) if isinstance(node, ast.expr)}
    found = {definitions.find(name) for name in names if name}
    return {each for each in found if each is not None and each != caller}


def _full_name(node: ast.expr, caller: Definition, definitions: Definitions) -> str | None:
    """Return the full dotted name that an expression such as `f`, `module.f` or `self.f` stands for."""
    if isinstance(node, ast.Name):
        imported = definitions.imports[caller.module].get(node.id)
        return imported or f"{caller.module}.{node.id}"
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}:
            return f"{caller.module}.{caller.name.rpartition('.')[0]}.{node.attr}"
        owner = _full_name(node.value, caller, definitions)
        return f"{owner}.{node.attr}" if owner else None
    return None
