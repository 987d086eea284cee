"""Show that each S-test fails when its defence is taken out: `python -m tools.faults [S-NUMBER...] [--list]`.

Rules:
- The tests that a fault names (tools/fault_files.py) pass without it.
- The fault is planted in a copy of the tree, and the tests import the copy.
- Only a wrong result counts: a test that breaks (on an import, in a fixture, at the time limit) has not failed.
- Every S-number that has a test has a fault.
- A run is resumable on one commit: `--resume` skips the faults that were caught on these very files.
"""

import argparse
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from sparekey.clock import monotonic
from tools.fault_files import Fault, FaultError, all_faults, numbers_with_a_test, unknown_tests
from tools.tree import ROOT, copy_project, project_files

AT_ONCE = 2
RUN_SECONDS = 1800
TEST_SECONDS = 300
# A test that stops like this did not result_of the fault: it broke on it.
BROKEN = ("ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError", "NameError", "Failed: Timeout")
CAUGHT = ROOT / ".venv" / "caught-faults.json"


@dataclass(frozen=True)
class Outcome:
    """The result of one fault; `detail` is for people when it was not caught."""

    fault: Fault
    result: str
    seconds: float
    detail: str = ""

    @property
    def is_caught(self) -> bool:
        return self.result == "caught"


@dataclass(frozen=True)
class Run:
    """One pytest run: per test ("path::name" with parameters) "passed", "failed", "broken" or "skipped"."""

    exit_code: int
    tests: dict[str, str]
    output: str

    def of(self, node: str) -> list[str]:
        """The results of a node id; without parameters in it, those of every parameter."""
        return [result for name, result in self.tests.items() if name == node or name.startswith(f"{node}[")]


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _a_copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sparekey-fault-") as name:
        copy = Path(name) / "tree"
        copy.mkdir()
        copy_project(copy)
        (copy / ".venv").symlink_to(Path(sys.prefix))
        yield copy


