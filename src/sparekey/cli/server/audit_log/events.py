"""`sparekey audit`: list, verify and export the audit log."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sparekey.app.audit_log.forwarding import next_events
from sparekey.app.audit_log.named_rows import TIMES, NamedEvent
from sparekey.app.audit_log.reading import list_events
from sparekey.app.audit_log.sequencer import chain
from sparekey.app.audit_log.verification import verify_record
from sparekey.app.ports import KeyPurpose
from sparekey.cli.server import output
from sparekey.cli.server.command import Call, call_of, command, new_group, now, open_here, open_server
from sparekey.core.audit_log.checkpoint import Checkpoint
from sparekey.core.audit_log.export import line_of
from sparekey.core.errors import BadInput
from sparekey.core.plurals import counted
from sparekey.wiring.server import checkpoint_store

app = new_group("List, verify and export the audit log.")
_LONGEST_LINE = 1_024


@command(app, "list", "audit list --user alice --limit 20")
def list_some(
    ctx: typer.Context,
    user: Annotated[str | None, typer.Option(help="Only events about this user.", show_default=False)] = None,
    token: Annotated[str | None, typer.Option(help="Only events about this token.", show_default=False)] = None,
    device: Annotated[str | None, typer.Option(help="Only events about this device.", show_default=False)] = None,
    action: Annotated[
        list[str] | None,
        typer.Option(help="Only this action, e.g. sign-in.denied. Can be repeated.", show_default=False),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only events caused by this user, device or API client, or by os:NAME on the server.",
            show_default=False,
        ),
    ] = None,
    result: Annotated[
        str | None, typer.Option(help="Only events with this result: ok, refused, or a reason.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The maximum number.")] = 50,
    before: Annotated[
        int | None,
        typer.Option(min=1, metavar="ID", help="Only events before the one with this id.", show_default=False),
    ] = None,
) -> None:
    """List events, newest first."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = server.run(
            list_events,
            limit=limit,
            before=before,
            user=user,
            serial=token,
            device=device,
            actions=tuple(action or ()),
            by=by,
            result=result,
        )
    put_rows(call, "rows", rows, ["id", "at", "by", "action", "result", "user", "token", "device", "detail"])


@command(app, "verify", "audit verify --checkpoint /media/usb/checkpoint")
def verify(
    ctx: typer.Context,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A checkpoint that you stored elsewhere: a line of `audit chain`.", show_default=False
        ),
    ] = None,
) -> None:
    """Verify that no event was changed, deleted or rolled back. Checks every event, batch and signature against the
    checkpoints outside the database. Exits with 1 if it finds a fault."""
    call = call_of(ctx)
    witnesses = [*checkpoint_store(call.directory).witnesses()]
    if checkpoint is not None:
        witnesses.append(_read_checkpoint(checkpoint))
    with open_here(call) as server:
        public_key = server.instance.keystore.public_key(KeyPurpose.CHECKPOINT)
        findings = verify_record(server.instance.database, public_key, witnesses)
    rows = [
        {
            "fault": finding.fault.value,
            "batch": finding.batch,
            "first": finding.first,
            "last": finding.last,
            "words": finding.words,
        }
        for finding in findings
    ]
    if call.json:
        output.put_json("audit", {"whole": not rows, "witnesses": len(witnesses), "findings": rows})
    elif rows:
        output.put_table(rows, ["fault", "batch", "first", "last", "words"])
    else:
        output.say(
            f"The audit log is complete and unchanged, compared with {counted(len(witnesses), 'checkpoint')}. "
            "Events of the last second, or since the server stopped, may not be chained yet."
        )
    if rows:
        raise typer.Exit(1)


@command(app, "chain", "audit chain")
def chain_now(ctx: typer.Context) -> None:
    """Sign new events and print the newest checkpoint. Store that line elsewhere: `audit verify` uses it to detect
    changes made since. A running server signs new events each second."""
    call = call_of(ctx)
    with open_here(call) as server:
        head = chain(server.instance.database, server.instance.keystore, checkpoint_store(call.directory), now())
    text = head.text if head else None
    if call.json:
        output.put_json("checkpoint", {"checkpoint": text})
    elif text:
        print(text)


@command(app, "export", "audit export --after 120 >> events.jsonl")
def export(
    ctx: typer.Context,
    after: Annotated[int, typer.Option(metavar="BATCH", min=0, help="Only events after this batch.")] = 0,
) -> None:
    """Export all signed events, oldest first, one JSON object per line. To continue later, pass the `batch` of the last
    line as `--after`. If no server is running, run `audit chain` first."""
    with open_server(call_of(ctx)) as server:
        while events := server.run(next_events, after=after):
            for event in events:
                print(line_of(event))
            after = events[-1]["batch"]


def put_rows(call: Call, schema: str, rows: Sequence[NamedEvent], columns: Sequence[str]) -> None:
    """Print events: ids and names in JSON, known names in tables."""
    call.put_list(schema, [_members(row) if call.json else _cells(row) for row in rows], columns)


def _members(row: NamedEvent) -> dict[str, object]:
    detail = json.loads(row.detail)
    return {**dataclasses.asdict(row), "at": output.rfc3339(row.at // 1_000_000), "detail": detail}


def _cells(row: NamedEvent) -> dict[str, object]:
    known = {
        "user": row.user or row.account_id,
        "token": row.token or row.token_id,
        "device": row.device or row.device_id,
    }
    members = _members(row)
    detail = {**json.loads(row.detail), **row.people}
    return {**members, **known, "by": _by(row), "detail": _detail(detail, row)}


def _by(row: NamedEvent) -> str:
    """Name the actor; before a sign-in is complete, say where it happens."""
    kind, _, name = row.by.partition(":")
    where = {"rest": "signing in", "self": "signing in to self-service"}.get(kind)
    return f"{name}, {where}" if where else row.by


def _detail(detail: dict[str, object], row: NamedEvent) -> str:
    """Return the details that no other column shows."""
    said: tuple[object, ...] = (None, "", [], {})
    return ", ".join(
        f"{name.replace('_', ' ')}: {_words(name, value)}"
        for name, value in detail.items()
        if value not in said and not (name == "serial" and value == row.token)
    )


def _words(name: str, value: object) -> str:
    if name in TIMES and isinstance(value, int):
        return str(output.rfc3339(value))
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _read_checkpoint(path: Path) -> Checkpoint:
    try:
        with path.open("rb") as file:
            return Checkpoint.parse(file.read(_LONGEST_LINE).decode("ascii", "replace"))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "pass a file with a checkpoint") from error
