"""The ratchet: tests/house/ratchet.toml holds the most that each count may be; it is lowered, never raised.

Rules: a count above its maximum is an error; so is a maximum that is more than a tenth above its count, since then the
next change could undo what the last one won. A maximum at or below the goal may stay.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.house.counts import House
from tools.tree import ROOT

RATCHET: Final = ROOT / "tests" / "house" / "ratchet.toml"
LOWER: Final = "python -m tools.sizes --lower"
_HEAD: Final = f"""\
# The most that each count of `python -m tools.sizes --all` may be, and packages that have too many files.
# `{LOWER}` writes this file. It lowers and never raises. A test compares (tools/house/ratchet.py).
"""


@dataclass(frozen=True)
class Maxima:
    """The content of ratchet.toml."""

    counts: Mapping[str, float]
    packages: Mapping[str, int]


def read_maxima(path: Path = RATCHET) -> Maxima:
    """Read the maxima. Raises KeyError if a table is missing."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return Maxima(tables["counts"], tables["packages"])


def complaints(house: House, maxima: Maxima) -> Iterator[str]:
    """Yield a sentence for each count that is above its maximum, and for each maximum that must be lowered."""
    for count in house.counts:
        most = maxima.counts.get(count.name)
        if most is None:
            yield f"{count.name}: has no maximum; run `{LOWER}`"
        elif count.value > most:
            yield f"{count.name}: {count.value:g}, at most {most:g} ({count.about}); see --list {count.name}"
        elif most > (count.goal or 0) and _is_slack(count.value, most):
            yield f"{count.name}: {count.value:g} now, maximum {most:g}: run `{LOWER}`"
    full = house.full_packages()
    for name, number in full.items():
        if number > maxima.packages.get(name, 0):
            yield f"{name}: {number} files; split it, or put the new file where its noun is"
    for name, most in maxima.packages.items():
        if most > full.get(name, 0):
            yield f"{name}: {full.get(name, 'few')} files now, maximum {most}: run `{LOWER}`"


def _is_slack(value: float, most: float) -> bool:
    return value < most - max(1, most / 10)


def lowered(house: House, maxima: Maxima) -> Maxima:
    """Return the maxima with each count's value where that is lower, and without packages that are small enough."""
    counts = {count.name: min(count.value, maxima.counts.get(count.name, count.value)) for count in house.counts}
    full = house.full_packages()
    packages = {name: min(full[name], most) for name, most in maxima.packages.items() if name in full}
    return Maxima(counts, packages)


def write_maxima(maxima: Maxima, path: Path = RATCHET) -> None:
    """Write ratchet.toml."""
    counts = "".join(f"{name} = {value:g}\n" for name, value in maxima.counts.items())
    packages = "".join(f'"{name}" = {number}\n' for name, number in sorted(maxima.packages.items()))
    path.write_text(f"{_HEAD}\n[counts]\n{counts}\n[packages]\n{packages}", encoding="utf-8")
