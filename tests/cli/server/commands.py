"""Runs `sparekey` in this process and returns its output."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparekey.cli.server.main import run


@dataclass(frozen=True)
class CommandResult:
    code: int
    out: str
    words: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Operator:
    """An administrator at the server's shell."""

    data: Path

    def runs(self, *arguments: str, typed: str = "") -> CommandResult:
        """Run a command that must succeed. The result has its JSON in `json`."""
        said = sparekey("--data", str(self.data), *arguments, "--json", typed=typed)
        assert said.code == 0, said
        assert said.json["schema"].startswith("sparekey/")
        return said

    def sees(self, *arguments: str, typed: str = "") -> CommandResult:
        """Run the command as a person does: no JSON."""
        said = sparekey(*arguments, "--data", str(self.data), typed=typed)
        assert said.code == 0, said
        return said

    def fails(self, *arguments: str, typed: str = "", code: int = 1) -> CommandResult:
        """Run a command that must be refused. The error has its shape, and its message the next step."""
        said = sparekey("--data", str(self.data), *arguments, "--json", typed=typed)
        assert said.code == code, said
        assert set(said.json) == {"schema", "error", "message", "do"}
        assert said.json["do"]
        assert said.words.startswith("sparekey: ")
        assert "Traceback" not in said.words
        return said


class Terminal(io.StringIO):
    """Standard input that a person types."""

    def isatty(self) -> bool:
        return True


def sparekey(*arguments: str, typed: str = "", at_terminal: bool = False) -> CommandResult:
    """One command with this on its standard input."""
    out, words, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = Terminal(typed) if at_terminal else io.StringIO(typed)
    try:
        with redirect_stdout(out), redirect_stderr(words):
            code = run(arguments)
    finally:
        sys.stdin = before
    return CommandResult(code, out.getvalue(), words.getvalue())
