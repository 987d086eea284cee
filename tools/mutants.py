"""Change a deciding file a little and show that a test fails, for each change: `python -m tools.mutants [FILE...]`.

Rules: mutmut makes and tries the mutants of tools/deciding.py in a copy of the tree, .venv/mutants, on the tests that
reach the changed function. A run that was stopped continues. Mutants of changed functions and mutants that no test
caught are tried again; `--fresh` tries all. A mutant that no test catches is explained in tests/mutants.toml, or it is
an error. So is an explanation that fits no survivor.
"""

import argparse
import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.deciding import DECIDING
from tools.tree import ROOT, project_files

COPY: Final = ROOT / ".venv" / "mutants"
EXPLAINED: Final = ROOT / "tests" / "mutants.toml"
CAUGHT: Final = frozenset({"killed", "timeout", "caught by type check", "suspicious", "segfault"})
NOT_CLEAN: Final = "Failed to run clean test"  # in the log of mutmut
SETTINGS: Final = """
[tool.mutmut]
source_paths = ["src/"]
only_mutate = {files}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-m", "not services and not alone", "-p", "no:randomly", "-p", "no:xdist"]
also_copy = ["bench", "docs", "native", "packaging", "spec", "tools"]
use_git_change_detection = false
"""


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test caught: the changed function and its changed lines, stripped. Names and numbers change."""

    function: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.function}\n  - {self.old}\n  + {self.new}"


def copy_tree(to: Path) -> None:
    """Bring the copy up to date. Files that have not changed keep their times, and so their mutants their results."""
    names = project_files()
    for name in names:
        if name == Path("pyproject.toml"):
            continue
        target = to / name
        if not target.exists() or target.read_bytes() != (ROOT / name).read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    for top in ("src", "tests", "tools"):
        for path in (to / top).rglob("*.py"):
            if path.relative_to(to) not in names:
                path.unlink()


def write_settings(to: Path, files: Collection[str]) -> None:
    """Write pyproject.toml with the settings of mutmut, which knows no other place for them."""
    tests = sorted({test for file in files for test in DECIDING[file]})
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    settings = SETTINGS.format(files=_toml_list(sorted(files)), tests=_toml_list(tests))
    (to / "pyproject.toml").write_text(text + settings, encoding="utf-8")


def remove_unmutated(copy: Path, files: Collection[str]) -> None:
    """Remove the copies that a run on other files left without mutants. mutmut would take them for mutated ones."""
    for file in files:
        mutated, source = copy / "mutants" / file, copy / file
        if mutated.exists() and mutated.read_bytes() == source.read_bytes():
            mutated.unlink()


def _toml_list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"


def _mutmut(*arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=COPY, capture_output=True, text=True, check=True).stdout


def results(listing: str) -> dict[str, str]:
    """Read "name: result" lines of `mutmut results --all true`."""
    lines = (line.strip().rpartition(": ") for line in listing.splitlines() if ": " in line)
    return {name: result for name, _, result in lines}


def survivor(name: str, diff: str) -> Survivor:
    """Read the diff that `mutmut show` prints."""
    function = re.sub(r"__mutmut_\d+$", "", name).replace("xǁ", "").replace("ǁ", ".").replace(".x_", ".")
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "#"))]
    old, new = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return Survivor(function, old, new)


def explained(path: Path = EXPLAINED) -> dict[Survivor, str]:
    """Read the explained survivors, each with why no test can catch it. Raises KeyError if a part is missing."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", [])
    return {Survivor(each["function"], each["old"], each["new"]): each["why"] for each in entries}


def complaints(survivors: Collection[Survivor], known: Collection[Survivor], modules: Collection[str]) -> Iterator[str]:
    """Yield a text for each survivor without explanation, and each explanation of these modules without survivor."""
    for each in survivors:
        if each not in known:
            yield f"survived: {each}"
    for each in known:
        if each not in survivors and any(each.function.startswith(f"{module}.") for module in modules):
            yield f"explained in tests/mutants.toml, but caught or gone: {each}"


def _chosen(patterns: Sequence[str]) -> list[str]:
    found = [file for file in DECIDING if any(fnmatch.fnmatch(file, f"*{pattern}") for pattern in patterns)]
    return found if patterns else list(DECIDING)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit 1 if a survivor is not explained, an explanation is stale or a test fails anyway, 2 if no file is chosen."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.mutants", description="Try mutants of the files that decide."
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="end of a path in tools/deciding.py; all if none is given"
    )
    parser.add_argument("--fresh", action="store_true", help="try mutants again that were caught before")
    chosen = parser.parse_args(arguments)
    files = _chosen(chosen.files)
    if not files:
        print("No such deciding file. There are:", *DECIDING, sep="\n  ")
        return 2
    if chosen.fresh:
        shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True, exist_ok=True)
    copy_tree(COPY)
    write_settings(COPY, files)
    remove_unmutated(COPY, files)
    modules = [file.removeprefix("src/").removesuffix(".py").replace("/", ".") for file in files]
    _try()
    if NOT_CLEAN in (COPY / "mutmut.log").read_text(encoding="utf-8"):
        print(f"The tests fail without mutants; see {COPY / 'mutmut.log'}")
        return 1
    known = explained()
    if again := [name for name, each in _survivors(modules).items() if each not in known]:
        _try(*again)  # a test may be new
    return _report(modules)


def _try(*names: str) -> None:
    """Try the named mutants, or those that were not tried before."""
    with (COPY / "mutmut.log").open("w") as log:
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", "2", *names]
        subprocess.run(command, cwd=COPY, stdout=log, stderr=subprocess.STDOUT, check=False)


def _results(modules: Sequence[str]) -> dict[str, str]:
    """Return the result of each mutant of these modules."""
    prefixes = tuple(f"{module}." for module in modules)
    listed = results(_mutmut("results", "--all", "true"))
    return {name: result for name, result in listed.items() if name.startswith(prefixes)}


def _survivors(modules: Sequence[str]) -> dict[str, Survivor]:
    """Return the mutants of these modules that no test caught, by the name that mutmut gives them."""
    missed = sorted(name for name, result in _results(modules).items() if result not in CAUGHT)
    return {name: survivor(name, _mutmut("show", name)) for name in missed}


def _report(modules: Sequence[str]) -> int:
    tried, survivors = len(_results(modules)), _survivors(modules)
    wrong = list(complaints(survivors.values(), explained(), modules))
    for each in wrong:
        print(each)
    print(f"{tried} mutants, {tried - len(survivors)} caught, {len(survivors)} not; see {COPY / 'mutmut.log'}")
    return 1 if wrong or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
