"""A table on a terminal: its columns line up, and no text is cut short."""

import re
import sys

import pytest

from sparekey.cli.server import output

ROWS = [
    {"id": 1, "serial": "SK10000003", "detail": "kind: fixed, expires: 2026-12-04T10:19:37Z, if available: deny"},
    {"id": 12_345, "serial": "-", "detail": "short"},
]


def test_columns_line_up_on_a_terminal_that_is_too_narrow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    output.put_table(ROWS, ["id", "serial", "detail"])
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    column = lines[0].index("detail")
    assert lines[1][column:].startswith("kind: fixed")
    assert lines[-1][column:].startswith("short")
    text = "".join(lines)
    assert "SK10000003" in text
    assert "2026-12-04T10:19:37Z" in text
    assert "…" not in text
