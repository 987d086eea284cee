"""One hostile host keeps as many connections as it can: all others are answered as before, and memory stays bounded."""

import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparekey.app.instance import Instance
from sparekey.app.sessions.clients import add_client
from sparekey.clock import monotonic
from sparekey.clock import now as clock_now
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.builders import ROOT, User, a_user
from tests.server.serving import Serving, a_data_directory, serving
from tools.counts import Count

pytestmark = [pytest.mark.services, pytest.mark.real_argon2, pytest.mark.alone]

ANOTHER_HOST = "127.0.0.2"  # all of 127.0.0.0/8 is this machine, and each address is a source of its own
QUIET_FACTOR, QUIET_SECONDS = 1.2, 0.05
MEMORY_MIB = 100


@contextmanager
def hostile(served: Serving, kind: str, count: int) -> Iterator[None]:
    """Run a hostile host for the block. All of its connections have been opened once."""
    command = [
        sys.executable,
        "-m",
        "tests.server.transport.hostile_source",
        str(served.port),
        kind,
        str(count),
        ANOTHER_HOST,
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"open\n"
            yield
        finally:
            process.kill()


def median_seconds(served: Serving, key: Secret[str], user: User, rounds: int) -> tuple[float, float]:
    """Return the median times of a health check with the database and of a refused sign-in, each on a new
    connection."""
    ready, sign_in = [], []
    for _ in range(rounds):
        begun = monotonic()
        assert served.ask("GET", "/ready")[0] == 200
        ready.append(monotonic() - begun)
        begun = monotonic()
        assert served.sign_in(key, user.login, user.wrong(clock_now()).reveal())[1]["result"] == "denied"
        sign_in.append(monotonic() - begun)
    return statistics.median(ready), statistics.median(sign_in)


def resident_mib(served: Serving) -> float:
    pages = int(Path(f"/proc/{served.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def opened(data: Path) -> Instance:
    return open_instance(data, read_settings(data, {}))


@pytest.mark.parametrize("kind", ["silent", "idle", "head", "body"])
def test_s46_a_hostile_host_takes_nothing_from_others(tmp_path: Path, count: Count, kind: str) -> None:
    data = a_data_directory(tmp_path)
    instance = opened(data)
    user, key = a_user(instance, "alice", now=clock_now()), add_client(instance, ROOT, "web", now=clock_now())
    instance.database.close()
    connections = count(small=100, full=200 if kind == "head" else 2_000)
    rounds = count(small=5, full=20)
    with serving(data) as served:
        quiet, before = median_seconds(served, key, user, rounds), resident_mib(served)
        with hostile(served, kind, connections):
            loud, after = median_seconds(served, key, user, rounds), resident_mib(served)
        for was, now in zip(quiet, loud, strict=True):
            assert now <= was * QUIET_FACTOR + QUIET_SECONDS
        assert after - before <= MEMORY_MIB
