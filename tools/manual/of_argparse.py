"""The commands of an `argparse` parser."""

import argparse
from typing import Any

from tools.manual.tree import Argument, Command, Option, alternatives


def read_parser(parser: argparse.ArgumentParser) -> Command:
    """The tree below it."""
    return _command(parser, (parser.prog,), "")


def _command(parser: argparse.ArgumentParser, path: tuple[str, ...], summary: str) -> Command:
    # argparse has no public way to ask a parser what it takes
    actions: list[Any] = parser._actions  # noqa: SLF001
    groups = [each for each in actions if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001
    plain = [each for each in actions if each not in groups and each.help != argparse.SUPPRESS]
    description = parser.description or ""
    return Command(
        path,
        summary or description,
        description,
        tuple(_option(each, parser) for each in plain if each.option_strings),
        tuple(Argument(_placed(each), _words(each, parser)) for each in plain if not each.option_strings),
        tuple(each for group in groups for each in _commands(group, path)),
        parser.epilog or "",
    )


def _commands(group: Any, path: tuple[str, ...]) -> tuple[Command, ...]:
    said = {each.dest: each.help or "" for each in group._choices_actions}  # noqa: SLF001 -- see above
    return tuple(_command(parser, (*path, name), said.get(name, "")) for name, parser in group.choices.items())


def _option(action: argparse.Action, parser: argparse.ArgumentParser) -> Option:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    choices = tuple(map(str, action.choices or alternatives(value)))
    return Option(tuple(action.option_strings), value, _words(action, parser), choices)


def _placed(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper())
    many = "..." if action.nargs in {argparse.ZERO_OR_MORE, argparse.ONE_OR_MORE} else ""
    optional = action.nargs in {argparse.OPTIONAL, argparse.ZERO_OR_MORE}
    return (f"[{name}]" if optional else name) + many


def _words(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    formatter = parser._get_formatter()  # noqa: SLF001 -- what `--help` shows, with "%(default)s" filled in
    return formatter._expand_help(action) if action.help else ""  # noqa: SLF001
