"""A measurement, and the list of all of them: a table for people, JSON for programs."""

import dataclasses
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line: ours against a peer or a limit, in one unit. `goal` bounds `ratio`, such as ">= 0.93"; "": reported."""

    number: str
    what: str
    ours: float
    unit: str
    against: str
    limit: float
    ratio: float
    goal: str

    @property
    def holds(self) -> bool | None:
        """Return True if the goal is met; None if the value is only reported."""
        if not self.goal:
            return None
        sign, _, bound = self.goal.partition(" ")
        return self.ratio >= float(bound) if sign == ">=" else self.ratio <= float(bound)


def machine() -> dict[str, str]:
    """Describe the machine that was measured."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {"cpu": model, "cores": str(os.cpu_count()), "python": platform.python_version()}


def show(rows: Sequence[Row]) -> None:
    """The table on standard output."""
    print(f"{machine()['cpu']}, {machine()['cores']} cores, Python {machine()['python']}\n")
    print(f"{'':4} {'work':54} {'ours':>12} {'against':>12}  {'unit':10} {'ratio':>8}  goal")
    for row in rows:
        verdict = {True: "met", False: "NOT MET", None: ""}[row.holds]
        print(
            f"{row.number:4} {row.what:54} {row.ours:12.4g} {row.limit:12.4g}  {row.unit:10} {row.ratio:8.3f}  "
            f"{row.goal} {verdict}   (against {row.against})"
        )


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the table as JSON."""
    table = {"machine": machine(), "rows": [dataclasses.asdict(row) | {"holds": row.holds} for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table, indent=2) + "\n")


def side_by_side(first: Callable[[], float], second: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Medians of two measurements taken by turns, so that a busy moment of the machine hits both."""
    pairs = [(first(), second()) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def progress(text: str) -> None:
    """A word on standard error while it runs."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
