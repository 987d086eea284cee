"""`sparekey init|serve|upgrade|config check|doctor|version`: the server itself."""

import os
import platform
import sys
from collections.abc import Collection
from contextlib import ExitStack
from typing import Annotated

import typer

from sparekey import __version__
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, command, new_group, now, read_secret
from sparekey.cli.server.service_manager import unit_for
from sparekey.core.errors import BadInput
from sparekey.core.plurals import counted
from sparekey.secret import Secret

_SAID_EACH = 20_000  # events and objects

app = new_group("The server itself.")
config = new_group("Check the settings.")
app.add_typer(config, name="config")


@command(app, "init", "--data /var/lib/sparekey init --listen 192.0.2.10:8443 --name login.example.org")
def init(
    ctx: typer.Context,
    database: Annotated[
        str,
        typer.Option(
            help="The address of the database; `-` reads it from standard input, because it may contain a password. "
            "[an SQLite file in the data directory]"
        ),
    ] = "",
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="The server's listening address.")] = "",
    name: Annotated[
        list[str] | None,
        typer.Option(help="A name or address of the server for devices and browsers. Can be repeated."),
    ] = None,
    ca_scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DOMAIN|NETWORK",
            help="A domain or network for which the server's CA may issue certificates, beside those around the names. "
            "It cannot be changed later. Can be repeated.",
        ),
    ] = None,
) -> None:
    """Make a new server: keys, CA, certificate, database, settings. If it fails, nothing is left behind."""
    from sparekey.wiring.server import NewServer, ca_file, ca_scope_of, create_server  # noqa: PLC0415 -- slow to load

    call = call_of(ctx)
    _verify_filled_in(listen, name or ())
    address = read_secret("Address of the database") if database == "-" else Secret(database)
    settings = create_server(
        call.directory, NewServer(address, listen, tuple(name or ()), tuple(ca_scope or ())), call.actor, now()
    )
    unit, ca = unit_for(call.directory), ca_file(call.directory, settings)
    call.done(
        f"Made a server in {call.directory}. Store backups of {call.directory / 'keys'} apart from "
        "those of the database.\n"
        f"Its CA ({ca}) can issue certificates only for: {ca_scope_of(ca)}\n"
        f"Next: {f'systemctl start {unit}' if unit else f'{call.again} serve'}\n"
        f"Then make the first administrator: {call.again} admin link",
        "server",
        data=str(call.directory),
        listen=settings.listen,
        ca=str(ca),
    )


@command(app, "serve", "--data /var/lib/sparekey serve")
def serve(
    ctx: typer.Context,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="The listening address, instead of the one in the settings.")
    ] = "",
    ca_key_stdin: Annotated[
        bool,
        typer.Option(
            help="Read the key of the server's CA from standard input, not from keys/ca-key.pem, into a process of its "
            "own: those that answer requests cannot read it."
        ),
    ] = False,
) -> None:
    """Run the server until SIGTERM or SIGINT. SIGHUP reloads the certificate. Logs go to standard error.

    At a terminal, the command prints the server's addresses and the next steps.
    """
    from sparekey.server.settings import read_settings  # noqa: PLC0415 -- slow to load
    from sparekey.wiring import server, serving  # noqa: PLC0415 -- slow to load

    call = call_of(ctx)
    settings = read_settings(call.directory, os.environ, **({"listen": listen} if listen else {}))
    ca = server.ca_file(call.directory, settings)

    def announce(addresses: list[str]) -> None:
        if call.json:
            output.put_json("serving", {"addresses": addresses, "ca": str(ca)})
        elif sys.stdout.isatty():
            print(f"Sparekey answers on {addresses[0]}\n")
            for words, path in (
                ("health", "/health"),
                ("database health", "/ready"),
                ("console", "/console"),
                ("API description", "/openapi.json"),
            ):
                print(f"  {words:26}{addresses[0]}{path}")
            print(f"  {'CA, for curl --cacert':26}{ca}")
            print(f"  {'first administrator':26}{call.again} admin link")
            print(f"  {'invite a device':26}{call.again} device invite NAME\n")
        sys.stdout.flush()

    with ExitStack() as stack:
        signer = None
        if ca_key_stdin:
            signer = stack.enter_context(serving.hold_ca_key(call.directory, settings, _key_from_stdin()))
        serving.serve(call.directory, settings, announce, signer)


