"""`sparekey operator`: operators who show emergency codes, and their hourly limits."""

from typing import Annotated

import typer

from sparekey.app.emergency import rate_limit
from sparekey.app.emergency.rate_limit import DEFAULT_HOURS, MOST_HOURS
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, command, new_group, now, open_server

app = new_group("Operators who show emergency codes, and their hourly limits.")


@command(app, "list", "operator list")
def list_some(ctx: typer.Context) -> None:
    """List operators who showed codes within the last hour, and operators with a raised limit."""
    call = call_of(ctx)
    with open_server(call) as server:
        found = server.run(rate_limit.list_operators, now=now())
    rows = [vars(item) | {"lifted_until": output.rfc3339(item.lifted_until)} for item in found.items]
    call.put_list("operators", rows, ["name", "shown", "lifted_until"])
    if found.cut:
        output.say(f"There are more. These {len(found.items)} operators showed the most codes.")


@command(app, "lift", "operator lift helen --hours 8")
def lift(
    ctx: typer.Context,
    operator: Annotated[
        str, typer.Argument(metavar="NAME", help="A login name, or os:NAME for an account on the server.")
    ],
    hours: Annotated[int, typer.Option(help=f"The number of hours, at most {MOST_HOURS}.")] = DEFAULT_HOURS,
) -> None:
    """Raise an operator's hourly code limit for a while, for example during an outage. You cannot raise your own."""
    call = call_of(ctx)
    with open_server(call) as server:
        done = server.run(rate_limit.lift, operator, hours, now=now())
    until = output.rfc3339(done.until)
    call.done(
        f"{operator} can show codes without a limit until {until}.", "operator", operator=done.operator, until=until
    )
