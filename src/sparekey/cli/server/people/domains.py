"""`sparekey domain`: security domains."""

from typing import Annotated

import typer

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import domains
from sparekey.cli.server.command import call_of, command, new_group, now, open_server
from sparekey.core.policy.kinds import PolicyKind

app = new_group("Security domains: they own users, tokens and devices, and have policies.")
_POLICIES = tuple(f"{kind}_policy" for kind in PolicyKind)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The domain's name.")]


@command(app, "add", "domain add Sales")
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 100 characters.")],
    parent: Annotated[str, typer.Option(help="The parent domain.")] = TOP_DOMAIN,
) -> None:
    """Add a domain. It uses the default policies until you assign others."""
    call = call_of(ctx)
    with open_server(call) as server:
        made = server.run(domains.add_domain, name, parent, now=now())
    call.done(f"Added the security domain {made.name}.", "domain", **_members(made))


@command(app, "list", "domain list")
def list_all(ctx: typer.Context) -> None:
    """List all domains as a tree, with their assigned policies. A domain without an assigned policy uses the default of
    that kind."""
    call = call_of(ctx)
    with open_server(call) as server:
        views = server.run(domains.list_domains)
    rows = [_members(view) if call.json else _cells(view) for view in views]
    call.put_list("domains", rows, ["name", "parent", *_POLICIES])


@command(app, "show", "domain show Sales")
def show(ctx: typer.Context, name: Name) -> None:
    """Show a domain: its policies and the number of its objects."""
    call = call_of(ctx)
    with open_server(call) as server:
        found = server.run(domains.show_domain, name)
    contents = dict(found.contents) if call.json else domains.contents_in_words(found.contents)
    members = {"name": found.view.name, "parent": found.view.parent, "contents": contents}
    call.put("domain", members | {f"{kind}_policy": policy for kind, policy in found.policies.items()})


@command(app, "move", "domain move Bern --parent Sales")
def move(ctx: typer.Context, name: Name, parent: Annotated[str, typer.Option(help="The new parent domain.")]) -> None:
    """Move a domain with all domains below it. It keeps its policies. Roles granted above its new place apply to it."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(domains.move_domain, name, parent, now=now())
    call.done(f"Moved {name} below {parent}.", "domain", name=name, parent=parent)


@command(app, "remove", "domain remove Bern")
def remove(ctx: typer.Context, name: Name) -> None:
    """Remove an empty domain."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(domains.remove_domain, name, now=now())
    call.done(f"Removed the security domain {name}.", "domain", name=name, removed=True)


def _members(view: domains.DomainView) -> dict[str, object]:
    members: dict[str, object] = {name: value for name, value in vars(view).items() if name != "assigned"}
    return members | {f"{kind}_policy": name for kind, name in view.assigned.items()}


def _cells(view: domains.DomainView) -> dict[str, object]:
    members = _members(view)
    policies = {name: members[name] or "(default)" for name in _POLICIES}
    return members | {"name": "  " * view.depth + view.name} | policies
