"""Writes rows as a file: CSV for spreadsheets, or JSON with one object per line.

Rules: in CSV, an apostrophe stands before a text that a spreadsheet would take for a formula; JSON is ASCII.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sparekey.json_value import Json

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_cell(value: Json) -> str:
    """Return a value as a spreadsheet shows it: nothing for None; "yes" and "no" for True and False."""
    text = "" if value is None else ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Json]]) -> bytes:
    """Return CSV (RFC 4180) in UTF-8, with a header line."""
    output = io.StringIO()
    table = csv.writer(output, lineterminator="\r\n")
    table.writerow(columns)
    table.writerows([csv_cell(row[column]) for column in columns] for row in rows)
    return output.getvalue().encode()


def as_json_lines(rows: Iterable[Mapping[str, Json]]) -> bytes:
    """Return one JSON object per line."""
    return b"".join(json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode() + b"\n" for row in rows)