@command(app, "upgrade", "--data /var/lib/sparekey upgrade")
def upgrade(ctx: typer.Context) -> None:
    """Upgrade the database to the revision of this version. Make a backup first. Run it once for all instances."""
    from sparekey.server.settings import read_settings  # noqa: PLC0415 -- slow to load
    from sparekey.wiring.server import upgrade_server  # noqa: PLC0415 -- slow to load

    call = call_of(ctx)
    done = upgrade_server(call.directory, read_settings(call.directory, os.environ), call.actor, now())
    words = f"Upgraded the database from revision {done.before} to {done.after}."
    if done.before == done.after and done.sealed is None:
        words = f"The database is already at revision {done.after}. Nothing was changed."
    if done.sealed is not None:
        words += f" Sealed {counted(done.sealed, 'row')}; this is done only once."
    call.done(words, "upgrade", before=done.before, after=done.after, sealed=done.sealed)


@command(config, "check", "config check")
def check(ctx: typer.Context) -> None:
    """Check the settings and show the values in force, without passwords."""
    from sparekey.server.settings import read_settings  # noqa: PLC0415 -- slow to load

    call = call_of(ctx)
    settings = read_settings(call.directory, os.environ)
    values = dict(vars(settings)) | {
        "database": _database_shown(settings.database_url(call.directory)),
        "smtp_password": "set" if settings.smtp_password else "",
    }
    call.put("settings", values)


@command(app, "doctor", "doctor")
def doctor(
    ctx: typer.Context,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Also read the whole audit log and compare every user, token, role and policy with it. This finds "
            "rows that were changed, deleted or put back in the database. It may take minutes.",
        ),
    ] = False,
) -> None:
    """Check settings, keys, certificate, database and audit log, and print problems. Exits with 1 if there are any."""
    from sparekey.wiring.doctor import examine  # noqa: PLC0415 -- slow to load

    call = call_of(ctx)
    findings = examine(call.directory, os.environ, now(), _Said() if deep else None)
    rows = [{"what": finding.what, "ok": finding.ok, "words": finding.words} for finding in findings]
    call.put_list("findings", rows, ["what", "ok", "words"])
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@command(app, "version", "version")
def version(ctx: typer.Context) -> None:
    """Print the version."""
    call_of(ctx).put("version", {"version": __version__, "python": platform.python_version()})


class _Said:
    """The progress of `doctor --deep` on standard error, each time that much more is done."""

    def __init__(self) -> None:
        self._next = _SAID_EACH

    def __call__(self, events: int, objects: int) -> None:
        if events + objects >= self._next:
            self._next = events + objects + _SAID_EACH
            output.say(f"{counted(events, 'event')} read, {counted(objects, 'object')} compared")


def _key_from_stdin() -> int:
    """Return the descriptor of standard input. Raises BadInput if there is none, or nothing in it."""
    if sys.stdin is None or sys.stdin.isatty():
        raise BadInput("the CA's key is not in standard input", "pass its file: sparekey serve --ca-key-stdin < FILE")
    return sys.stdin.fileno()


def _verify_filled_in(listen: str, names: Collection[str]) -> None:
    """Raise BadInput for placeholders that were copied from a document. No other check refuses them, because they could
    be valid names."""
    if listen.partition(":")[0] == "HOST":
        raise BadInput(
            "HOST is a placeholder for this computer's address", "write the address, or 0.0.0.0 for all addresses"
        )
    if "NAME" in names:
        raise BadInput(
            "NAME is a placeholder for a name of this server",
            "write the name, e.g. login.example.org, or leave the option out",
        )


def _database_shown(url: str) -> str:
    from sqlalchemy import make_url  # noqa: PLC0415 -- slow to load

    return make_url(url).render_as_string(hide_password=True)
