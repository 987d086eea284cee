"""The text of `--help`, with names for people instead of types."""

import inspect
import re
from typing import Any, Final

_TYPES: Final = {"int": "N", "int range": "N", "path": "FILE", "file": "FILE"}
_TYPE: Final = re.compile(r" <([^<>]+)>(?=$|\.\.\.)")
_RANGE: Final = re.compile(r"(\d+)<=x<=(\d+)(?=\])")
_AT_LEAST: Final = re.compile(r"x>=(\d+)(?=\])")


class Explained:
    """The help of `Command` and `Group` in place of typer's: usage, arguments and options, and the line in a list."""

    params: list[Any]
    help: str | None

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002 -- the signature of its base
        """Return the parts of the usage after the name of the command."""
        more = ["COMMAND ..."] if hasattr(self, "list_commands") else []
        return ["[OPTIONS]", *(placed(argument) for argument in _arguments(self.params)), *more]

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 -- the signature of its base
        """Return the whole first sentence."""
        words = " ".join(inspect.cleandoc(self.help or "").split("\n\n")[0].split())
        return words.split(". ")[0].rstrip(".") + "."

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, and the commands of a group."""
        arguments = [(_name(argument), said(argument, ctx)[1]) for argument in _arguments(self.params)]
        options = [said(param, ctx) for param in self.params if param.param_type_name == "option"]
        options += [("--help", "Show this message and exit.")]
        for title, rows in (("Arguments", arguments), ("Options", options)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
        if hasattr(self, "format_commands"):
            self.format_commands(ctx, formatter)


def _arguments(params: list[Any]) -> list[Any]:
    return [param for param in params if param.param_type_name == "argument"]


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def placed(argument: Any) -> str:
    """Return the argument as the usage shows it."""
    name = _name(argument)
    return name if argument.required or name.startswith("[") else f"[{name}]"


def said(param: Any, ctx: Any) -> tuple[str, str]:
    """Return the form of an option or argument, and its description."""
    head, words = param.get_help_record(ctx)
    words = _AT_LEAST.sub(r"\1 or more", _RANGE.sub(r"\1 to \2", words))
    return _TYPE.sub(lambda found: " " + _named(param, found[1]), head), words


def _named(param: Any, type_name: str) -> str:
    """Return the placeholder of a value: the members of a choice, or else a name such as FILE."""
    if "|" in type_name:
        return type_name
    name = str(param.opts[0]).strip("-").split("-")[-1].upper()
    return _TYPES.get(type_name.removeprefix("list[").removesuffix("]"), name)
