"""One answering process: uvicorn's server on our listener, with a certificate that can be renewed meanwhile."""

import asyncio
import resource
import signal
import socket
import ssl
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Final, cast

import uvicorn
import uvloop
from starlette.types import ASGIApp

from sparekey.core.networks import is_within
from sparekey.server.admission.connections import Connection, Connections
from sparekey.server.admission.sources import source_of
from sparekey.server.settings import Settings
from sparekey.server.transport.connection import KEEP_ALIVE_SECONDS, HttpConnection
from sparekey.server.transport.listener import Listener

_OTHER_DESCRIPTORS: Final = 256  # for the database, files and the log
_MOST_CONNECTIONS: Final = 65_536
_LAST_REQUESTS_SECONDS: Final = 10  # for requests in work when the process is asked to end


class Certificate:
    """The certificate and key of new connections, from two PEM files."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read them. Raises OSError, which includes ssl.SSLError."""
        self.certificate: Final = certificate
        self._key: Final = key
        self.reload()

    def reload(self) -> None:
        """Use what the files contain now; open connections keep theirs. Raises OSError, and then the old one stays."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self.certificate, self._key)
        self._context = context

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        return self._context


def answer(
    application: ASGIApp,
    settings: Settings,
    listening: socket.socket,
    certificate: Certificate | None,
    *,
    ready: Callable[[], object] = lambda: None,
    on_hangup: Callable[[], object] = lambda: None,
) -> None:
    """Answer requests until SIGTERM or SIGINT. `ready`: called when it answers; `on_hangup`: called at SIGHUP."""
    server = _Server(application, settings, listening, certificate, ready, on_hangup)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve())


def most_connections() -> int:
    """Return the number of connections for which this process has descriptors, after asking for all it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + _OTHER_DESCRIPTORS
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(allowed - _OTHER_DESCRIPTORS, 1)


class _Server(uvicorn.Server):
    """uvicorn's server with our listener in the place of its own."""

    def __init__(
        self,
        application: ASGIApp,
        settings: Settings,
        listening: socket.socket,
        certificate: Certificate | None,
        ready: Callable[[], object],
        on_hangup: Callable[[], object],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                interface="asgi3",
                http=HttpConnection,  # made by `_new_protocol`
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_LAST_REQUESTS_SECONDS,
            )
        )
        self._settings: Final = settings
        self._listening: Final = listening
        self._certificate: Final = certificate
        self._ready: Final = ready
        self._on_hangup: Final = on_hangup
        self._numbers: Final = count()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 -- uvicorn's signature
        """Start the application, then accept connections."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise SystemExit(1)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_hangup)
        tls = self._certificate.context if self._certificate else None
        connections = Connections(most_connections())
        listener = Listener(self._listening, connections, self._party_of, self._new_protocol, tls)
        self.servers = [cast("asyncio.base_events.Server", listener)]  # it has the two methods that uvicorn calls
        self.started = True
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- uvicorn's signature
        """End after the requests in work; at the second SIGINT, at once. The exit code is 0."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    def _party_of(self, address: str) -> str:
        """Return the party of a new connection. Each one of a trusted proxy is a party, so that none has to go for
        others of it."""
        if is_within(address, self._settings.trusted_proxies):
            return f"proxy connection {next(self._numbers)}"
        return source_of(address, self._settings.source_prefixes)

    def _new_protocol(self, connection: Connection) -> HttpConnection:
        loop = asyncio.get_running_loop()
        return HttpConnection(connection, self.config, self.server_state, self.lifespan.state, loop)
