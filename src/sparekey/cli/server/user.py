"""`sparekey user`: users."""

from typing import Annotated, Any

import typer

from sparekey.app import tokens, users
from sparekey.app.instance import TOP_DOMAIN
from sparekey.cli.server.command import call_of, command, new_group, now, open_server

app = new_group("Users.")
Login = Annotated[str, typer.Argument(metavar="LOGIN", help="The login name, as typed at a device.")]


@command(app, "add", "user add alice --domain Sales --name 'Alice Example'")
def add(
    ctx: typer.Context,
    login: Login,
    domain: Annotated[str, typer.Option(help="The security domain.")] = TOP_DOMAIN,
    name: Annotated[str, typer.Option(help="The name for people.")] = "",
) -> None:
    """Add a user."""
    call = call_of(ctx)
    with open_server(call) as server:
        user_id = server.run(users.add_user, login, domain, name, now=now())
    call.done(f"Added the user {login}.", "user", id=user_id, login=login, domain=domain, name=name or login)


@command(app, "list", "user list --limit 20")
def list_some(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    after: Annotated[str, typer.Option(help="From the first login name after this one.")] = "",
) -> None:
    """List users by login name."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = [vars(each) for each in server.run(users.list_users, limit, after)]
    call.put_list("users", rows, ["login", "name", "domain", "enabled", "locked", "failures"])


@command(app, "show", "user show alice")
def show(ctx: typer.Context, login: Login) -> None:
    """Show a user and the user's tokens."""
    call = call_of(ctx)
    with open_server(call) as server:
        view = server.run(users.show_user, login)
        serials = [each.serial for each in server.run(tokens.list_tokens, 1_000, login=login)]
    call.put("user", vars(view) | {"tokens": serials})


@command(app, "enable", "user enable alice")
def enable(ctx: typer.Context, login: Login) -> None:
    """Let a user sign in again."""
    _set_enabled(ctx, login, enabled=True)


@command(app, "disable", "user disable alice")
def disable(ctx: typer.Context, login: Login) -> None:
    """Refuse a user everywhere. Each device erases the user's offline data at its next contact."""
    _set_enabled(ctx, login, enabled=False)


@command(app, "unlock", "user unlock alice")
def unlock(ctx: typer.Context, login: Login) -> None:
    """Clear the lock and the count of failures."""
    call = call_of(ctx)
    with open_server(call) as server:
        cleared = server.run(users.unlock, login, now=now())
    words = f"{login} is unlocked." if cleared else f"{login} was not locked and had no failures."
    call.done(words, "user", login=login, cleared=cleared)


@command(app, "move", "user move alice --domain Travel")
def move(ctx: typer.Context, login: Login, domain: Annotated[str, typer.Option(help="The new domain.")]) -> None:
    """Move a user to another domain; its policies apply at once."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(users.move_user, login, domain, now=now())
    call.done(f"{login} belongs to {domain}.", "user", login=login, domain=domain)


def _set_enabled(ctx: Any, login: str, *, enabled: bool) -> None:
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(users.set_enabled, login, enabled=enabled, now=now())
    call.done(f"{login} is {'enabled' if enabled else 'disabled'}.", "user", login=login, enabled=enabled)
