"""House rule of alarms: code that finds one raises it, and never only logs it."""

import ast
from pathlib import Path

import pytest

from tools.tree import ROOT

SOURCES = sorted((ROOT / "src" / "sparekey" / "app").rglob("*.py"))


def alarms_in(call: ast.Call) -> list[str]:
    """The alarms that a call is given by name."""
    nodes = [node for argument in [*call.args, *call.keywords] for node in ast.walk(argument)]
    return [node.attr for node in nodes if isinstance(node, ast.Attribute) and node.attr.startswith("ALARM_")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_an_alarm_is_raised_and_not_only_logged(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    wrong = [
        ast.unparse(call.func)
        for call in calls
        if ast.unparse(call.func) in ("log", "record", "AuditEntry") and alarms_in(call)
    ]
    assert wrong == [], "use app.notices.raise_alarm: it is in the audit log, on the list and in the mail"
