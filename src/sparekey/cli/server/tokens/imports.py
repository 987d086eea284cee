"""`sparekey token import`: import tokens from a file, and print a line for each refused entry.

Rules: the file's password comes on standard input, never as an argument; the output repeats no content of the file.
"""

from pathlib import Path
from typing import Annotated

import typer

from sparekey.app.instance import TOP_DOMAIN
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, now, open_server, read_secret
from sparekey.core.errors import BadInput
from sparekey.core.plurals import counted

_TOLD_EACH = 10_000  # token entries


def import_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, PSKC (RFC 6030) or .sdtid; see docs/imports.md.")],
    domain: Annotated[str, typer.Option(help="The security domain of the tokens until they are assigned.")] = (
        TOP_DOMAIN
    ),
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the file's password, or its key in hex, from standard input.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the result without importing.")] = False,
) -> None:
    """Import tokens. They are disabled until you assign them. Existing tokens stay unchanged."""
    from sparekey.app.tokens.imports import import_tokens  # noqa: PLC0415 -- only this command reads such files

    call = call_of(ctx)
    data = _content(file)
    password = read_secret("Password of the file") if password_stdin else None
    with open_server(call) as server:
        report = server.run(import_tokens, data, password, now=now(), domain=domain, dry_run=dry_run, progress=_tell)
    refusals = [
        {"number": refusal.number, "serial": refusal.serial, "reason": refusal.reason} for refusal in report.refusals
    ]
    if refusals and not call.json:
        output.put_table(refusals, ["number", "serial", "reason"])
    done = "Would import" if dry_run else "Imported"
    next_step = f" To assign them: {call.again} token assign SERIAL USER" if report.added and not dry_run else ""
    call.done(
        f"{done} {counted(report.added, 'token')} ({report.kind}); {len(refusals)} refused.{next_step}",
        "token-import",
        kind=report.kind,
        added=report.added,
        refused=len(refusals),
        dry_run=dry_run,
        refusals=refusals,
    )


def _content(file: Path) -> bytes:
    from sparekey.token_files import LARGEST_FILE  # noqa: PLC0415 -- see above

    with file.open("rb") as opened:
        data = opened.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise BadInput(f"{str(file)!r} has more than {LARGEST_FILE} bytes", "import it in parts")
    return data


def _tell(doing: str, number: int) -> None:
    if number % _TOLD_EACH == 0:
        output.say(f"{number} token entries {doing}")
