"""The proposals of a shell after Tab: a table of commands made from a program's tree, in the shell script that
walks it (packaging/completion).

Rules: no program is started for a proposal; what follows an option is proposed where it is a file, a directory or one
of a few words, and is left to the user everywhere else.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from tools.manual.tree import DIRECTORIES, FILES, Command, Option
from tools.tree import ROOT

_Columns = Mapping[str, list[str]]
SHELLS: Final = ("bash", "zsh", "fish")


def completion(program: Command, shell: str) -> str:
    """The script for one of `SHELLS`. All read the same table, each as its own language writes it."""
    name, write = program.path[0], _fish_row if shell == "fish" else _sh_row
    script = (ROOT / "packaging/completion" / f"program.{shell}").read_text(encoding="utf-8")
    table = "\n".join(write(each, _columns(each)) for each in program.every())
    return script.replace("@TABLE@", table).replace("@WORD@", name.replace("-", "_")).replace("@NAME@", name)


def _sh_row(command: Command, columns: _Columns) -> str:
    assigned = " ".join(f"{column}='{' '.join(values)}'" for column, values in columns.items() if values)
    return f"        '{command.name}') {assigned} ;;"


def _fish_row(command: Command, columns: _Columns) -> str:
    lines = [
        f"            set {column} {' '.join(map(_quoted, values))}" for column, values in columns.items() if values
    ]
    return "\n".join([f"        case '{command.name}'", *lines])


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[\w-]+", word) else f"'{word}'"


def _columns(command: Command) -> _Columns:
    """One command: the commands below it, and its options by what follows them."""
    choices = [(name, each) for each in command.options if each.choices for name in each.names]
    return {
        "subcommands": [each.path[-1] for each in command.commands],
        "flags": _names(command.options, lambda each: not each.value),
        "values": _names(command.options, lambda each: bool(each.value) and each.value not in FILES | DIRECTORIES),
        "files": _names(command.options, lambda each: each.value in FILES),
        "directories": _names(command.options, lambda each: each.value in DIRECTORIES),
        "choices": [f"{name}={'|'.join(each.choices)}" for name, each in choices],
        "argument": ["files"] if any(each.name in FILES for each in command.arguments) else [],
    }


def _names(options: Iterable[Option], wanted: Callable[[Option], bool]) -> list[str]:
    return [name for each in options if wanted(each) for name in each.names]
