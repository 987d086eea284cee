"""Python files of the project, parsed once: text, syntax tree, docstrings and comments."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tools.tree import ROOT, project_files

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function
CODE = ("src", "tools", "bench", "spec")
TESTS = ("tests",)


@dataclass(frozen=True)
class Line:
    """A text and the place where it begins, "path:line" for people."""

    path: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.number} {' '.join(self.text.split())}"


@dataclass(frozen=True)
class Source:
    """A Python file. `path` is relative to the root of the project."""

    path: Path
    text: str

    @cached_property
    def name(self) -> str:
        """Return the path as it is printed."""
        return self.path.as_posix()

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Return every node of the syntax tree."""
        return list(ast.walk(ast.parse(self.text, self.name)))

    @cached_property
    def docstrings(self) -> list[Line]:
        """Return the docstrings of the module, its classes and functions, without indentation."""
        documented = [node for node in self.nodes if isinstance(node, Documented)]
        return [Line(self.name, node.body[0].lineno, text) for node in documented if (text := ast.get_docstring(node))]

    @cached_property
    def comments(self) -> list[Line]:
        """Return the comments, one line at a time, with the "#"."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [Line(self.name, token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]

    @cached_property
    def messages(self) -> list[Line]:
        """Return the string constants of three words or more that are no docstrings: messages, labels, help, SQL."""
        alone = {id(node.value) for node in self.nodes if isinstance(node, ast.Expr)}  # docstrings among them
        return [
            Line(self.name, node.lineno, node.value)
            for node in self.nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone
            if len(node.value.split()) > 2
        ]


def python_sources(*places: str, root: Path = ROOT) -> Iterator[Source]:
    """Read the Python files under the named top directories of the project."""
    for path in project_files(root):
        if path.suffix == ".py" and path.parts[0] in places:
            yield Source(path, (root / path).read_text(encoding="utf-8"))
