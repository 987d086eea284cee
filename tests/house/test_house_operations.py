"""House rule of operations: every use case of the server's commands is available and described over REST."""

import ast
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparekey.app.rest.operation import Operation
from sparekey.app.rest.registry import OPERATIONS, find_operation
from sparekey.core.permissions import Permission
from sparekey.wire.values import is_value
from tools.tree import ROOT

COMMANDS = ROOT / "src" / "sparekey" / "cli" / "server"


def use_cases_of(path: Path) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the use cases that a module of commands hands to `server.run`, with their names there."""
    name = ".".join(path.relative_to(COMMANDS).with_suffix("").parts)
    module = importlib.import_module(f"sparekey.cli.server.{name}")
    tree = ast.parse(path.read_text())
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "run":
            words = ast.unparse(node.args[0])
            first, _, rest = words.partition(".")
            origin, name = imported.get(first, (module.__name__, first))
            found: Any = getattr(importlib.import_module(origin), name, None)
            found = found or importlib.import_module(f"{origin}.{name}")
            yield words, getattr(found, rest) if rest else found


CALLED = {
    f"{path.stem}: {words}": use_case
    for path in sorted(COMMANDS.rglob("*.py"))
    for words, use_case in use_cases_of(path)
}


@pytest.mark.parametrize("words", CALLED)
def test_use_cases_of_commands_are_available_over_rest(words: str) -> None:
    assert len(CALLED) > 50
    assert find_operation(CALLED[words]) is not None, "add a line to OPERATIONS (docs/recipes.md)"


@pytest.mark.parametrize("operation", OPERATIONS, ids=[each.name for each in OPERATIONS])
def test_an_operation_can_be_asked_for_in_json(operation: Operation) -> None:
    names = [member.name for member in operation.members]
    assert len(names) == len(set(names)), "two members have one name"
    assert set(operation.path_names) <= set(names), "the path names what the use case does not take"
    assert all(is_value(member.kind) for member in operation.members)
    assert not any(member.kind is Any for member in operation.members)
    assert is_value(operation.result), "what it returns has no form in JSON: return a dataclass"
    assert operation.words[:1].isupper()
    assert operation.words.endswith("."), "say in a sentence what it does"


def test_no_two_operations_have_one_address_or_one_use_case() -> None:
    assert len({(each.method, each.path) for each in OPERATIONS}) == len(OPERATIONS)
    assert len({each.use_case for each in OPERATIONS}) == len(OPERATIONS)


def test_reading_operations_use_get() -> None:
    """A permission to look at something is no permission to change it."""
    for operation in OPERATIONS:
        needed = (
            [operation.permission] if isinstance(operation.permission, Permission) else operation.permission.values()
        )
        if not operation.only_looks:
            assert not any(permission.only_looks for permission in needed), operation.name
