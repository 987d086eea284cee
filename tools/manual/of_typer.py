"""The commands of a `typer` program, as their own help shows them."""

import inspect
from typing import Any

from sparekey.cli.server.command_help import placed, said
from tools.manual.tree import Argument, Command, Option, alternatives

_HELP = Option(("--help",), "", "Show this message and exit.")


def read_program(command: Any, name: str) -> Command:
    """The tree below it; `command`: what `typer.main.get_command` gives."""
    return _command(command, (name,))


def _command(command: Any, path: tuple[str, ...]) -> Command:
    context = command.make_context(" ".join(path), [], resilient_parsing=True)
    names = command.list_commands(context) if hasattr(command, "list_commands") else []
    description = inspect.cleandoc(command.help or "")
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    return Command(
        path,
        _first_sentence(description),
        description,
        (*(_option(each, context) for each in shown if each.param_type_name == "option"), _HELP),
        tuple(Argument(placed(each), said(each, context)[1]) for each in shown if each.param_type_name == "argument"),
        tuple(_command(command.get_command(context, each), (*path, each)) for each in names),
        (command.epilog or "").removeprefix("Example: "),
    )


def _option(param: Any, context: Any) -> Option:
    head, words = said(param, context)
    value = "" if param.is_flag else head.partition(" ")[2].strip("<>")
    return Option((*param.opts, *param.secondary_opts), value, words, alternatives(value))


def _first_sentence(text: str) -> str:
    words = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    return words.split(". ", maxsplit=1)[0].rstrip(".") + "."
