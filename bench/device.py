"""P7, P8 and P10 on a real server and a real agent daemon, asked through its socket and through PAM.

P7: from an online sign-in to the first data on the disk, against sealing as many records bare. P8: an offline sign-in
against the bare search of the peppers that it has to try; libpam and our module are in this process. P10: the daemon at
rest after all of that, its keys in a file, and how fast a server starts.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.pam import Stack
from bench.table import Row, progress
from sparekey.agent.ground.outcome import LoginAnswer
from sparekey.argon2id import argon2id
from sparekey.cli.agent.remote import Daemon, answer_of, find_daemon
from sparekey.core.sign_in.pins import MEMORY_KIB, PASSES
from sparekey.sealed import BALANCED, EMERGENCY, Level
from sparekey.wire.local_socket import FrameKind, frame
from tests.native.built import pam_module
from tools.story.people import Token, new_token, other
from tools.story.stage import Stage, free_port

PIN = "2580"
WINDOW = 3  # candidates of a tokencode: this interval and one to each side
MORNING = 10  # o'clock, UTC: the next 12 hours lie within one day
REST_SECONDS = (20, 120)  # quick and full
FIRST_UNITS = 1


@dataclass
class Bench:
    """A device with Alice's data on it; `first` is what P7 measured on the way."""

    stage: Stage
    alice: Token
    daemon: Daemon
    daemon_pid: int
    pam: Stack
    first: tuple[float, float]
    server_start: float
    code: str


def rows(*, full: bool) -> list[Row]:
    """All of them; the same device serves for the three."""
    with tempfile.TemporaryDirectory(prefix="sparekey-bench-") as directory, _device(Path(directory)) as bench:
        usable, bare = bench.first
        return [
            Row(
                "P7",
                "first data on the disk after an online sign-in",
                usable,
                "s",
                "sealing them bare",
                bare,
                usable / bare,
                "<= 1.2",
            ),
            *_offline(bench, 5 if full else 3),
            *_at_rest(bench, REST_SECONDS[full]),
        ]


@contextmanager
def _device(directory: Path) -> Iterator[Bench]:
    with Stage(directory, lambda _: None) as stage:
        # As installed: a process that compiles at its start keeps MiB of that memory.
        stage.add_variables({"PYTHONDONTWRITEBYTECODE": ""})
        morning = datetime.fromtimestamp(stage.time.now(), UTC) + timedelta(days=1)
        stage.time.set(morning.replace(hour=MORNING, minute=0, second=0, microsecond=0))
        stage.sparekey("init")
        stage.sparekey("policy", "offline", "set", "Default", "days=1", "offline_failures=25")
        alice, port = new_token(), free_port()
        begun = time.perf_counter()
        stage.start_server(port)
        server_start = time.perf_counter() - begun
        cable = stage.lay_cable(port)
        stage.sparekey("user", "add", "alice", "--domain", "SystemDomain")
        serial = stage.sparekey("token", "add", "--user", "alice", "--seed-stdin", typed=alice.seed_hex).data["serial"]
        stage.sparekey("token", "set-pin", serial, typed=PIN + "\n")
        code = stage.sparekey("device", "invite", "laptop").data["code"]
        stage.agent("enroll", "--server", f"https://localhost:{cable.port}", "--code", "-", typed=code + "\n")
        process = stage.start_daemon()
        daemon = find_daemon(stage.device_state / "agent.sock")
        if daemon is None:
            raise RuntimeError("the agent's daemon does not listen")
        progress("P7: an online sign-in, and its data")
        first = _first_data(stage, alice, daemon)
        shown = stage.sparekey("emergency", "show", serial, "--caller", "bench").data["code"]
        cable.unplug()
        pam = Stack.of(directory, pam_module(), stage.device_state / "agent.sock")
        yield Bench(stage, alice, daemon, process.pid, pam, first, server_start, shown)
        daemon.close()


