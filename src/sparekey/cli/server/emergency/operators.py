"""`sparekey operator`: who shows emergency codes, and how many within an hour."""

from typing import Annotated

import typer

from sparekey.app.emergency import rate_limit
from sparekey.app.emergency.rate_limit import DEFAULT_HOURS, MOST_HOURS
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, command, new_group, now, open_server

app = new_group("Operators who are shown emergency codes.")


@command(app, "list", "operator list")
def list_some(ctx: typer.Context) -> None:
    """List who was shown codes within the last hour, and who is let go on beyond the limit."""
    call = call_of(ctx)
    with open_server(call) as server:
        found = server.run(rate_limit.list_operators, now=now())
    rows = [vars(each) | {"lifted_until": output.rfc3339(each.lifted_until)} for each in found.items]
    call.put_list("operators", rows, ["name", "shown", "lifted_until"])
    if found.cut:
        output.say(f"There are more; these are the {len(found.items)} who were shown the most.")


@command(app, "lift", "operator lift helen --hours 8")
def lift(
    ctx: typer.Context,
    operator: Annotated[str, typer.Argument(metavar="NAME", help="A login, or os:NAME for whoever is on the server.")],
    hours: Annotated[int, typer.Option(help=f"For so many hours, at most {MOST_HOURS}.")] = DEFAULT_HOURS,
) -> None:
    """Let an operator go on beyond the policy's limit of codes an hour: in an outage. Nobody does so for themselves."""
    call = call_of(ctx)
    with open_server(call) as server:
        done = server.run(rate_limit.lift, operator, hours, now=now())
    until = output.rfc3339(done.until)
    call.done(f"{operator} is not stopped until {until}.", "operator", operator=done.operator, until=until)
