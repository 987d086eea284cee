"""`sparekey approval`: requests for acts that need an approval by policy."""

from typing import Annotated

import typer

from sparekey.app.emergency import approvals
from sparekey.app.emergency.approvals import ApprovalView
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, command, new_group, now, open_server

app = new_group("Approve or refuse requests for acts by which one person alone could sign in as a user.")

Request = Annotated[str, typer.Argument(metavar="ID", help="The id in `approval list`.")]


@command(app, "list", "approval list")
def list_some(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The maximum number.")] = 100,
    after: Annotated[str, typer.Option(metavar="ID", help="Start after this one.")] = "",
) -> None:
    """List the requests of the last day, newest first. Marks your own, and those that you can decide."""
    call = call_of(ctx)
    with open_server(call) as server:
        found = server.run(approvals.list_approvals, limit, after, now=now())
    columns = [
        "id",
        "state",
        "yours",
        "decidable",
        "act",
        "user",
        "device",
        "subject",
        "asker",
        "caller",
        "note",
        "ticket",
        "expires_at",
        "decider",
    ]
    call.put_list("approvals", [_members(approval) for approval in found], columns)


@command(app, "approve", "approval approve 5f0c...")
def approve(ctx: typer.Context, request: Request) -> None:
    """Allow the operator to do what they asked for, once. You cannot approve your own request."""
    call = call_of(ctx)
    with open_server(call) as server:
        done = server.run(approvals.approve, request, now=now())
    call.done(f"{done.asker} can now {approvals.in_words(done)}, once.", "approval", **_members(done))


@command(app, "refuse", "approval refuse 5f0c...")
def refuse(ctx: typer.Context, request: Request) -> None:
    """Refuse a request. The operator can ask again. The audit log keeps both."""
    call = call_of(ctx)
    with open_server(call) as server:
        done = server.run(approvals.refuse, request, now=now())
    call.done(f"Refused the request of {done.asker}.", "approval", **_members(done))


def _members(view: ApprovalView) -> dict[str, object]:
    times = {"asked_at": output.rfc3339(view.asked_at), "expires_at": output.rfc3339(view.expires_at)}
    return vars(view) | times | {"state": view.state.value}
