"""What every command of `sparekey` shares: which server it is for, who acts there, and how it answers.

Rules: --data is for root on the server; --server asks a server over REST, as the administrator that --as names. An
option goes before a variable.
"""

import os
import pwd
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

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

F = TypeVar("F", bound=Callable[..., None])
P = ParamSpec("P")
R = TypeVar("R")
DEFAULT_DATA: Final = "sparekey-data"
_LONGEST_INPUT: Final = 65_536
_COMMON: Final = ("data", "server_url", "acting_as", "ca_file", "json")  # names that no command has of its own


@dataclass
class Call:
    """One command as it was typed."""

    data: str = ""
    json: bool = False
    server: str = ""
    user: str = ""
    ca: str = ""

    @property
    def url(self) -> str:
        """Of the server that is asked over REST; "": the one of the data directory."""
        if self.data and self.server:
            raise typer.BadParameter("pass either --data or --server, not both")
        return self.server or ("" if self.data else os.environ.get("SPAREKEY_SERVER", ""))

    @property
    def login(self) -> str:
        """Who acts at a server that is asked over REST."""
        login = self.user or os.environ.get("SPAREKEY_AS", "")
        if not login:
            raise typer.BadParameter("pass the administrator's login: --as USER")
        return login

    @property
    def ca_file(self) -> Path | None:
        """Whose certificates are trusted; None: what was kept at the login, else what this computer trusts."""
        name = self.ca or os.environ.get("SPAREKEY_SERVER_CA", "")
        return Path(name) if name else None

    @property
    def again(self) -> str:
        """How another command for the same server begins, as whoever reads this has to type it."""
        if self.url:
            return f"sparekey --server {self.url} --as {self.login}"
        return f"{as_service(self.directory)}sparekey --data {self.directory}"

    @property
    def directory(self) -> Path:
        """The data directory. Raises BadInput where the command is for a server that is asked over REST."""
        if self.url:
            raise BadInput("this command works only on the server itself", "run it there, with --data DIR")
        return Path(self.data or os.environ.get("SPAREKEY_DATA") or DEFAULT_DATA)

    @property
    def actor(self) -> Actor:
        """Who acts: the user of the operating system, who has the data directory and so may do everything."""
        uid = os.getuid()
        try:
            return Actor.of_system(f"os:{pwd.getpwuid(uid).pw_name}")
        except KeyError:
            return Actor.of_system(f"os:{uid}")

    def put_list(self, schema: str, rows: Sequence[output.Row], columns: Sequence[str]) -> None:
        """Rows under the schema's own name."""
        if self.json:
            output.put_json(schema, {schema: list(rows)})
        else:
            output.put_table(rows, columns)

    def put(self, schema: str, data: Mapping[str, Any]) -> None:
        """One thing with its members."""
        if self.json:
            output.put_json(schema, data)
        else:
            output.put_record(data)

    def done(self, words: str, schema: str = "done", **data: Any) -> None:
        """Something was done that has no data of its own to show to a person."""
        if self.json:
            output.put_json(schema, data)
        else:
            output.say(words)


def call_of(ctx: typer.Context) -> Call:
    """The call that this context belongs to."""
    root = ctx.find_root()
    if not isinstance(root.obj, Call):
        root.obj = Call()
    return root.obj


class Command(Explained, TyperCommand):
    """A command with the options that all have."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params += _common_options()


class Group(Explained, TyperGroup):
    """A group that takes the same options before the name of its command."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params += _common_options()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # Any: typer hides the type of its base
        """Print the help and exit if there are no arguments."""
        if not args and not ctx.resilient_parsing:
            output.say(ctx.get_help())
            raise typer.Exit(USAGE)
        return super().parse_args(ctx, args)


def new_group(words: str) -> typer.Typer:
    """A group of commands on one noun."""
    return typer.Typer(
        cls=Group, help=words, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False
    )


def command(app: typer.Typer, name: str, example: str) -> Callable[[F], F]:
    """Registers a command, with an example below its help."""
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
    """Nothing: its options are what is wanted."""


def _common_options() -> list[Any]:
    app = typer.Typer(add_completion=False)
    app.command()(_template)
    return [option for option in typer.main.get_command(app).params if option.name in _COMMON]


class Server(Protocol):
    """Whichever server a command is for."""

    def run(self, use_case: Callable[Concatenate[Any, Actor, P], R], /, *arguments: P.args, **options: P.kwargs) -> R:
        """The use case, for who typed the command."""
        ...


@dataclass(frozen=True)
class LocalServer:
    """The server of a data directory, for root on this machine."""

    instance: Any
    actor: Actor

    def run(self, use_case: Callable[Concatenate[Any, Actor, P], R], /, *arguments: P.args, **options: P.kwargs) -> R:
        """The use case, for who typed the command."""
        return use_case(self.instance, self.actor, *arguments, **options)


@contextmanager
def open_server(call: Call) -> Iterator[Server]:
    """The server that the command is for, closed at the end."""
    if not call.url:
        with open_here(call) as here:
            yield here
        return
    from sparekey.cli.server.remote import open_remote  # noqa: PLC0415 -- what acts on the database needs no HTTP

    with open_remote(call.url, call.login, call.ca_file) as remote:
        yield remote


@contextmanager
def open_here(call: Call) -> Iterator[LocalServer]:
    """The server of the data directory. Raises BadInput where another one was named."""
    from sparekey.server.settings import read_settings  # noqa: PLC0415 -- what needs no server starts without it
    from sparekey.wiring.server import open_instance  # noqa: PLC0415 -- see above

    instance = open_instance(call.directory, read_settings(call.directory, os.environ))
    try:
        yield LocalServer(instance, call.actor)
    finally:
        instance.database.close()


def read_secret(question: str, *, twice: bool = False) -> Secret[str]:
    """A secret from standard input, or asked where somebody sits at a terminal. Never an argument: others see those."""
    if not sys.stdin.isatty():
        return Secret(sys.stdin.read(_LONGEST_INPUT).strip("\r\n"))
    return Secret(typer.prompt(question, hide_input=True, confirmation_prompt=twice, err=True))


def now() -> int:
    """The moment of this command."""
    return clock.now()
