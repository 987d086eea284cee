"""How commands answer: data on standard output, words on standard error.

Rules: with --json exactly one object, which names its schema; times are RFC 3339 in UTC there, and local with UTC for
people; a table is drawn only where somebody looks at it, else its cells are separated by tabs; what a device put on
record may hold anything, so that no character reaches the terminal that is not printable.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sparekey.core.plurals import counted
from sparekey.durations import DAY_SECONDS

Row = Mapping[str, Any]
SCHEMA: Final = "sparekey/{}/1"
_NARROWEST: Final = 30  # columns that the last cell of a line, which is folded, gets at least
_GAP: Final = 2  # between cells
_EARLIEST: Final = 0
_LATEST: Final = 253_402_214_400  # 9999-12-31T00:00:00Z: in every time zone it is a day that there is


def say(words: str) -> None:
    """Sentences for whoever typed the command."""
    print("\n".join(map(printable, words.split("\n"))), file=sys.stderr)


def put_json(schema: str, data: Mapping[str, Any]) -> None:
    """The one object of a command."""
    lines = json.dumps({"schema": SCHEMA.format(schema), **data}, ensure_ascii=False, indent=2).split("\n")
    print("\n".join(map(printable, lines)))


def put_rows_as_json(schema: str, name: str, rows: Iterable[Row], summary: Row) -> None:
    """The same for more rows than memory should hold: a line each, as they come; then `summary`, as it is by then."""
    start = json.dumps({"schema": SCHEMA.format(schema), name: []}, ensure_ascii=False)[:-2]
    for row in rows:
        print(start + "\n" + printable(json.dumps(row, ensure_ascii=False)), end="")
        start = ","
    print((start if start != "," else "") + "],")
    print('"summary": ' + printable(json.dumps(summary, ensure_ascii=False)) + "}")


def put_table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """A row for each line; columns by member name."""
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
    # no serial number is cut short for a terminal that is too narrow: that folds the lines itself
    console = Console()
    console.width = max(console.width, sum(widths) + _GAP * len(widths))
    console.print(table, crop=False)


def put_record(data: Mapping[str, Any]) -> None:
    """One member a line."""
    width = max(map(len, data), default=0)
    for name, value in data.items():
        print(f"{name.replace('_', ' '):{width}}  {_cell(value)}".rstrip())


def rfc3339(at: int | None) -> str | None:
    """A unix second in UTC; None where there is none."""
    return None if at is None else _moment(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def in_words(at: int, now: int) -> str:
    """How far a moment lies ahead, in the largest unit that fits."""
    left = at - now
    for seconds, unit in ((DAY_SECONDS, "day"), (3_600, "hour"), (60, "minute")):
        if left >= seconds:
            return f"in {counted(left // seconds, unit)}"
    return "in less than a minute" if left > 0 else "already over"


def local_and_utc(at: int) -> str:
    """A moment on the clock at the wall, and in UTC."""
    local = _moment(at).astimezone()
    return f"{local.strftime('%Y-%m-%d %H:%M %Z')} ({rfc3339(at)})"


def _moment(at: int) -> datetime:
    """In UTC; what no calendar holds is the last day that one does, so that no row of a list keeps the others back."""
    return datetime.fromtimestamp(min(max(at, _EARLIEST), _LATEST), UTC)


def printable(text: str) -> str:
    """The text with every character that is not printable as JSON escapes it: controls, too, that JSON lets through."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return printable(json.dumps(value, ensure_ascii=False))
    if isinstance(value, list | tuple):
        return printable(", ".join(map(str, value))) or "-"
    return printable(str(value))


def _literal(text: str) -> Any:
    from rich.text import Text  # noqa: PLC0415 -- only where a table is drawn

    return Text(text)  # not markup: names may hold brackets
