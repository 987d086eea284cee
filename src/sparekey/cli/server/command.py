"""The common part of every command of `sparekey`: its server, its actor and its output.

Rules: --data is for root on the server. With --server, the command uses REST as the administrator that --as names. An
option takes precedence over a variable of the environment.
"""

import os
import pwd
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from sparekey import clock
from sparekey.cli.server import output
from sparekey.cli.server.command_help import Explained
from sparekey.cli.server.failures import USAGE
from sparekey.core.errors import BadInput
from sparekey.core.permissions import Actor
from sparekey.keystore.service_user import as_service
from sparekey.secret import Secret

if TYPE_CHECKING:
    from sparekey.app.instance import Instance  # slow to import, and not needed by every command

F = TypeVar("F", bound=Callable[..., None])
P = ParamSpec("P")
R = TypeVar("R")
DEFAULT_DATA: Final = "sparekey-data"
_LONGEST_INPUT: Final = 65_536
_COMMON: Final = ("data", "server_url", "acting_as", "ca_file", "json")  # names that no command has of its own


@dataclass
class Call:
    """The common options of one command."""

    data: str = ""
    json: bool = False
    server: str = ""
    user: str = ""
    ca: str = ""

    @property
    def url(self) -> str:
        """The URL of the server for REST; "": use the data directory. Raises typer.BadParameter for two servers."""
        if self.data and self.server:
            raise typer.BadParameter("pass either --data or --server, not both")
        return self.server or ("" if self.data else os.environ.get("SPAREKEY_SERVER", ""))

    @property
    def login(self) -> str:
        """The login of the administrator for REST. Raises typer.BadParameter if none was given."""
        login = self.user or os.environ.get("SPAREKEY_AS", "")
        if not login:
            raise typer.BadParameter("pass the administrator's login: --as USER")
        return login

    @property
    def ca_file(self) -> Path | None:
        """The file of the trusted CA; None: the CA that was stored at the login, or else the CAs of this computer."""
        name = self.ca or os.environ.get("SPAREKEY_SERVER_CA", "")
        return Path(name) if name else None

    @property
    def again(self) -> str:
        """The beginning of another command for the same server, e.g. `sparekey --data DIR`."""
        if self.url:
            return f"sparekey --server {self.url} --as {self.login}"
        return f"{as_service(self.directory)}sparekey --data {self.directory}"

    @property
    def directory(self) -> Path:
        """The data directory. Raises BadInput if the command is for a server over REST."""
        if self.url:
            raise BadInput("this command works only on the server itself", "run it there, with --data DIR")
        return Path(self.data or os.environ.get("SPAREKEY_DATA") or DEFAULT_DATA)

    @property
    def actor(self) -> Actor:
        """The system account that runs the command. It may do everything, because it can read the data directory."""
        uid = os.getuid()
        try:
            return Actor.of_system(f"os:{pwd.getpwuid(uid).pw_name}")
        except KeyError:
            return Actor.of_system(f"os:{uid}")

    def put_list(self, schema: str, rows: Sequence[output.Row], columns: Sequence[str]) -> None:
        """Print rows: as a table, or as JSON under the name of the schema."""
        if self.json:
            output.put_json(schema, {schema: list(rows)})
        else:
            output.put_table(rows, columns)

    def put(self, schema: str, data: Mapping[str, object]) -> None:
        """Print one object with its members."""
        if self.json:
            output.put_json(schema, data)
        else:
            output.put_members(data)

    def done(self, words: str, schema: str = "done", **data: object) -> None:
        """Report a success: `words` for people, `data` for --json."""
        if self.json:
            output.put_json(schema, data)
        else:
            output.say(words)


def call_of(ctx: typer.Context) -> Call:
    """Return the call of this context."""
    root = ctx.find_root()
    if not isinstance(root.obj, Call):
        root.obj = Call()
    return root.obj


class Command(Explained, TyperCommand):
    """A command with the common options."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params += _common_options()


class Group(Explained, TyperGroup):
    """A group that takes the common options before the name of its command."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params += _common_options()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # Any: typer hides the type of its base
        """Print the help if there are no arguments. Raises typer.Exit then."""
        if not args and not ctx.resilient_parsing:
            output.say(ctx.get_help())
            raise typer.Exit(USAGE)
        return super().parse_args(ctx, args)


