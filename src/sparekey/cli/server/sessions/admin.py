"""`sparekey admin`: sign-in links for the first administrator, or for one who has lost all other ways to sign in."""

import os
from typing import Annotated
from urllib.parse import quote

import typer

from sparekey.app.people import admin_links
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, command, new_group, now, open_here

app = new_group("Let in the first administrator, or one who has lost all other ways to sign in.")


@app.callback()
def admin() -> None:
    """Let in the first administrator, or one who has lost all other ways to sign in."""  # of one command, a group


@command(app, "link", "--data /var/lib/sparekey admin link")
def link(
    ctx: typer.Context,
    user: Annotated[
        str,
        typer.Argument(
            metavar="[USER]", help="An existing user. [a new user, who chooses a login name]", show_default=False
        ),
    ] = "",
) -> None:
    """Make a link that makes a user a super administrator. It works once, within an hour. The person who opens it adds
    a passkey, or an authenticator app and a PIN, and then signs in."""
    from sparekey.server.settings import read_settings  # noqa: PLC0415 -- slow to load

    call = call_of(ctx)
    with open_here(call) as server:
        settings = read_settings(call.directory, os.environ)
        made = admin_links.make_link(server.instance, server.actor, user, now=now())
    address = f"{settings.console_url}/console/welcome#{quote(made.code.reveal(), safe='')}"
    call.put("admin-link", {"url": address, "user": user, "expires": output.rfc3339(made.expires_at)})
