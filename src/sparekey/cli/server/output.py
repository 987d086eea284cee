"""The output of commands: data on standard output, messages on standard error.

Rules: --json prints exactly one object, which names its schema, with times as RFC 3339 in UTC. People see local times
with UTC. A table is drawn only on a terminal; otherwise tabs separate its cells. Only printable characters reach the
terminal, because events of a device may contain anything.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sparekey.core.plurals import counted
from sparekey.durations import DAY_SECONDS

if TYPE_CHECKING:
    from rich.text import Text

Row = Mapping[str, object]
SCHEMA: Final = "sparekey/{}/1"
_NARROWEST: Final = 30  # minimum columns for the last cell of a line, which is folded
_GAP: Final = 2  # between cells
_EARLIEST: Final = 0
_LATEST: Final = 253_402_214_400  # 9999-12-31T00:00:00Z: this day exists in every time zone


def say(words: str) -> None:
    """Print sentences for the user of the command."""
    print("\n".join(map(printable, words.split("\n"))), file=sys.stderr)


def put_json(schema: str, data: Mapping[str, object]) -> None:
    """Print the one JSON object of a command."""
    lines = json.dumps({"schema": SCHEMA.format(schema), **data}, ensure_ascii=False, indent=2).split("\n")
    print("\n".join(map(printable, lines)))


def put_rows_as_json(schema: str, name: str, rows: Iterable[Row], summary: Row) -> None:
    """Print the one JSON object of a command, row by row, because all rows may be too many for memory.

    `summary` is read at the end, so it may change meanwhile.
    """
    start = json.dumps({"schema": SCHEMA.format(schema), name: []}, ensure_ascii=False)[:-2]
    for row in rows:
        print(start + "\n" + printable(json.dumps(row, ensure_ascii=False)), end="")
        start = ","
    print((start if start != "," else "") + "],")
    print('"summary": ' + printable(json.dumps(summary, ensure_ascii=False)) + "}")


def put_table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Print a table with one line for each row; `columns` are names of members."""
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        for line in [[*columns], *cells]:
            print("\t".join(line))
        return
    from rich.console import Console  # noqa: PLC0415 -- only where a table is drawn: it costs 0.1 s
    from rich.table import Table  # noqa: PLC0415 -- see above

    table = Table(box=None, pad_edge=False, header_style="bold")
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    widths[-1] = min(widths[-1], _NARROWEST)
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=width < _NARROWEST, min_width=width)
    for line in cells:
        table.add_row(*(_literal(cell) for cell in line))
    # A narrow terminal folds lines itself, so that no serial number is cut.
    console = Console()
    console.width = max(console.width, sum(widths) + _GAP * len(widths))
    console.print(table, crop=False)


def put_members(data: Mapping[str, object]) -> None:
    """Print one member per line."""
    width = max(map(len, data), default=0)
    for name, value in data.items():
        print(f"{name.replace('_', ' '):{width}}  {_cell(value)}".rstrip())


def rfc3339(at: int | None) -> str | None:
    """Return a unix second as RFC 3339 in UTC; None for None."""
    return None if at is None else _moment(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def in_words(at: int, now: int) -> str:
    """Return the time until a moment, in the largest unit that fits, such as `in 3 days`."""
    left = at - now
    for seconds, unit in ((DAY_SECONDS, "day"), (3_600, "hour"), (60, "minute")):
        if left >= seconds:
            return f"in {counted(left // seconds, unit)}"
    return "in less than a minute" if left > 0 else "already over"


def local_and_utc(at: int) -> str:
    """Return a moment in local time and in UTC."""
    local = _moment(at).astimezone()
    return f"{local.strftime('%Y-%m-%d %H:%M %Z')} ({rfc3339(at)})"


def _moment(at: int) -> datetime:
    """Return the moment in UTC; a time beyond the calendar becomes its last day, so that one bad row spoils no list."""
    return datetime.fromtimestamp(min(max(at, _EARLIEST), _LATEST), UTC)


def printable(text: str) -> str:
    """Return the text with every unprintable character escaped as in JSON, even controls that JSON allows."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in text)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return printable(json.dumps(value, ensure_ascii=False))
    if isinstance(value, list | tuple):
        return printable(", ".join(map(str, value))) or "-"
    return printable(str(value))


def _literal(text: str) -> "Text":
    from rich.text import Text  # noqa: PLC0415 -- only where a table is drawn

    return Text(text)  # not markup: names may hold brackets
