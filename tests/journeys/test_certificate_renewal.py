"""A certificate with less than a third of its lifetime left is renewed without a pause, for callers and devices."""

import http.client
import os
import signal
import ssl
import threading
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.builders import DAY
from tests.journeys.site import Site, a_site, poll

pytestmark = [pytest.mark.services, pytest.mark.alone]  # the start time of a process decides


def test_the_certificate_is_renewed_without_a_gap(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        site.login(site.passcode(), mode="online")
        first = served_certificate(site)
        # Move the clock between requests: a connection that is open meanwhile times out. The server checks every hour,
        # but its current wait runs in real time, so the reload asks it to check now.
        site.stage.time.advance(70 * DAY)  # 20 of 90 days are left
        with Callers(site.port) as callers:
            poll(lambda: callers.answered > 20, "answers before")
            reload(site)
            assert served_certificate(site) != first
            answered = callers.answered
            poll(lambda: callers.answered > answered + 50, "answers after it")
        assert callers.failures == []
        assert site.server.process.poll() is None
        site.login(site.passcode(), mode="online")
        site.stage.time.advance(30 * DAY)  # the first one has ended
        site.login(site.passcode(), mode="online")


def context() -> ssl.SSLContext:
    """Return a TLS context that trusts any certificate: by this process's clock it is from the future."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    return trusting


def reload(site: Site) -> None:
    """Returns when the old processes have ended."""
    before = workers(site)
    os.kill(site.server.process.pid, signal.SIGHUP)
    poll(lambda: len(workers(site)) == len(before) and not workers(site) & before, "new processes")


def workers(site: Site) -> set[str]:
    parent = site.server.process.pid
    return {*Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}


def served_certificate(site: Site) -> str:
    return ssl.get_server_certificate(("127.0.0.1", site.port))


class Callers:
    """Send requests all the time while the context is entered, each on a new connection.

    A connection that is made while an old process ends is closed unanswered (`wiring.serving`). That counts as a
    failure only if the next connection is not answered either.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._call)
        self.answered = 0
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _call(self) -> None:
        was_closed = False
        while not self._end.is_set():
            try:
                with closing(self._connection()) as connection:
                    connection.request("GET", "/ready")
                    status = connection.getresponse().status
            except (OSError, http.client.HTTPException) as error:
                if was_closed:
                    self.failures.append(f"after {self.answered}: {error!r}")
                was_closed = True
            else:
                was_closed = False
                self.answered += 1
                if status != 200:
                    self.failures.append(f"after {self.answered}: status {status}")

    def _connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self._port, timeout=10, context=context())
