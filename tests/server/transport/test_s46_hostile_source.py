"""Hostile hosts keep as many connections as they can: all others are answered as before, and memory stays bounded."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparekey.app.instance import Instance
from sparekey.app.sessions.clients import add_client
from sparekey.clock import now as clock_now
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.builders import ROOT, User, a_user
from tests.server.serving import Serving, a_data_directory, serving
from tests.server.transport.hosts import Browser, Host, hostile, resident_mib
from tools.counts import Count

pytestmark = [pytest.mark.services, pytest.mark.real_argon2, pytest.mark.alone]

QUIET_FACTOR, QUIET_SECONDS = 1.2, 0.05
MEMORY_MIB = 100
HOSTILE_TWO, OTHER_EIGHT = ("127.0.0.2", "127.0.0.3"), tuple(f"127.0.0.{host}" for host in range(4, 12))


@dataclass(frozen=True)
class Asked:
    """A running server, and a user who signs in there through a program with a key."""

    served: Serving
    user: User
    key: Secret[str]

    def medians(self, addresses: Sequence[str], rounds: int) -> tuple[float, float]:
        """Return the median seconds of a health check with the database and of a refused sign-in, each on a new
        connection."""
        ready, sign_in = [], []
        for host in [Host(self.served, address) for address in addresses] * rounds:
            reply = host.ask("GET", "/ready")
            assert reply.status == 200
            ready.append(reply.seconds)
            body = json.dumps({"user": self.user.login, "passcode": self.user.wrong(clock_now()).reveal()}).encode()
            reply = host.ask("POST", "/v1/sign-ins", body, {"Authorization": f"Bearer {self.key.reveal()}"})
            assert json.loads(reply.body)["result"] == "denied"
            sign_in.append(reply.seconds)
        return statistics.median(ready), statistics.median(sign_in)

    def verify_unharmed(
        self, counts: Mapping[str, int], attackers: Sequence[str], others: Sequence[str], rounds: int
    ) -> None:
        """Verify that hostile hosts with these connections take neither time nor much memory from others."""
        quiet, before = self.medians(others, rounds), resident_mib(self.served)
        with hostile(self.served, counts, *attackers):
            loud, after = self.medians(others, rounds), resident_mib(self.served)
        for was, now in zip(quiet, loud, strict=True):
            assert now <= was * QUIET_FACTOR + QUIET_SECONDS, (quiet, loud)
        assert after - before <= MEMORY_MIB, (before, after)


def opened(data: Path) -> Instance:
    return open_instance(data, read_settings(data, {}))


def set_up(directory: Path) -> tuple[Path, User, Secret[str]]:
    data = a_data_directory(directory)
    instance = opened(data)
    user, key = a_user(instance, "alice", now=clock_now()), add_client(instance, ROOT, "web", now=clock_now())
    instance.database.close()
    return data, user, key


def refuse_at_consoles(browser: Browser) -> None:
    for path in ("/console/sign-in", "/self-service/sign-in"):
        browser.get(path)
        assert browser.post(path, user="nobody", passcode="4711123456").status == 200


@pytest.mark.parametrize("kind", ["silent", "idle", "head", "body"])
def test_s46_a_hostile_host_takes_nothing_from_others(tmp_path: Path, count: Count, kind: str) -> None:
    data, user, key = set_up(tmp_path)
    connections = count(small=100, full=200 if kind == "head" else 2_000)
    with serving(data) as served:
        asked = Asked(served, user, key)
        asked.verify_unharmed({kind: connections}, HOSTILE_TWO[:1], OTHER_EIGHT[:1], count(small=5, full=20))


def test_s46_two_hostile_hosts_of_ten_take_nothing_from_the_other_eight(tmp_path: Path, count: Count) -> None:
    """Each of the two does everything at once that an anonymous host can do."""
    data, user, key = set_up(tmp_path)
    waiting = dict.fromkeys(["silent", "idle", "body"], count(small=10, full=60)) | {"head": count(small=10, full=40)}
    asking = dict.fromkeys(["console", "self-service", "session", "key", "device", "page"], count(small=5, full=15))
    with serving(data, variables={"SPAREKEY_WORKERS": str(count(small=1, full=2))}) as served:
        asked = Asked(served, user, key)
        for address in OTHER_EIGHT[: count(small=1, full=8)]:  # each process shows its first pages, and hashes
            refuse_at_consoles(Browser(served, address))
        asked.verify_unharmed(waiting | asking, HOSTILE_TWO, OTHER_EIGHT, count(small=1, full=10))
