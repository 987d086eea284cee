"""P9: what a sign-in, and a page of the console, takes among a thousand users, and among very many.

Both servers run at the same time on their own databases and are asked in turn, a few hundred sign-ins each, so that the
machine's moods meet both. Two clients: what is looked for is the time of one sign-in, not of a queue.
"""

import http.client
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import console
from bench.load import INTERVAL
from bench.population import Population
from bench.processes import serving
from bench.table import Row, progress
from sparekey.app.instance import Instance
from sparekey.app.sessions import clients
from sparekey.clock import now as clock_now
from sparekey.core.permissions import Actor
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.wiring.server import NewServer, create_server, open_instance
from tools.postgresql import PostgresqlServer

SMALL, LARGE, LARGE_QUICK = 1_000, 1_000_000, 20_000
CLIENTS = 2
ROUNDS = 6  # the first one warms up
A_ROUND = 150  # users; each is asked about once, so that every sign-in is a first one
_ACTOR = Actor.of_system("os:bench")


@dataclass
class Site:
    """A server among so many users; `seconds` are what the sign-ins took."""

    instance: Instance
    population: Population
    port: int
    key: Secret[str]
    seconds: list[float] = field(default_factory=list)
    next_user: int = 0

    def ask_some(self) -> list[float]:
        """Sign-ins of users from all over the table, by as many clients at once as there are."""
        # Some are passed over; odd, so that it does not meet the same ones again and again.
        stride = (self.population.users * 10 // (11 * A_ROUND * ROUNDS) - 1) | 1
        bodies: list[str] = []
        while len(bodies) < A_ROUND:
            number, self.next_user = self.next_user, self.next_user + stride
            if number % 50 == 0 or number % 97 == 0:
                continue  # disabled, or the token is lost
            person = self.population.person(number)
            code = person.totp.code(clock_now() // INTERVAL)
            bodies.append(json.dumps({"user": person.login, "passcode": code}))
        with ThreadPoolExecutor(CLIENTS) as pool:
            shares = pool.map(self._ask, [bodies[share::CLIENTS] for share in range(CLIENTS)])
            return [seconds for share in shares for seconds in share]

    def _ask(self, bodies: Sequence[str]) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.key.reveal()}", "Content-Type": "application/json"}
        seconds = []
        for body in bodies:
            begun = time.perf_counter()
            connection.request("POST", "/v1/sign-ins", body, headers)
            answer = connection.getresponse().read()
            seconds.append(time.perf_counter() - begun)
            if json.loads(answer)["result"] != "granted":
                raise RuntimeError("a sign-in was not granted: the measurement means nothing")
        connection.close()
        return seconds

    @property
    def p99(self) -> float:
        """In milliseconds, of all rounds together."""
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)] * 1_000


def rows(*, full: bool) -> list[Row]:
    """Sign-ins and pages, for each database."""
    return [*_measured("PostgreSQL", full=full), *_measured("SQLite", full=full)]


def _measured(database: str, *, full: bool) -> list[Row]:
    with ExitStack() as stack:
        postgresql = stack.enter_context(PostgresqlServer()) if database == "PostgreSQL" else None
        sites = []
        for users in (SMALL, LARGE if full else LARGE_QUICK):
            url = postgresql.create_database() if postgresql else ""
            sites.append(stack.enter_context(_site(Population("growth", users), url)))
        for number in range(ROUNDS):
            progress(f"P9 {database}: round {number + 1} of {ROUNDS}")
            for site in sites:
                took = site.ask_some()
                site.seconds += took if number else []
        small, large = sites
        progress(f"P9 {database}: pages of the console")
        few, many = (console.p95(console.seconds_of_pages(site.instance, site.population, site.port)) for site in sites)
        limit = console.LIMIT_MS[database]
        what = f"p99 of a sign-in among {large.population.users:,} users, {database}"
        pages = f"p95 of a list or search in the console among {{:,}} users, {database}"
        return [
            Row("P9", what, large.p99, "ms", f"{SMALL:,} users", small.p99, large.p99 / small.p99, "<= 1.3"),
            Row("P9", pages.format(SMALL), few, "ms", "limit", limit, few / limit, "<= 1"),
            Row("P9", pages.format(large.population.users), many, "ms", "limit", limit, many / limit, "<= 1"),
        ]


@contextmanager
def _site(population: Population, url: str) -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "data"
        create_server(data, NewServer(Secret(url)), _ACTOR, clock_now())
        instance = open_instance(data, read_settings(data, os.environ))
        try:
            begun = time.perf_counter()
            population.settle(instance, clock_now(), progress)
            progress(f"{population.users:,} users settled in {time.perf_counter() - begun:.0f} s")
            key = clients.add_client(instance, _ACTOR, "bench", now=clock_now())
            with serving(data, {"SPAREKEY_TLS": "off"}) as port:
                yield Site(instance, population, port, key)
        finally:
            instance.database.close()
