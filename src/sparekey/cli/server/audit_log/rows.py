"""`sparekey row`: rows of the database whose seal does not hold, on the server itself."""

import sys
from contextlib import closing
from typing import Annotated

import typer

from sparekey.app.audit_log import altered_rows
from sparekey.app.audit_log.altered_rows import SealedRow
from sparekey.cli.server import output
from sparekey.cli.server.command import Call, LocalServer, call_of, command, new_group, now, open_here
from sparekey.core.errors import BadInput
from sparekey.core.plurals import counted
from sparekey.keystore.watch_file import WatchFile

app = new_group("Rows of the database that another program altered: list, show and accept them.")

_LONGEST = 1_024  # characters

Table = Annotated[str, typer.Argument(metavar="TABLE", help="The `table` of the alarm or of `row list`.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The `row` of the alarm, or the `key` of `row list`.")]


@command(app, "list", "--data /var/lib/sparekey row list")
def list_some(ctx: typer.Context) -> None:
    """List the rows that another program changed or added: their seal does not hold, and they decide nothing. Reads
    every row that has a seal."""
    call = call_of(ctx)
    with open_here(call) as server:
        found = altered_rows.list_altered(server.instance, server.actor)
    call.put_list("altered-rows", [vars(row) for row in found], ["table", "key"])
    if found and not call.json:
        output.say(f"{counted(len(found), 'row')}. To see one: {call.again} row show TABLE KEY")


@command(app, "show", "row show account 5f0c...")
def show(ctx: typer.Context, table: Table, key: Key) -> None:
    """Show the values of a row that decide, without secrets, and what the audit log says about its object. Reads the
    whole audit log, 5,000 events a second."""
    call = call_of(ctx)
    with open_here(call) as server:
        _put(call, _look(server, table, key))


@command(app, "accept", "row accept account 5f0c...")
def accept(ctx: typer.Context, table: Table, key: Key) -> None:
    """Accept an altered row with the values that it has now, and raise an alarm. Use it only if you know who changed
    the row, and why. Works for users, tokens, domains, roles and policies that do not contradict the audit log. Shows
    the row, and asks you to type its key (or reads it from standard input)."""
    call = call_of(ctx)
    with open_here(call) as server:
        shown = _look(server, table, key)
        if not call.json:
            _put(call, shown)
        altered_rows.verify_acceptable(shown)
        if _typed() != key:
            raise BadInput("that is not the key of the row, so it was not accepted", "type the key as it is shown")
        altered_rows.accept_row(server.instance, server.actor, shown, now=now())
    call.done(f"The row {key} of {table} is accepted. An alarm says so.", "accepted-row", table=table, key=key)


def _typed() -> str:
    """Read a key from a prompt at a terminal, or else from standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt("Type the key of this row to accept it", err=True))
    return sys.stdin.readline(_LONGEST).strip()


def _look(server: LocalServer, table: str, key: str) -> SealedRow:
    with closing(WatchFile.temporary()) as book:
        return altered_rows.show_row(server.instance, server.actor, table, key, book, now=now())


def _put(call: Call, row: SealedRow) -> None:
    contradicted = {each.fact: each.stored for each in row.contradictions}
    if call.json:
        output.put_json("sealed-row", vars(row) | {"contradictions": contradicted})
        return
    seal = "does not hold: the row decides nothing" if row.altered else "holds"
    named = {name: value for name in ("user", "token", "device") if (value := getattr(row, name))}
    output.put_members({"table": row.table, "key": row.key, "seal": seal, **named})
    print()
    output.put_table([{"column": name, "value": value} for name, value in row.values.items()], ["column", "value"])
    if not (row.logged or contradicted):
        output.say("The audit log says nothing about this row.")
        return
    print()
    facts = {**dict.fromkeys(contradicted), **(row.logged or {})}
    rows = [
        {"fact": fact, "audit log": logged, "contradicted by": contradicted.get(fact, "")}
        for fact, logged in facts.items()
    ]
    output.put_table(rows, ["fact", "audit log", "contradicted by"])
