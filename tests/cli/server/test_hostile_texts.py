"""Logged texts of devices and programs may contain anything; the terminal gets only printable text."""

import json
from typing import Any

import pytest

from sparekey.cli.server import output

HOSTILE = "\x1b]0;owned\x07\x9b2J\x85\u202edetneserper\u2028\x7f\t\n\ud800"


def shown(capsys: pytest.CaptureFixture[str], *expected_line_ends: str) -> str:
    text = capsys.readouterr().out
    for end in expected_line_ends:
        text = text.replace(end, "")
    assert text.isprintable(), text
    return text


@pytest.mark.parametrize("value", [{"reason": HOSTILE}, HOSTILE, [HOSTILE, "x"]])
def test_a_table_and_a_record_show_no_control_character(capsys: pytest.CaptureFixture[str], value: Any) -> None:
    output.put_table([{"detail": value}], ["detail"])
    shown(capsys, "\n")
    output.put_members({"detail": value})
    shown(capsys, "\n")


def test_json_escapes_control_characters_without_loss(capsys: pytest.CaptureFixture[str]) -> None:
    output.put_json("rows", {"rows": [{"reason": HOSTILE}, {"name": "Zoë Ångström"}]})
    text = capsys.readouterr().out
    assert text.replace("\n", "").isprintable()
    assert json.loads(text)["rows"] == [{"reason": HOSTILE}, {"name": "Zoë Ångström"}]
    assert "Zoë Ångström" in text
