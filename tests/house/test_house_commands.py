"""House rule of the commands: each explains itself and its options, and takes --json."""

import argparse
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from sparekey.cli.agent import main as agent
from sparekey.cli.server import main as server
from sparekey.server.settings import SETTINGS


def server_commands(command: Any, path: str = "sparekey") -> Iterator[tuple[str, Any]]:
    """Every command of the tree, groups left out, with the words that call it."""
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    context = command.make_context(path, [], resilient_parsing=True)
    for name in command.list_commands(context):
        yield from server_commands(command.get_command(context, name), f"{path} {name}")


def agent_commands() -> dict[str, argparse.ArgumentParser]:
    subparsers = [each for each in agent._parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(subparsers[0].choices)


SERVER = dict(server_commands(typer.main.get_command(server.app)))


@pytest.mark.parametrize("words", SERVER)
def test_commands_of_the_server_have_help(words: str) -> None:
    command = SERVER[words]
    assert command.help, "say in a docstring what the command does"
    options = [option for option in command.params if option.param_type_name == "option"]
    common = {"--json", "--data", "--server", "--as", "--ca"}
    assert common <= {name for option in options for name in option.opts}, "use Command and Group"
    assert [option.name for option in options if not option.help and not option.hidden] == []


@pytest.mark.parametrize("name", agent_commands())
def test_commands_of_the_agent_have_help(name: str) -> None:
    parser = agent_commands()[name]
    assert parser.description
    assert "--json" in parser._option_string_actions
    options = [action for action in parser._actions if action.option_strings]
    assert [action.dest for action in options if not action.help] == []


def test_no_variable_of_the_commands_is_a_setting_of_the_server() -> None:
    """A user of the remote commands must not change how commands here read their settings."""
    assert not {"SPAREKEY_DATA", "SPAREKEY_SERVER", "SPAREKEY_AS", "SPAREKEY_SERVER_CA"} & {
        setting.variable for setting in SETTINGS.values()
    }


@pytest.mark.parametrize("words", SERVER)
def test_the_help_of_a_command_of_the_server_names_no_types(words: str) -> None:
    command = SERVER[words]
    shown = command.get_help(command.make_context(words, [], resilient_parsing=True))
    assert not any(sign in shown for sign in ("<str>", "<int", "<path>", "<list", "{", "[[", "<=", ">=")), shown
