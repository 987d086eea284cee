"""`sparekey report`: who is ready for the day without a network.

Rows are written as they come. A text that a spreadsheet would take for a formula is put behind an apostrophe in CSV.
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

import typer

from sparekey.app import reports
from sparekey.app.reports import ForecastRow, ReportRow, Tally
from sparekey.cli.server import output
from sparekey.cli.server.command import Call, Server, call_of, command, new_group, now, open_server
from sparekey.core.counts import counted
from sparekey.core.readiness import Readiness

app = new_group("Reports for the day without a network.")
AsCsv = Annotated[bool, typer.Option("--csv", help="Write CSV.")]
_READINESS: Final = (
    "user", "name", "domain", "device", "ready_with", "days_left", "data_until",
    "emergency_tokencode_until", "emergency_passcode_until", "last_contact", "pending", "obstacle",
)  # fmt: skip
_FORECAST: Final = ("user", "name", "domain", "device", "when", "at", "left", "emergency_until", "why")
_SHOWN: Final = (
    "user", "device", "ready_with", "days_left", "emergency_tokencode_until", "emergency_passcode_until", "obstacle"
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@command(app, "forecast", "report forecast --csv > forecast.csv")
def forecast(ctx: typer.Context, as_csv: AsCsv = False) -> None:
    """Say who could not sign in with their token if the network died now, and who runs out this week."""
    call, at = call_of(ctx), now()
    counts = dict.fromkeys(("now", "this week", "left with an emergency code"), 0)

    def members(found: Iterable[ForecastRow]) -> Iterator[Mapping[str, Any]]:
        for row in found:
            when = "now" if row.at <= at else "this week"
            counts[when] += 1
            counts["left with an emergency code"] += row.left is Readiness.EMERGENCY_CODE
            yield {
                "user": row.login, "name": row.name, "domain": row.domain, "device": row.device, "when": when,
                "at": output.rfc3339(row.at), "left": row.left.value,
                "emergency_until": output.rfc3339(row.emergency_until), "why": row.why,
            }  # fmt: skip

    with open_server(call) as server:
        _put(call, "forecast", members(_each_forecast(server, at)), _FORECAST, counts, as_csv=as_csv)
    _say(call, as_csv, f"Without the network, {counts['now']} could not sign in with their token now, "
         f"{counts['this week']} more this week; {counts['left with an emergency code']} of them would have "
         "an emergency code.")  # fmt: skip


@command(app, "readiness", "report readiness --csv > readiness.csv")
def readiness(ctx: typer.Context, as_csv: AsCsv = False) -> None:
    """List every user on each of their devices: with what they would get in, until when, and what stands in the way."""
    call, at, tally = call_of(ctx), now(), Tally()
    summary: dict[str, Any] = {}

    def members(found: Iterable[ReportRow]) -> Iterator[Mapping[str, Any]]:
        for row in found:
            tally.add(row)
            yield _readiness_members(row, at)
        summary.update(rows=tally.rows, users=tally.users, ready_with=dict(tally.readiness),
                       obstacles=dict(tally.obstacles))  # fmt: skip

    columns = _READINESS if as_csv else _SHOWN
    with open_server(call) as server:
        _put(call, "readiness", members(_each_readiness(server, at)), columns, summary, as_csv=as_csv)
    ready = ", ".join(f"{count} with {what}" for what, count in sorted(tally.readiness.items()))
    _say(call, as_csv, f"{counted(tally.users, 'user')}, {counted(tally.rows, 'row')}: {ready or 'nobody'}.")


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


def _readiness_members(row: ReportRow, at: int) -> Mapping[str, Any]:
    judged = row.judged
    return {
        "user": row.login, "name": row.name, "domain": row.domain, "device": row.device,
        "ready_with": judged.readiness.value, "days_left": judged.days_left(at),
        "data_until": output.rfc3339(judged.data_until),
        "emergency_tokencode_until": output.rfc3339(judged.emergency_tokencode_until),
        "emergency_passcode_until": output.rfc3339(judged.emergency_passcode_until),
        "last_contact": output.rfc3339(row.last_contact),
        "pending": row.pending, "obstacle": judged.obstacle.value if judged.obstacle is not None else "",
    }  # fmt: skip


def _put(
    call: Call, schema: str, rows: Iterator[Mapping[str, Any]], columns: tuple[str, ...], summary: Mapping[str, Any],
    *, as_csv: bool,
) -> None:  # fmt: skip
    if as_csv:
        table = csv.writer(sys.stdout, lineterminator="\r\n")  # RFC 4180
        table.writerow(columns)
        table.writerows([_cell(row[column]) for column in columns] for row in rows)
    elif call.json:
        output.put_rows_as_json(schema, "rows", rows, summary)
    else:
        output.put_table([*rows], columns)


def _cell(value: Any) -> str:
    text = "" if value is None else ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _say(call: Call, as_csv: bool, words: str) -> None:
    if not call.json or as_csv:
        output.say(words)
