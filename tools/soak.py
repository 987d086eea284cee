"""Runs the tests with full counts, one at a time, and keeps the record: `python -m tools.soak [--fresh] [NODE-ID...]`.

Rules: what runs is every test that uses the fixture `count` or is marked `soak` (tests/conftest.py); a test that is
green at this commit in docs/soak.json is not run again; the record is written after each test, so that a break loses
one test at most; a record made on changed files says so and spares nothing.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sparekey.clock import monotonic, now
from tools.tree import ROOT

RECORD = ROOT / "docs" / "soak.json"
# What a result depends on; a commit that touches only words keeps the record valid.
DECIDING = ["src", "native", "packaging", "tests", "tools", "spec", "pyproject.toml", "requirements.lock"]
DECIDING += ["requirements-tpm.lock"]
FULL = [sys.executable, "-m", "pytest", "-q", "--full", "-m", "soak", "-p", "no:cacheprovider"]


@dataclass
class Record:
    """docs/soak.json: results by test, all at one commit and on one machine."""

    commit: str
    machine: dict[str, str | int]
    started: str
    tests: dict[str, dict[str, str | float]] = field(default_factory=dict)

    def is_green(self, test: str) -> bool:
        return self.tests.get(test, {}).get("result") == "passed"

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
    options = parser.parse_args(arguments)
    tests = _full_tests(options.tests)
    record = Record(_commit(), _machine(), _stamp()) if options.fresh else _record()
    for number, test in enumerate(tests, 1):
        if record.is_green(test) and not options.fresh:
            _say(f"soak: {number}/{len(tests)} {test}: green at this commit")
            continue
        _say(f"soak: {number}/{len(tests)} {test} ...")
        record.tests[test] = _run(test)
        record.write()
        _say(f"soak: {record.tests[test]['result']} in {record.tests[test]['seconds']} s")
    red = [test for test in tests if not record.is_green(test)]
    print(f"soak: {len(tests) - len(red)} of {len(tests)} tests green at {record.commit}")
    for test in red:
        print(f"  not green: {test}")
    return 1 if red or not tests else 0


def _full_tests(wanted: Sequence[str]) -> list[str]:
    command = [*FULL, "--collect-only", "-p", "no:randomly", *wanted]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    tests = [line for line in done.stdout.splitlines() if "::" in line and not line.startswith(("ERROR", "FAILED"))]
    if done.returncode not in {0, 5}:
        sys.exit(f"soak: the tests could not be collected:\n{done.stdout}{done.stderr}")
    return tests


def _run(test: str) -> dict[str, str | float]:
    started = monotonic()
    done = subprocess.run([*FULL, "--timeout=0", "--tb=short", test], cwd=ROOT, check=False)
    result = "passed" if done.returncode == 0 else "failed"
    return {"result": result, "seconds": round(monotonic() - started, 1), "finished": _stamp()}


def _record() -> Record:
    """The record on disk if it was made at this commit, on this machine and on unchanged files; else a new one."""
    new = Record(_commit(), _machine(), _stamp())
    if RECORD.exists():
        old = Record(**json.loads(RECORD.read_text(encoding="utf-8")))
        if (old.commit, old.machine) == (new.commit, new.machine) and "changed" not in new.commit:
            return old
    return new


def _commit() -> str:
    """The last commit that touched what decides a result, with a word when files differ from it."""
    commit = _git("rev-list", "-1", "HEAD", "--", *DECIDING)
    return f"{commit} and changed files" if _git("status", "--porcelain", "--", *DECIDING) else commit


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _machine() -> dict[str, str | int]:
    """What the times depend on; nothing that names the machine."""
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
