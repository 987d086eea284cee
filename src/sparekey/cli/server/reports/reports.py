"""`sparekey report`: users who could sign in without the network, and users who could not.

Rows are written as they come. In CSV, a text that a spreadsheet would take for a formula begins with an apostrophe.
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final

import typer

from sparekey.app.reports import reports
from sparekey.app.reports.reports import ForecastRow, ReportRow, Tally
from sparekey.app.reports.rows import FORECAST, READINESS, forecast_members, readiness_members
from sparekey.cli.server import output
from sparekey.cli.server.command import Call, Server, call_of, command, new_group, now, open_server
from sparekey.core.explain.readiness import Readiness
from sparekey.core.plurals import counted
from sparekey.core.row_files import csv_cell
from sparekey.json_value import Json

app = new_group("Reports on the readiness for a network outage.")
AsCsv = Annotated[bool, typer.Option("--csv", help="Write CSV.")]
_SHOWN: Final = (
    "user",
    "device",
    "ready_with",
    "days_left",
    "emergency_tokencode_until",
    "emergency_passcode_until",
    "obstacle",
)


@command(app, "forecast", "report forecast --csv > forecast.csv")
def forecast(ctx: typer.Context, as_csv: AsCsv = False) -> None:
    """List users who could not sign in with their token if the network failed now, or within a week."""
    call, at = call_of(ctx), now()
    counts = dict.fromkeys(("now", "this week", "left with an emergency code"), 0)

    def members(found: Iterable[ForecastRow]) -> Iterator[Mapping[str, Json]]:
        for row in found:
            given = forecast_members(row, at)
            counts[str(given["when"])] += 1
            counts["left with an emergency code"] += row.left is Readiness.EMERGENCY_CODE
            yield given

    with open_server(call) as server:
        _put(call, "forecast", members(_each_forecast(server, at)), FORECAST, counts, as_csv=as_csv)
    _say(
        call,
        as_csv,
        f"Without the network, {counts['now']} could not sign in with their token now, "
        f"{counts['this week']} more this week; {counts['left with an emergency code']} of them would have "
        "an emergency code.",
    )


@command(app, "readiness", "report readiness --csv > readiness.csv")
def readiness(ctx: typer.Context, as_csv: AsCsv = False) -> None:
    """List every user on each device: how they could sign in offline, until when, and the obstacle if they cannot."""
    call, at, tally = call_of(ctx), now(), Tally()
    summary: dict[str, Json] = {}

    def members(found: Iterable[ReportRow]) -> Iterator[Mapping[str, Json]]:
        for row in found:
            tally.add(row)
            yield readiness_members(row, at)
        summary.update(
            rows=tally.rows, users=tally.users, ready_with=dict(tally.readiness), obstacles=dict(tally.obstacles)
        )

    columns = READINESS if as_csv else _SHOWN
    with open_server(call) as server:
        _put(call, "readiness", members(_each_readiness(server, at)), columns, summary, as_csv=as_csv)
    ready = ", ".join(f"{count} with {what}" for what, count in sorted(tally.readiness.items()))
    _say(call, as_csv, f"{counted(tally.users, 'user')}, {counted(tally.rows, 'row')}: {ready or 'no users'}.")


def _each_forecast(server: Server, at: int) -> Iterator[ForecastRow]:
    after: str | None = ""
    while after is not None:
        page = server.run(reports.forecast_page, after=after, now=at)
        yield from page.rows
        after = page.next


def _each_readiness(server: Server, at: int) -> Iterator[ReportRow]:
    after: str | None = ""
    while after is not None:
        page = server.run(reports.readiness_page, after=after, now=at)
        yield from page.rows
        after = page.next


def _put(
    call: Call,
    schema: str,
    rows: Iterator[Mapping[str, Json]],
    columns: tuple[str, ...],
    summary: Mapping[str, Json],
    *,
    as_csv: bool,
) -> None:
    if as_csv:
        table = csv.writer(sys.stdout, lineterminator="\r\n")  # RFC 4180
        table.writerow(columns)
        table.writerows([csv_cell(row[column]) for column in columns] for row in rows)
    elif call.json:
        output.put_rows_as_json(schema, "rows", rows, summary)
    else:
        output.put_table([*rows], columns)


def _say(call: Call, as_csv: bool, words: str) -> None:
    if not call.json or as_csv:
        output.say(words)