def _first_data(stage: Stage, alice: Token, daemon: Daemon) -> tuple[float, float]:
    """(seconds until the first data are on the disk, seconds for as many bare hashes on all cores)."""
    begun = time.perf_counter()
    answer = _ask(daemon, PIN + alice.code(stage.time.now()))
    if answer.result != "granted":
        raise RuntimeError(f"the online sign-in was not granted: {answer.message}")
    seen: list[float] = []
    daemon.follow(frame(FrameKind.WATCH), lambda told: seen.append(time.perf_counter()) if told.done else None)
    midnight = 86_400 - stage.time.now() % 86_400
    records = int(midnight // alice.interval)
    return seen[FIRST_UNITS - 1] - begun, _bare(BALANCED, records)


def _offline(bench: Bench, times: int) -> list[Row]:
    progress(f"P8: offline refusals and sign-ins through the socket and through PAM, {times} each")
    at_socket, refused, granted, emergency = [], [], [], []
    for _ in range(times):
        bench.stage.time.advance(60)
        code = bench.alice.code(bench.stage.time.now())
        at_socket.append(_timed(bench.daemon, PIN + other(code), "denied"))
        refused.append(_timed_by_pam(bench.pam, PIN + other(code), lets_in=False))
        granted.append(_timed_by_pam(bench.pam, PIN + bench.alice.code(bench.stage.time.now()), lets_in=True))
        emergency.append(_timed_by_pam(bench.pam, PIN + bench.code, lets_in=True))
    peppers = 2**BALANCED.pepper_bits
    refuse = min(_search(BALANCED, WINDOW * peppers) for _ in range(2))
    accept, code_search = _search(BALANCED, peppers // 2), _search(EMERGENCY, 2**EMERGENCY.pepper_bits // 2)
    socket, pam = statistics.median(at_socket), statistics.median(refused)
    module = _unhashed_ms(bench.pam)
    return [
        Row(
            "P8",
            "offline refusal at balanced, through the socket",
            socket,
            "s",
            f"{WINDOW * peppers} bare hashes",
            refuse,
            socket / refuse,
            "<= 1.15",
        ),
        Row(
            "P8",
            "offline refusal at balanced, through PAM",
            pam,
            "s",
            f"{WINDOW * peppers} bare hashes",
            refuse,
            pam / refuse,
            "<= 1.15",
        ),
        Row(
            "P8",
            "offline sign-in through PAM (its pepper is random)",
            statistics.mean(granted),
            "s",
            "half of one search",
            accept,
            statistics.mean(granted) / accept,
            "",
        ),
        Row(
            "P8",
            "offline emergency sign-in through PAM (random pepper)",
            statistics.mean(emergency),
            "s",
            "half of one search",
            code_search,
            statistics.mean(emergency) / code_search,
            "",
        ),
        Row(
            "P8", "PAM, module, socket and agent: a no without a hash", module, "ms", "limit", 10.0, module / 10, "<= 1"
        ),
        Row(
            "P8",
            "the socket: a status there and back",
            _status_ms(bench.daemon),
            "ms",
            "limit",
            10.0,
            _status_ms(bench.daemon) / 10,
            "<= 1",
        ),
    ]


def _at_rest(bench: Bench, seconds: int) -> list[Row]:
    progress(f"P10: the daemon at rest for {seconds} s")
    before = _wake_ups(bench.daemon_pid)
    time.sleep(seconds)
    wakes = _wakes_between(before, _wake_ups(bench.daemon_pid)) * 60 / seconds
    memory = _number_of(Path(f"/proc/{bench.daemon_pid}/status"), "VmRSS") / 1024
    return [
        Row("P10", "memory of the daemon after use, keys in a file", memory, "MiB", "limit", 45, memory / 45, "<= 1"),
        Row("P10", "wake-ups of the daemon", wakes, "/min", "limit", 1, wakes, "<= 1"),
        Row(
            "P10",
            "start of a server until it answers",
            bench.server_start,
            "s",
            "limit",
            2,
            bench.server_start / 2,
            "<= 1",
        ),
    ]


def _ask(daemon: Daemon, passcode: str) -> LoginAnswer:
    return answer_of(daemon.ask(frame(FrameKind.LOGIN, user="alice", passcode=passcode, reply_to="")))


def _timed(daemon: Daemon, passcode: str, result: str) -> float:
    begun = time.perf_counter()
    answer = _ask(daemon, passcode)
    if answer.result != result or answer.mode != "offline":
        raise RuntimeError(f"expected {result} offline: {answer.message}")
    return time.perf_counter() - begun


def _timed_by_pam(pam: Stack, passcode: str, *, lets_in: bool) -> float:
    begun = time.perf_counter()
    if pam.authenticate("alice", passcode) is not lets_in:
        raise RuntimeError(f"PAM was expected to {'let in' if lets_in else 'refuse'}")
    return time.perf_counter() - begun


def _unhashed_ms(pam: Stack) -> float:
    """Measure a user without data on this device: libpam, the module, the socket, and a server that the agent does not
    reach."""
    times = []
    for _ in range(50):
        begun = time.perf_counter()
        pam.authenticate("nobody-here", PIN + "123456")
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def _status_ms(daemon: Daemon) -> float:
    times = []
    for _ in range(50):
        begun = time.perf_counter()
        daemon.ask(frame(FrameKind.STATUS))
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def _search(level: Level, hashes: int) -> float:
    """Seconds for the PIN's hash and then so many of the level's on all cores."""
    begun = time.perf_counter()
    argon2id(PIN.encode(), bytes(16), MEMORY_KIB, PASSES)
    return time.perf_counter() - begun + _bare(level, hashes)


def _bare(level: Level, hashes: int) -> float:
    cores = os.cpu_count() or 1

    def share(_: int) -> None:
        for _ in range(hashes // cores):
            argon2id(bytes(77), bytes(16), level.argon_m, level.argon_t)

    with ThreadPoolExecutor(cores) as pool:
        begun = time.perf_counter()
        list(pool.map(share, range(cores)))
        return time.perf_counter() - begun


def _wake_ups(pid: int) -> dict[str, int]:
    """Return how often each thread of the process has waited and continued."""
    return {
        task.name: _number_of(task / "status", "voluntary_ctxt_switches")
        for task in Path(f"/proc/{pid}/task").iterdir()
    }


def _wakes_between(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """Of the threads that are there; one that ended meanwhile takes its count along and woke up once for that."""
    ended = before.keys() - after.keys()
    return sum(count - before.get(thread, 0) for thread, count in after.items()) + len(ended)


def _number_of(file: Path, name: str) -> int:
    """A number of a status file of /proc."""
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(f"{name}:"))