def new_group(words: str) -> typer.Typer:
    """Make a group of commands for one noun."""
    return typer.Typer(
        cls=Group, help=words, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False
    )


def command(app: typer.Typer, name: str, example: str) -> Callable[[F], F]:
    """Register a command, with an example below its help."""
    return app.command(name, cls=Command, epilog=f"Example: sparekey {example}")


def _take_data(ctx: typer.Context, value: str | None) -> None:
    if value is not None:
        call_of(ctx).data = value


def _take_server(ctx: typer.Context, value: str | None) -> None:
    if value is not None:
        call_of(ctx).server = value


def _take_user(ctx: typer.Context, value: str | None) -> None:
    if value is not None:
        call_of(ctx).user = value


def _take_ca(ctx: typer.Context, value: str | None) -> None:
    if value is not None:
        call_of(ctx).ca = value


def _take_json(ctx: typer.Context, value: bool) -> None:
    if value:
        call_of(ctx).json = True


def _template(
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help=f"The server's data directory. [SPAREKEY_DATA, else ./{DEFAULT_DATA}]",
            callback=_take_data,
            expose_value=False,
        ),
    ] = None,
    server_url: Annotated[
        str | None,
        typer.Option(
            "--server",
            metavar="URL",
            help="Use this server over REST, after `sparekey login`. [SPAREKEY_SERVER]",
            callback=_take_server,
            expose_value=False,
        ),
    ] = None,
    acting_as: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="USER",
            help="Your login name at --server. [SPAREKEY_AS]",
            callback=_take_user,
            expose_value=False,
        ),
    ] = None,
    ca_file: Annotated[
        str | None,
        typer.Option(
            "--ca",
            metavar="FILE",
            help="The CA certificate of --server: a copy of its DIR/keys/ca.pem. [SPAREKEY_SERVER_CA]",
            callback=_take_ca,
            expose_value=False,
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object.", callback=_take_json, expose_value=False),
    ] = False,
) -> None:
    """Do nothing. This command exists only for its options."""


def _common_options() -> list[Any]:
    app = typer.Typer(add_completion=False)
    app.command()(_template)
    return [option for option in typer.main.get_command(app).params if option.name in _COMMON]


class Server(Protocol):
    """The server that a command is for: a local one, or one over REST."""

    def run(
        self, use_case: Callable[Concatenate["Instance", Actor, P], R], /, *arguments: P.args, **options: P.kwargs
    ) -> R:
        """Run the use case as the user of the command."""
        ...


@dataclass(frozen=True)
class LocalServer:
    """The server of a data directory, for root on this machine."""

    instance: "Instance"
    actor: Actor

    def run(
        self, use_case: Callable[Concatenate["Instance", Actor, P], R], /, *arguments: P.args, **options: P.kwargs
    ) -> R:
        """Run the use case as root on this machine."""
        return use_case(self.instance, self.actor, *arguments, **options)


@contextmanager
def open_server(call: Call) -> Iterator[Server]:
    """Open the server that the command is for, and close it at the end."""
    if not call.url:
        with open_here(call) as here:
            yield here
        return
    from sparekey.cli.server.remote import open_remote  # noqa: PLC0415 -- a command with --data needs no HTTP

    with open_remote(call.url, call.login, call.ca_file) as remote:
        yield remote


@contextmanager
def open_here(call: Call) -> Iterator[LocalServer]:
    """Open the server of the data directory. Raises BadInput if the command names a server over REST."""
    from sparekey.server.settings import read_settings  # noqa: PLC0415 -- not needed by every command
    from sparekey.wiring.server import open_instance  # noqa: PLC0415 -- see above

    instance = open_instance(call.directory, read_settings(call.directory, os.environ))
    try:
        yield LocalServer(instance, call.actor)
    finally:
        instance.database.close()


def read_secret(prompt: str, *, twice: bool = False) -> Secret[str]:
    """Read a secret from a prompt at a terminal, or else from standard input. Other users can see arguments."""
    if not sys.stdin.isatty():
        return Secret(sys.stdin.read(_LONGEST_INPUT).strip("\r\n"))
    return Secret(typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True))


def now() -> int:
    """Return the time of this command in unix seconds."""
    return clock.now()
