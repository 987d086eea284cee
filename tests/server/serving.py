"""A real server: `sparekey serve` as its own process on loopback, asked over TLS."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparekey.clock import monotonic
from sparekey.clock import now as clock_now
from sparekey.secret import Secret
from sparekey.wiring.server import NewServer, create_server
from tests.builders import ROOT

SPAREKEY = Path(sys.executable).parent / "sparekey"
_PATIENCE = 30


@dataclass
class Serving:
    """A running server."""

    process: subprocess.Popen[bytes]
    data: Path
    port: int
    log: Path

    @property
    def trust(self) -> ssl.SSLContext:
        """Return a TLS context that accepts this server's CA alone."""
        context = ssl.create_default_context(cafile=str(self.data / "keys" / "ca.pem"))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def connect(self, host: str = "127.0.0.1") -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(host, self.port, context=self.trust, timeout=_PATIENCE)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return status and JSON of one request over a new connection."""
        connection = self.connect()
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()

    def sign_in(self, key: Secret[str], user: str, passcode: str, *, reply_to: str = "") -> tuple[int, Any]:
        answering = {"reply_to": reply_to} if reply_to else {}
        body = json.dumps({"user": user, "passcode": passcode, **answering}).encode()
        return self.ask("POST", "/v1/sign-ins", body, {"Authorization": f"Bearer {key.reveal()}"})

    def serial(self) -> str:
        """The serial number of the certificate that is served now."""
        connection = self.connect()
        connection.connect()
        certificate = connection.sock.getpeercert()
        connection.close()
        return str((certificate or {})["serialNumber"])

    def kill(self) -> None:
        """Kill the server and its workers at once, like a power cut."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(_PATIENCE)

    def stop(self) -> int:
        """Stop the server like a service manager; return the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(_PATIENCE)


def a_data_directory(parent: Path, url: str = "") -> Path:
    """A new server's data directory."""
    data = parent / "data"
    create_server(data, NewServer(Secret(url)), ROOT, clock_now())
    return data


def free_port() -> int:
    """A port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    data: Path,
    *,
    variables: Mapping[str, str] | None = None,
    more: Sequence[str] = (),
    stdin: int = subprocess.DEVNULL,
) -> Iterator[Serving]:
    """Run `sparekey serve` for the block: it answers at the beginning, and is ended by its own process id."""
    port, log = free_port(), data.parent / "serve.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(SPAREKEY), "--data", str(data), "serve", "--listen", f"127.0.0.1:{port}", *more],
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **(variables or {})},
        )
    served = Serving(process, data, port, log)
    try:
        wait_until(lambda: answers(served), served)
        yield served
    finally:
        try:
            served.stop()
        except subprocess.TimeoutExpired:
            served.kill()


def answers(served: Serving) -> bool:
    try:
        return served.ask("GET", "/health")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def wait_until(holds: Any, served: Serving) -> None:
    """Asks again and again; fails with the end of the log."""
    patience, pause = monotonic() + _PATIENCE, threading.Event()
    while not holds():
        assert served.process.poll() is None, served.log.read_text()[-3000:]
        assert monotonic() < patience, served.log.read_text()[-3000:]
        pause.wait(0.05)
