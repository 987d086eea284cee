"""`sparekey alarm`: alarms, until they are acknowledged."""

from typing import Annotated

import typer

from sparekey.app.audit_log import alarms
from sparekey.app.audit_log.alarms import AlarmView
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, command, new_group, now, open_server

app = new_group("List and acknowledge alarms.")


@command(app, "list", "alarm list")
def list_some(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Include acknowledged alarms.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The maximum number.")] = 100,
    after: Annotated[str, typer.Option(metavar="ID", help="Start after this one.")] = "",
) -> None:
    """List alarms, newest first. A repeated alarm increases the count of its line."""
    call = call_of(ctx)
    with open_server(call) as server:
        found = server.run(alarms.list_alarms, limit=limit, after=after, acknowledged=everything)
    columns = ["id", "last_at", "times", "action", "result", "user", "token", "device", "detail"]
    call.put_list(
        "alarms", [_members(alarm) for alarm in found], [*columns, *(["acknowledged_by"] if everything else [])]
    )
    if found and not call.json:
        for action, words in {alarm.action: alarm.words for alarm in found}.items():
            output.say(f"{action}: {words}")
        if any(alarm.acknowledged_at is None for alarm in found):
            output.say(f"To acknowledge an alarm: {call.again} alarm acknowledge ID")


@command(app, "acknowledge", "alarm acknowledge 5f0c...")
def acknowledge(
    ctx: typer.Context, alarm: Annotated[str, typer.Argument(metavar="ID", help="The id in `alarm list`.")]
) -> None:
    """Acknowledge an alarm. The audit log keeps your name and the time. If it happens again, it is a new alarm."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(alarms.acknowledge, alarm, now=now())
    call.done(f"Alarm {alarm} is acknowledged.", alarm=alarm)


def _members(alarm: AlarmView) -> dict[str, object]:
    times = {name: output.rfc3339(getattr(alarm, name)) for name in ("first_at", "last_at", "acknowledged_at")}
    return vars(alarm) | times
