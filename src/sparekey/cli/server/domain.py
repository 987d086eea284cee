"""`sparekey domain`: security domains."""

from typing import Annotated

import typer

from sparekey.app import domains
from sparekey.app.instance import TOP_DOMAIN
from sparekey.cli.server.command import call_of, command, new_group, now, open_server

app = new_group("Security domains: they own users, tokens and devices, and policies are assigned to them.")


@command(app, "add", "domain add Sales")
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="1 to 100 characters.")],
    parent: Annotated[str, typer.Option(help="The domain above it.")] = TOP_DOMAIN,
) -> None:
    """Add a domain. It always uses the default policy until another one is assigned."""
    call = call_of(ctx)
    with open_server(call) as server:
        made = server.run(domains.add_domain, name, parent, now=now())
    call.done(f"Added the security domain {made.name}.", "domain", **vars(made))


@command(app, "list", "domain list")
def list_all(ctx: typer.Context) -> None:
    """List all domains with the policy assigned to each. None: always the default."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = [vars(each) for each in server.run(domains.list_domains)]
    call.put_list("domains", rows, ["name", "parent", "policy"])
