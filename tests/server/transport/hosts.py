"""Hosts around one real server, each at an address of its own: hostile ones, browsers, and devices.

All of 127.0.0.0/8 is this machine, and each address is a source of its own.
"""

import http.client
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

from sparekey import clock
from sparekey.agent.contact.server_client import ServerClient, ServerConnection
from sparekey.server.web.rendering import MARK_FIELD
from sparekey.wire import signing
from tests.authenticators import Authenticator
from tests.builders import Device, User
from tests.server.serving import Serving

HOSTILE = "127.0.0.2"
_PATIENCE = 120


@contextmanager
def hostile(served: Serving, counts: Mapping[str, int], *addresses: str) -> Iterator[None]:
    """Run hostile hosts for the block (`hostile_source`). All of their connections have been in use."""
    kinds = [f"{kind}={count}" for kind, count in counts.items()]
    with ExitStack() as running:
        hosts = []
        for address in addresses or (HOSTILE,):
            command = [sys.executable, "-m", "tests.server.transport.hostile_source", str(served.port), address, *kinds]
            host = running.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            )
            running.callback(host.kill)
            hosts.append(host)
        for host in hosts:
            assert host.stdout
            assert host.stdout.readline() == "open\n"
        yield
        assert all(host.poll() is None for host in hosts)


def resident_mib(served: Serving) -> float:
    """Return the memory of all processes of the server."""
    pages = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            session = int((process / "stat").read_text().rpartition(")")[2].split()[3])
            if session == served.process.pid:
                pages += int((process / "statm").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return pages * resource.getpagesize() / (1 << 20)


def processor_seconds(process_id: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Reply:
    """An answer, with the seconds that it took, from the connection on."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float


@dataclass
class Host:
    """A host that opens a new connection for each request."""

    served: Serving
    address: str

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        begun = clock.monotonic()
        with closing(
            http.client.HTTPSConnection(
                "127.0.0.1",
                self.served.port,
                context=self.served.trust,
                timeout=_PATIENCE,
                source_address=(self.address, 0),
            )
        ) as connection:
            connection.request(method, path, body or None, dict(headers or {}))
            reply = connection.getresponse()
            content = reply.read()
        return Reply(reply.status, reply.headers, content, clock.monotonic() - begun)


@dataclass
class Browser(Host):
    """A browser, with its cookies and the mark of the page that it shows."""

    cookies: dict[str, str] = field(default_factory=dict)
    mark: str = ""

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.served.port}"

    def get(self, path: str) -> Reply:
        return self._shown(self.ask("GET", path, headers=self._headers()))

    def post(self, path: str, **form: str) -> Reply:
        """Send a form of the page that is shown."""
        own = {"Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({MARK_FIELD: self.mark, **form}).encode()
        return self._shown(self.ask("POST", path, body, self._headers() | own))

    def sign_in(self, user: User) -> Reply:
        """Sign in with a passcode; return the answer to it, which is a redirect if it was right."""
        self.get("/console/sign-in")
        return self.post("/console/sign-in", user=user.login, passcode=user.typed(clock.now()).reveal())

    def sign_in_with(self, key: Authenticator) -> Reply:
        """Sign in with a passkey; return the answer to it."""
        self.get("/console/sign-in")
        options = self.post("/console/sign-in/passkey/challenge")
        key.origin = self.origin
        return self.post("/console/sign-in/passkey", passkey=key.get(options.body.decode()))

    def _headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Host": f"localhost:{self.served.port}"} | ({"Cookie": cookies} if cookies else {})

    def _shown(self, reply: Reply) -> Reply:
        for cookie in reply.headers.get_all("set-cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        mark = re.search(rf'name="{MARK_FIELD}" value="(\w+)"', reply.body.decode())
        self.mark = mark[1] if mark else self.mark
        return reply


@dataclass
class Laptop(Host):
    """An enrolled device: the agent's own client, with a new connection for each request."""

    device: Device
    seconds: list[float] = field(default_factory=list)  # of its requests

    @property
    def client(self) -> ServerClient:
        def sign(message: bytes) -> bytes:
            return signing.sign(self.device.private_key, message)

        # It calls `request` alone.
        return ServerClient(cast("ServerConnection", self), self.device.device_id, sign, clock.now)

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        reply = self.ask(method, path, body, headers)
        self.seconds.append(reply.seconds)
        return reply.status, reply.body
