"""Runs the tests with full counts and keeps the record: `python -m tools.soak [--fresh] [--at-once N] [NODE-ID...]`.

Rules: what runs is every test that uses the fixture `count` or is marked `soak` (tests/conftest.py); a test that is
green at this commit in docs/soak.json is not run again; each result says at which commit it was seen, and one seen on
changed files says so and spares nothing; the record is written after each test, so that a break loses one test at
most; tests that limit how long something takes (marked `alone`) run after the others, one at a time.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sparekey.clock import monotonic, now
from tools.tree import ROOT

RECORD = ROOT / "docs" / "soak.json"
# What a result depends on; a commit that touches only words keeps the record valid.
DECIDING = ["src", "native", "packaging", "tests", "tools", "spec", "pyproject.toml", "requirements.lock"]
DECIDING += ["requirements-tpm.lock"]
FULL = [sys.executable, "-m", "pytest", "-q", "--full", "-p", "no:cacheprovider", "-m"]
SOAK, BESIDE_OTHERS = "soak", "soak and not alone"


@dataclass(frozen=True)
class Result:
    """The result of one test: "passed" or "failed", with duration, time and the code tested."""

    result: str
    seconds: float
    finished: str
    commit: str


@dataclass
class Record:
    """docs/soak.json: the last result of each test, all on one machine."""

    machine: dict[str, str | int]
    tests: dict[str, Result] = field(default_factory=dict)

    def is_green(self, test: str, commit: str) -> bool:
        seen = self.tests.get(test)
        return seen is not None and (seen.result, seen.commit) == ("passed", commit) and "changed" not in commit

    def write(self) -> None:
        RECORD.parent.mkdir(exist_ok=True)
        aside = RECORD.with_suffix(".new")
        aside.write_text(json.dumps(asdict(self), indent=2, sort_keys=True) + "\n", encoding="utf-8")
        aside.replace(RECORD)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit 0 when every test is green at this commit, 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tests", nargs="*", metavar="NODE-ID", help="only these tests; all when none is given")
    parser.add_argument("--fresh", action="store_true", help="run again what is green at this commit, too")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="how many tests run side by side (1)")
    options = parser.parse_args(arguments)
    tests, commit, record = _full_tests(SOAK, options.tests), _commit(), _record()
    wanted = [test for test in tests if options.fresh or not record.is_green(test, commit)]
    _say(f"soak: {len(tests)} tests, {len(tests) - len(wanted)} of them green at {commit}")
    red = set()
    for number, (test, result) in enumerate(_results(wanted, options.tests, options.at_once, commit), 1):
        record.tests[test] = result
        record.write()
        _say(f"soak: {number}/{len(wanted)} {test}: {result.result} in {result.seconds} s")
        if result.result != "passed":
            red.add(test)
    print(f"soak: {len(tests) - len(red)} of {len(tests)} tests green at {commit}")
    for test in sorted(red):
        print(f"  not green: {test}")
    return 1 if red or not tests else 0


def _results(wanted: Sequence[str], chosen: Sequence[str], at_once: int, commit: str) -> Iterator[tuple[str, Result]]:
    """Each test with its result, as they end."""
    beside_others = set(_full_tests(BESIDE_OTHERS, chosen)) if at_once > 1 else set()
    with ThreadPoolExecutor(max(1, at_once)) as pool:
        running = {pool.submit(_run, test, commit): test for test in wanted if test in beside_others}
        for done in as_completed(running):
            yield running[done], done.result()
    for test in wanted:
        if test not in beside_others:
            yield test, _run(test, commit)


def _full_tests(marked: str, wanted: Sequence[str]) -> list[str]:
    command = [*FULL, marked, "--collect-only", "-p", "no:randomly", *wanted]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    tests = [line for line in done.stdout.splitlines() if "::" in line and not line.startswith(("ERROR", "FAILED"))]
    if done.returncode not in {0, 5}:
        sys.exit(f"soak: the tests could not be collected:\n{done.stdout}{done.stderr}")
    return tests


def _run(test: str, commit: str) -> Result:
    _say(f"soak: {test} ...")
    started = monotonic()
    done = subprocess.run(
        [*FULL, SOAK, "--timeout=0", "--tb=short", test],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        _say(done.stdout)
    result = "passed" if done.returncode == 0 else "failed"
    return Result(result, round(monotonic() - started, 1), _stamp(), commit)


def _record() -> Record:
    """The record on disk if it was made on this machine; else a new one, for times of two machines do not compare."""
    machine = _machine()
    if RECORD.exists():
        old = json.loads(RECORD.read_text(encoding="utf-8"))
        if old["machine"] == machine:
            return Record(machine, {test: Result(**result) for test, result in old["tests"].items()})
    return Record(machine)


def _commit() -> str:
    """The last commit that touched what decides a result, with a word when files differ from it."""
    commit = _git("rev-list", "-1", "HEAD", "--", *DECIDING)
    return f"{commit} and changed files" if _git("status", "--porcelain", "--", *DECIDING) else commit


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _machine() -> dict[str, str | int]:
    """Describe the machine, without naming it: the times depend on it."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
    }


def _stamp() -> str:
    return datetime.fromtimestamp(now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
