"""Names in backticks that the code does not have any more: in docstrings, comments and the tours.

Rules: a name is read if it has an underscore or a dot, such as `_find_door` or `ports.AgentApi`. Each of its parts must
stand somewhere in the code, and `module.name` must be a name of that module: an older name still stands elsewhere.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tools.house.sources import Line, Source

_QUOTED = re.compile(r"`([A-Za-z_][\w.]*)(?<!\.py)`")
_WORD = re.compile(r"\w+")


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
