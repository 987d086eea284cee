"""The entries of the locks that some extras need, and no others: `python -m tools.deb.locked EXTRA...` prints them.

Rules: versions and hashes are those of the locks, character for character; which package needs which is read from the
environment that `tools/setup` made from the same locks, so that nothing is asked of an index.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, requires
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.tree import ROOT

_LOCKS: Final = ("requirements.lock", "requirements-tpm.lock")
_ENTRY: Final = re.compile(r"^([a-z0-9-]+)==.*(?:\n .*)*", re.MULTILINE)


class NotLocked(LookupError):
    """Something is needed that no lock holds, or that is not installed here."""


def locked_for(extras: Iterable[str]) -> str:
    """A file of requirements for `uv pip install --require-hashes`. Raises NotLocked."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"]]
    for extra in extras:
        asked += project["optional-dependencies"][extra]
    entries, needed = _entries(), _needed(asked)
    missing = sorted(needed - entries.keys())
    if missing:
        raise NotLocked(f"{missing[0]} is not locked: run `make lock`")
    return "".join(f"{entries[name]}\n" for name in sorted(needed))


def _entries() -> Mapping[str, str]:
    locks = [(ROOT / name).read_text(encoding="utf-8") for name in _LOCKS]
    return {found[1]: found[0] for lock in locks for found in _ENTRY.finditer(lock)}


def _needed(asked: Iterable[str]) -> set[str]:
    """The names of what is asked for, with all that these need in turn, on this Python."""
    seen: set[tuple[str, str]] = set()  # a package, and one of its extras or ""
    left = [(Requirement(each), "") for each in asked]
    while left:
        requirement, extra = left.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for each in {(canonicalize_name(requirement.name), extra) for extra in ("", *requirement.extras)} - seen:
            seen.add(each)
            left += [(Requirement(text), each[1]) for text in _requires(each[0])]
    return {name for name, _ in seen}


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError as error:
        raise NotLocked(f"{name} is not installed here: run tools/setup with the packages of `make deb`") from error


if __name__ == "__main__":
    sys.stdout.write(locked_for(sys.argv[1:]))