def _environment(copy: Path) -> dict[str, str]:
    # bytecode of the copy lies in the copy, and goes with it
    elsewhere = {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    # before the editable install's path; tests/conftest.py refuses to run if the copy is not what was imported
    environment["PYTHONPATH"] = os.pathsep.join([str(copy / "src"), str(copy)])
    environment["SPAREKEY_FAULT_COPY"] = str(copy)
    environment["GIT_CEILING_DIRECTORIES"] = str(copy.parent)
    return environment


def _run_tests(copy: Path, nodes: Sequence[str]) -> Run:
    report = copy / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-p", "no:randomly"]
    command += [f"--timeout={TEST_SECONDS}", f"--junitxml={report}", "-o", "junit_family=xunit1", *nodes]
    with subprocess.Popen(
        command,
        cwd=copy,
        env=_environment(copy),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        too_long = threading.Timer(RUN_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
        too_long.start()
        try:
            output, _ = process.communicate()
        finally:
            too_long.cancel()
    return Run(process.returncode, read_report(report) if report.exists() else {}, output)


def read_report(report: Path) -> dict[str, str]:
    """The result of each test in a JUnit report, as in `Run`.

    A failed test may have a second entry, because the end of a fixture failed as well: it stays a failed one.
    """
    results: dict[str, str] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        name = f"{case.get('file')}::{case.get('name')}"
        if results.get(name) != "failed":
            results[name] = _result(case)
    return results


def _result(case: ET.Element) -> str:
    failure = case.find("failure")
    if failure is not None:
        return "broken" if (failure.get("message") or "").startswith(BROKEN) else "failed"
    if case.find("error") is not None:
        return "broken"
    return "skipped" if case.find("skipped") is not None else "passed"


def _try(fault: Fault) -> Outcome:
    started = monotonic()
    with _a_copy() as copy:
        try:
            fault.apply(copy)
        except FaultError as error:
            return Outcome(fault, "DOES NOT APPLY", monotonic() - started, str(error))
        run = _run_tests(copy, fault.tests)
    return Outcome(fault, result_of(run), monotonic() - started, run.output[-3000:])


def result_of(run: Run) -> str:
    """Return the result of a fault after its tests ran on it."""
    if run.exit_code == 1 and "failed" in run.tests.values():
        return "caught"
    return "NOT CAUGHT" if run.exit_code == 0 else "BROKEN, NOT FAILED"


def _failing_without(faults: Sequence[Fault]) -> list[Outcome]:
    """Return an outcome for each fault whose tests do not pass on the tree as it is."""
    nodes = sorted({node for fault in faults for node in fault.tests})
    _say(f"faults: {len(nodes)} tests have to pass without a fault ...")
    started = monotonic()
    with _a_copy() as copy:
        run = _run_tests(copy, nodes)
    if run.exit_code not in {0, 1}:
        raise FaultError(f"the tests could not be run without a fault:\n{run.output[-3000:]}")
    bad = []
    for fault in faults:
        results = {node: run.of(node) for node in fault.tests}
        wrong = {node: seen for node, seen in results.items() if not seen or set(seen) != {"passed"}}
        if wrong:
            bad.append(Outcome(fault, "FAILS WITHOUT IT", monotonic() - started, f"{wrong}\n{run.output[-3000:]}"))
    return bad


def _try_all(faults: Sequence[Fault], caught: set[str]) -> list[Outcome]:
    """Try each fault, and note at once that it was caught: a run that is stopped loses nothing."""
    outcomes = []
    digest = _digest()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(_try, fault) for fault in faults]
        for number, done in enumerate(as_completed(running), 1):
            outcome = done.result()
            outcomes.append(outcome)
            _say(f"faults: {number}/{len(faults)} {outcome.fault}: {outcome.result} {outcome.seconds:.0f} s")
            if outcome.is_caught:
                caught.add(str(outcome.fault))
                CAUGHT.write_text(json.dumps({"digest": digest, "caught": sorted(caught)}), encoding="utf-8")
    return outcomes


def _digest() -> str:
    """Return a hash over all project files: what was caught counts for the same files alone."""
    digest = hashlib.sha256()
    for name in project_files():
        content = (ROOT / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _caught_before() -> set[str]:
    """Return the faults that an earlier run caught on the same files."""
    if not CAUGHT.is_file():
        return set()
    known = json.loads(CAUGHT.read_text(encoding="utf-8"))
    return set(known["caught"]) if known["digest"] == _digest() else set()


def _print_table(outcomes: Sequence[Outcome]) -> None:
    width = max([5, *(len(outcome.fault.name) for outcome in outcomes)])
    print(f"{'test':6}{'fault':{width + 2}}{'result':20}{'seconds':>8}")
    for outcome in sorted(outcomes, key=lambda outcome: str(outcome.fault)):
        fault = outcome.fault
        print(f"{fault.number.upper():6}{fault.name:{width + 2}}{outcome.result:20}{outcome.seconds:8.1f}")


def _selected(numbers: Sequence[str]) -> tuple[list[Fault], list[str]]:
    """Return the usable faults of the numbers asked for, and a sentence for each problem. Raises FaultError."""
    wanted = {number.lower() for number in numbers}
    faults, problems = [], []
    for fault in all_faults():
        if wanted and fault.number not in wanted:
            continue
        if nodes := unknown_tests(fault):
            problems.append(f"{fault}: names tests that do not exist: {' '.join(nodes)}")
        else:
            faults.append(fault)
    tested = {number for number in numbers_with_a_test() if not wanted or number in wanted}
    planted = {fault.number for fault in faults}
    problems += [f"{number.upper()} has a test and no usable fault" for number in sorted(tested - planted)]
    problems += [f"{number.upper()} is no number of a test" for number in sorted((wanted | planted) - tested)]
    return faults, problems


def _check(faults: Sequence[Fault], problems: Sequence[str], caught: Collection[str]) -> int:
    bad = _failing_without(faults) if faults else []
    held_back = {outcome.fault for outcome in bad}
    outcomes = [*bad, *_try_all([fault for fault in faults if fault not in held_back], set(caught))]
    missed = [outcome for outcome in outcomes if not outcome.is_caught]
    for outcome in missed:
        _say(f"\n--- {outcome.fault}: {outcome.result}\n{outcome.detail}\n")
    _print_table(outcomes)
    for problem in problems:
        print(f"wrong: {problem}")
    return 1 if missed or problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit 0 if every fault asked for is caught and none is missing, 1 if not, 2 if the tests do not run."""
    parser = argparse.ArgumentParser(prog="python -m tools.faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "numbers", nargs="*", metavar="S-NUMBER", help="only these, such as S21; all when none is given"
    )
    parser.add_argument(
        "--list", action="store_true", help="print the faults and why they should be caught; run nothing"
    )
    parser.add_argument("--resume", action="store_true", help="skip the faults that were caught on these very files")
    options = parser.parse_args(arguments)
    try:
        faults, problems = _selected(options.numbers)
        if options.list:
            for fault in faults:
                print(f"{fault.number.upper():6}{fault.name}: {fault.why}")
            return 0
        caught = _caught_before() if options.resume else set()
        _say(f"faults: {len(faults)} faults, {len(caught)} of them caught before")
        return _check([fault for fault in faults if str(fault) not in caught], problems, caught)
    except FaultError as error:
        _say(f"faults: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
