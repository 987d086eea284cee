"""`sparekey domain`: security domains."""

from typing import Annotated

import typer

from sparekey.app import domains
from sparekey.app.instance import TOP_DOMAIN
from sparekey.cli.server.command import call_of, command, new_group, now, open_server

app = new_group("Security domains: they own users, tokens and devices, and policies are assigned to them.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="1 to 100 characters.")]


@command(app, "add", "domain add Sales")
def add(
    ctx: typer.Context,
    name: Name,
    parent: Annotated[str, typer.Option(help="The domain above it.")] = TOP_DOMAIN,
) -> None:
    """Add a domain. It always uses the default policy until another one is assigned."""
    call = call_of(ctx)
    with open_server(call) as server:
        made = server.run(domains.add_domain, name, parent, now=now())
    call.done(f"Added the security domain {made.name}.", "domain", **vars(made))


@command(app, "list", "domain list")
def list_all(ctx: typer.Context) -> None:
    """List all domains, each above those below it, with the offline policy assigned to it. None: the default."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = [vars(each) for each in server.run(domains.list_domains)]
    if not call.json:
        rows = [row | {"name": "  " * row["depth"] + row["name"]} for row in rows]
    call.put_list("domains", rows, ["name", "parent", "policy"])


@command(app, "show", "domain show Sales")
def show(ctx: typer.Context, name: Name) -> None:
    """Show a domain: the policies in force in it, and how much belongs to it."""
    call = call_of(ctx)
    with open_server(call) as server:
        found = server.run(domains.show_domain, name)
    contents = dict(found.contents) if call.json else [f"{count} {what}" for what, count in found.contents.items()]
    members = {"name": found.view.name, "parent": found.view.parent, "contents": contents}
    call.put("domain", members | {f"{kind}_policy": policy for kind, policy in found.policies.items()})


@command(app, "move", "domain move Bern --parent Sales")
def move(
    ctx: typer.Context, name: Name, parent: Annotated[str, typer.Option(help="The domain that is to be above it.")]
) -> None:
    """Move a domain with everything below it. Its policies stay; administrators of the new place get rights over it."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(domains.move_domain, name, parent, now=now())
    call.done(f"{name} is below {parent}.", "domain", name=name, parent=parent)


@command(app, "remove", "domain remove Bern")
def remove(ctx: typer.Context, name: Name) -> None:
    """Remove a domain to which nothing belongs."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(domains.remove_domain, name, now=now())
    call.done(f"Removed the security domain {name}.", "domain", name=name, removed=True)
