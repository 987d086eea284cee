"""`sparekey user`: users."""

from pathlib import Path
from typing import Annotated

import typer

from sparekey.app.devices import used_codes
from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import users
from sparekey.app.reports import why
from sparekey.app.tokens import tokens
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, command, new_group, now, open_server
from sparekey.cli.server.devices.used_codes import USED_COLUMNS, used_members
from sparekey.cli.server.tokens.tokens import read_date
from sparekey.core.plurals import counted

app = new_group("Users, and the reasons why they can or cannot sign in.")
Login = Annotated[str, typer.Argument(metavar="LOGIN", help="The login name.")]


@command(app, "add", "user add alice --domain Sales --name 'Alice Example'")
def add(
    ctx: typer.Context,
    login: Login,
    domain: Annotated[str, typer.Option(help="The security domain.")] = TOP_DOMAIN,
    name: Annotated[str, typer.Option(help="The full name.")] = "",
    mail: Annotated[str, typer.Option(help="The mail address for notices. [none]")] = "",
    expires: Annotated[
        str, typer.Option(metavar="DATE", help="The expiry date: 2027-12-31, or an RFC 3339 time. [never]")
    ] = "",
) -> None:
    """Add a user."""
    call, end = call_of(ctx), read_date(expires)
    with open_server(call) as server:
        user_id = server.run(users.add_user, login, domain, name, mail, end, now=now())
    call.done(
        f"Added the user {login}.",
        "user",
        id=user_id,
        login=login,
        domain=domain,
        name=name or login,
        expires=output.rfc3339(end),
    )


@command(app, "import", "user import people.csv --domain Sales --dry-run")
def import_file(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A CSV file. Its first line names the columns: login, name, domain, mail, expires."
        ),
    ],
    domain: Annotated[str, typer.Option(help="The security domain for lines without one.")] = TOP_DOMAIN,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the result without importing.")] = False,
) -> None:
    """Import users. The command refuses invalid lines and prints the reasons. Existing users stay unchanged."""
    from sparekey.app.people.imports import LARGEST_FILE, import_users  # noqa: PLC0415 -- only needed here

    call = call_of(ctx)
    with file.open("rb") as opened:
        data = opened.read(LARGEST_FILE + 1)  # more is refused
    with open_server(call) as server:
        report = server.run(import_users, data, now=now(), domain=domain, dry_run=dry_run)
    refusals = [vars(refusal) for refusal in report.refusals]
    if refusals and not call.json:
        output.put_table(refusals, ["line", "login", "reason"])
    done = "Would import" if dry_run else "Imported"
    words = f"{done} {counted(report.added, 'user')}; {counted(len(refusals), 'line')} refused."
    call.done(words, "user-import", added=report.added, refused=len(refusals), dry_run=dry_run, refusals=refusals)


@command(app, "list", "user list --limit 20")
def list_some(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The maximum number.")] = 100,
    after: Annotated[str, typer.Option(metavar="LOGIN", help="Start after this login name.")] = "",
) -> None:
    """List users by login name."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = [_members(user) for user in server.run(users.list_users, limit, after)]
    call.put_list("users", rows, ["login", "name", "domain", "enabled", "locked", "failures"])


@command(app, "show", "user show alice")
def show(ctx: typer.Context, login: Login) -> None:
    """Show a user and the user's tokens."""
    call = call_of(ctx)
    with open_server(call) as server:
        view = server.run(users.show_user, login)
        serials = [token.serial for token in server.run(tokens.list_tokens, 1_000, login=login)]
    call.put("user", _members(view) | {"tokens": serials})


@command(app, "used-codes", "user used-codes alice")
def list_used_codes(ctx: typer.Context, login: Login) -> None:
    """List the codes of a user that devices used up by reports of offline sign-ins in the last 30 days."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = [used_members(each) for each in server.run(used_codes.codes_used_up_of_user, login, now=now())]
    call.put_list("used-codes", rows, [*USED_COLUMNS])


@command(app, "edit", "user edit alice --mail alice@example.org --expires 2027-12-31")
def edit(
    ctx: typer.Context,
    login: Login,
    name: Annotated[str | None, typer.Option(help="The full name.", show_default=False)] = None,
    mail: Annotated[
        str | None, typer.Option(help="The mail address for notices; '' for none.", show_default=False)
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="The expiry date: 2027-12-31, an RFC 3339 time, or never.", show_default=False
        ),
    ] = None,
) -> None:
    """Change the name, mail address or expiry date of a user. A new expiry date replaces the offline data."""
    call = call_of(ctx)
    end = None if expires is None else users.NEVER if expires == "never" else read_date(expires)
    with open_server(call) as server:
        view = server.run(users.edit_user, login, users.UserEdit(name, mail, end), now=now())
    call.done(f"Changed the user {login}.", "user", **_members(view))


@command(app, "why", "user why alice --device laptop")
def explain(
    ctx: typer.Context,
    login: Login,
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="Only this device, by name or id. [all of the user's]")
    ] = "",
    policy: Annotated[bool, typer.Option("--policy", help="Include all policy fields.")] = False,
) -> None:
    """Explain why a user can or cannot sign in, online and on each device: every rule, its source and the solution."""
    call = call_of(ctx)
    with open_server(call) as server:
        found = server.run(why.explain, login, device or None, now=now())
    rows = [vars(line) for line in found.lines if call.json or policy or not line.rule.startswith("policy ")]
    if call.json:
        output.put_json("why", {"user": login, "at": output.rfc3339(found.at), "rules": rows})
        return
    output.put_table(rows, ["side", "about", "rule", "verdict", "why", "source", "mend"])


@command(app, "enable", "user enable alice")
def enable(ctx: typer.Context, login: Login) -> None:
    """Enable a user."""
    _set_enabled(ctx, login, enabled=True)


@command(app, "disable", "user disable alice")
def disable(ctx: typer.Context, login: Login) -> None:
    """Disable a user. Each device erases the user's offline data at its next contact."""
    _set_enabled(ctx, login, enabled=False)


@command(app, "unlock", "user unlock alice")
def unlock(ctx: typer.Context, login: Login) -> None:
    """Unlock a user and reset the failure counts, at the console and everywhere else."""
    call = call_of(ctx)
    with open_server(call) as server:
        cleared = server.run(users.unlock, login, now=now())
    words = f"Unlocked {login}." if cleared else f"Nothing to unlock: {login} was not locked and had no failures."
    call.done(words, "user", login=login, cleared=cleared)


@command(app, "move", "user move alice --domain Travel")
def move(ctx: typer.Context, login: Login, domain: Annotated[str, typer.Option(help="The new domain.")]) -> None:
    """Move a user to another domain. Its policies apply at once."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(users.move_user, login, domain, now=now())
    call.done(f"Moved {login} to {domain}.", "user", login=login, domain=domain)


def _members(view: users.UserView) -> dict[str, object]:
    values = vars(view)
    times = {"expires_at": "expires", "locked_until": "locked_until", "console_locked_until": "console_locked_until"}
    return {name: value for name, value in values.items() if name not in times} | {
        shown: output.rfc3339(values[name]) for name, shown in times.items()
    }


def _set_enabled(ctx: typer.Context, login: str, *, enabled: bool) -> None:
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(users.set_enabled, login, enabled=enabled, now=now())
    call.done(f"{login} is {'enabled' if enabled else 'disabled'}.", "user", login=login, enabled=enabled)
