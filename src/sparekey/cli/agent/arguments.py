"""The commands of `sparekey-agent`: name, help, and the arguments that all of them take."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sparekey.agent.platform.configuration import CONFIGURATION
from sparekey.cli.agent.output import Output
from sparekey.wiring.agent import STATE_DIRECTORY

Command = Callable[[argparse.Namespace, Output], int]


class Commands:
    """The commands of one parser. Each module of commands adds its own."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._subparsers: Final = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
        self._common: Final = _common()

    def add(self, name: str, command: Command, description: str) -> argparse.ArgumentParser:
        """Add a command and return its parser, for further arguments."""
        added: argparse.ArgumentParser = self._subparsers.add_parser(
            name, parents=[self._common], help=description, description=description
        )
        added.set_defaults(command=command)
        return added


def add_user(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the account."""
    parser.add_argument("user", metavar="USER", help="an account of this computer")


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state", type=Path, default=STATE_DIRECTORY, metavar="DIR", help="the store (%(default)s)")
    common.add_argument("--socket", type=Path, metavar="PATH", help="the socket of the daemon (as configured)")
    common.add_argument(
        "--config", type=Path, metavar="PATH", help=f"the configuration ({CONFIGURATION}, if it exists)"
    )
    common.add_argument("--json", action="store_true", help="print data as JSON on standard output")
    return common
