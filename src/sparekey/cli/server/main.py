"""`sparekey`: the server's commands. Only the typed command is loaded, so that each starts quickly."""

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final

import typer

from sparekey.cli.server import output
from sparekey.cli.server.command import Call, Group
from sparekey.cli.server.failures import USAGE, CommandFailure, failure_of

# name: (module of this package, summary)
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "init": ("service", "Make a new server in the data directory."),
    "serve": ("service", "Run the server."),
    "upgrade": ("service", "Upgrade the database of an older version."),
    "config": ("service", "Check the settings."),
    "doctor": ("service", "Diagnose this server."),
    "version": ("service", "Print the version."),
    "login": ("sessions.login", "Sign in at a server, for commands with --server."),
    "logout": ("sessions.login", "End a session at a server."),
    "domain": ("people.domains", "Security domains."),
    "policy": ("policies.policies", "Policies of each kind, and the effective policy of a user."),
    "user": ("people.users", "Users, and the reasons why they can or cannot sign in."),
    "token": ("tokens.tokens", "Tokens and their PINs."),
    "emergency": ("emergency.offline", "Emergency codes, and temporary online tokencodes."),
    "device": ("devices.devices", "Protected computers: invite, show, revoke, report as stolen."),
    "report": ("reports.reports", "Reports on the readiness for a network outage."),
    "admin": ("sessions.admin", "Let in the first administrator."),
    "role": ("people.roles", "Roles of administrators and API clients."),
    "client": ("sessions.clients", "API clients."),
    "approval": ("emergency.approvals", "Requests to show an emergency passcode."),
    "operator": ("emergency.operators", "Operators who show emergency codes, and their limits."),
    "audit": ("audit_log.events", "List, verify and export the audit log."),
    "alarm": ("audit_log.alarms", "List and acknowledge alarms."),
    "row": ("audit_log.rows", "Rows of the database that another program altered."),
}

_WITHOUT_NOUN: Final = ("service", "sessions.login")  # modules whose commands belong to no group


@cache
def _load(module: str) -> Any:
    return typer.main.get_command(import_module(f"sparekey.cli.server.{module}").app)


class Root(Group):
    """The top group, which loads a command when it is called, not when it is listed."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 -- the signature of its base
        if cmd_name not in COMMANDS:
            return None
        module = COMMANDS[cmd_name][0]
        loaded = _load(module)
        return getattr(loaded, "commands", {}).get(cmd_name) if module in _WITHOUT_NOUN else loaded

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 -- the signature of its base
        return [*COMMANDS]

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 -- the signature of its base
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


app = typer.Typer(cls=Root, rich_markup_mode=None, add_completion=False)


@app.callback(epilog="Example: sparekey --data /var/lib/sparekey init")
def root() -> None:
    """The server of Sparekey: two-factor sign-in that keeps working offline."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 failed, 2 wrong usage, 4 waits for an approval."""
    sys.exit(run([*(sys.argv[1:] if arguments is None else arguments)]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    call = Call()
    try:
        result = typer.main.get_command(app).main([*arguments], prog_name="sparekey", standalone_mode=False, obj=call)
    except typer.TyperException as error:
        return _told(call, arguments, CommandFailure(USAGE, "usage", *_usage_of(error)))
    except typer.Abort:
        return _told(call, arguments, CommandFailure(1, "aborted", "cancelled", "nothing was changed"))
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 -- users never see a traceback
        return _told(call, arguments, failure_of(error))
    return result if isinstance(result, int) else 0


def _usage_of(error: typer.TyperException) -> tuple[str, str]:
    context = getattr(error, "ctx", None)
    name = context.command_path if context else "sparekey"
    return error.format_message().removeprefix("Invalid value: ").rstrip("."), f"see `{name} --help`"


def _told(call: Call, arguments: Sequence[str], failure: CommandFailure) -> int:
    # A usage error may occur before --json is parsed.
    if call.json or "--json" in arguments:
        output.put_json("error", failure.members)
    output.say(f"sparekey: {failure.sentence}")
    return failure.code
