"""The names of the code: those it defines, those with a retired word, and those in backticks that it does not have.

Rules of retired words: one thing has one word, the one in docs/glossary.md. A word counts in each part of a name, in
its plural and its past, too: `find_gate`, `GateKind`, `gates` and `gated` all contain "gate".

Rules of quoted names, in docstrings, comments and the tours: a name is read if it has an underscore or a dot, such as
`_find_gate` or `ports.AgentApi`. Each of its parts must stand somewhere in the code, and `module.name` must be a name
of that module: an older name still stands elsewhere.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tools.house.sources import Line, Source

_QUOTED = re.compile(r"`([A-Za-z_][\w.]*)(?<!\.py)`")
_WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@dataclass
class Known:
    """All names of the code, and by the short name of a module or package the names in it."""

    names: set[str] = field(default_factory=set)
    modules: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def known_names(sources: Iterable[Source]) -> Known:
    """Collect the names that files define, use, import or hold as short texts."""
    known = Known()
    for source in sources:
        of_file = {name for node in source.nodes for name in _names_of(node)}
        known.names |= of_file
        *parents, last = source.path.with_suffix("").parts
        for module in {last, *parents}:
            known.modules[module] |= {*of_file, last, *parents}
    known.names |= known.modules.keys()
    return known


def _names_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
            yield name
        case ast.alias(name=name, asname=other):
            yield from name.split(".")
            yield other or ""
        case ast.Constant(value=str(text)) if " " not in text:
            yield from _WORD.findall(text)


def defined_names(source: Source) -> Iterator[Line]:
    """Yield the names that a file gives to functions, classes, parameters, variables and attributes."""
    for node in source.nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield Line(source.name, node.lineno, name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield Line(source.name, node.lineno, name)


def retired_names(sources: Iterable[Source], retired: Mapping[str, str], kept: Collection[str]) -> Iterator[Line]:
    """Yield each defined name that contains a retired word, with the word to use; `kept` names are left out."""
    forms = {word + end: use for word, use in retired.items() for end in ("", "s", "d", "ed")}
    for source in sources:
        for line in defined_names(source):
            uses = {forms[part] for part in map(str.lower, _PART.findall(line.text)) if part in forms}
            if uses and line.text not in kept:
                yield Line(line.path, line.number, f"{line.text} (use: {'; '.join(sorted(uses))})")


def unknown_names(texts: Iterable[Line], known: Known) -> Iterator[Line]:
    """Yield each quoted name that the code does not have, with its place."""
    for text in texts:
        for match in _QUOTED.finditer(text.text):
            if not _is_known(match[1], known):
                yield Line(text.path, text.number + text.text.count("\n", 0, match.start()), match[1])


def _is_known(name: str, known: Known) -> bool:
    parts = name.strip(".").split(".")
    if len(parts) == 1:
        return "_" not in name or name in known.names
    module, *rest = parts
    inside = known.modules.get(module)
    return all(part in known.names for part in parts) and (inside is None or rest[0] in inside)
