"""`sparekey role`: roles of administrators and API clients."""

from typing import Annotated

import typer

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, command, new_group, now, open_server
from sparekey.core.permissions import SUPER_ADMINISTRATOR

app = new_group("Roles: sets of permissions, granted in a security domain and the domains below.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of a role of your own.")]
Role = Annotated[str, typer.Argument(metavar="ROLE", help="See `sparekey role list`.")]
Permissions = Annotated[
    list[str], typer.Argument(metavar="PERMISSION...", help="Permissions, as `sparekey role list` names them.")
]
User = Annotated[str | None, typer.Argument(metavar="[USER]", help="The user's login name.", show_default=False)]
Client = Annotated[str, typer.Option(metavar="NAME", help="An API client instead of a user.")]
Domain = Annotated[str, typer.Option(help="The role applies in this domain and the domains below.")]


@command(app, "add", "role add 'night desk' user.view token.view emergency.view emergency.tokencode-show")
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 64 characters.")],
    permissions: Permissions,
) -> None:
    """Add a role with these permissions."""
    call = call_of(ctx)
    with open_server(call) as server:
        made = server.run(roles.add_role, name, permissions, now=now())
    call.done(f"Added the role {name}.", "role", **_members(made))


@command(app, "set", "role set 'night desk' user.view token.view")
def set_permissions(ctx: typer.Context, name: Name, permissions: Permissions) -> None:
    """Replace the permissions of a role. This changes the rights of all its holders."""
    call = call_of(ctx)
    with open_server(call) as server:
        changed = server.run(roles.set_permissions, name, permissions, now=now())
    call.done(f"Changed the role {name}.", "role", **_members(changed))


@command(app, "list", "role list")
def list_all(ctx: typer.Context) -> None:
    """List the predefined roles and your own roles."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = [_members(role) for role in server.run(roles.list_roles)]
    call.put_list("roles", rows, ["name", "predefined", "permissions"])


@command(app, "show", "role show 'help desk'")
def show(ctx: typer.Context, name: Role) -> None:
    """Show the permissions and the holders of a role."""
    call = call_of(ctx)
    with open_server(call) as server:
        found = server.run(roles.show_role, name)
    held = [
        {"kind": held_grant.kind, "holder": held_grant.holder, "domain": held_grant.domain}
        for held_grant in found.grants
    ]
    shown = held if call.json else [f"{held_grant.holder} in {held_grant.domain}" for held_grant in found.grants]
    call.put("role", _members(found.role) | {"granted": shown})
    if found.cut:
        output.say(f"There are more holders. The first {len(found.grants)} are shown.")


@command(app, "grant", "role grant 'help desk' carol --domain Sales")
def grant(ctx: typer.Context, role: Role, user: User = None, domain: Domain = TOP_DOMAIN, client: Client = "") -> None:
    """Grant a role to a user or an API client, in a security domain and the domains below."""
    kind, holder = _holder(user, client)
    call = call_of(ctx)
    with open_server(call) as server:
        made = server.run(roles.grant, role, kind, holder, domain, now=now())
    call.done(f"Granted the role {role} to {holder} in {domain}.", "grant", **vars(made))


@command(app, "revoke", f"role revoke '{SUPER_ADMINISTRATOR}' carol")
def revoke(ctx: typer.Context, role: Role, user: User = None, domain: Domain = TOP_DOMAIN, client: Client = "") -> None:
    """Revoke a role from a user or an API client."""
    kind, holder = _holder(user, client)
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(roles.revoke, role, kind, holder, domain, now=now())
    words = f"Revoked the role {role} from {holder} in {domain}."
    call.done(words, "grant", role=role, kind=kind, holder=holder, domain=domain, revoked=True)


@command(app, "remove", "role remove 'night desk'")
def remove(ctx: typer.Context, name: Name) -> None:
    """Remove one of your own roles. It must have no holders."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(roles.remove_role, name, now=now())
    call.done(f"Removed the role {name}.", "role", name=name, removed=True)


def _holder(user: str | None, client: str) -> tuple[HolderKind, str]:
    if bool(user) is bool(client):
        raise typer.BadParameter("pass either a user or --client")
    return (HolderKind.CLIENT, client) if client else (HolderKind.USER, user or "")


def _members(view: roles.RoleView) -> dict[str, object]:
    return vars(view) | {"permissions": list(view.permissions)}
