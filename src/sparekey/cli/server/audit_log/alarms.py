"""`sparekey alarm`: what asks a person to look, until somebody says that they have."""

from typing import Annotated, Any

import typer

from sparekey.app.audit_log import alarms
from sparekey.app.audit_log.alarms import AlarmView
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, command, new_group, now, open_server

app = new_group("Alarms that nobody has looked at yet.")


@command(app, "list", "alarm list")
def list_some(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that were acknowledged, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    after: Annotated[str, typer.Option(metavar="ID", help="From the one after this one.")] = "",
) -> None:
    """List the newest alarms first. The same one again is counted on its line."""
    call = call_of(ctx)
    with open_server(call) as server:
        found = server.run(alarms.list_alarms, limit=limit, after=after, acknowledged=everything)
    columns = ["id", "last_at", "times", "action", "result", "user", "token", "device", "detail"]
    call.put_list(
        "alarms", [_members(each) for each in found], [*columns, *(["acknowledged_by"] if everything else [])]
    )
    if found and not call.json:
        for action, words in {each.action: each.words for each in found}.items():
            output.say(f"{action}: {words}")
        if any(each.acknowledged_at is None for each in found):
            output.say(f"Once somebody has looked: {call.again} alarm acknowledge ID")


@command(app, "acknowledge", "alarm acknowledge 5f0c...")
def acknowledge(
    ctx: typer.Context, alarm: Annotated[str, typer.Argument(metavar="ID", help="As `alarm list` shows it.")]
) -> None:
    """Say that you have looked at it. Who did, and when, is on record; should it happen again, it is a new alarm."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(alarms.acknowledge, alarm, now=now())
    call.done(f"Alarm {alarm} is acknowledged.", alarm=alarm)


def _members(alarm: AlarmView) -> dict[str, Any]:
    times = {name: output.rfc3339(getattr(alarm, name)) for name in ("first_at", "last_at", "acknowledged_at")}
    return vars(alarm) | times
