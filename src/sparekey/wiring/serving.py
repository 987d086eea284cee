"""Runs the server: granian's processes that answer (`answering`), and the certificate over them all.

Rules: everything is looked at before the first process starts, so that a server that cannot answer rightly does not
answer (S66); a renewed certificate comes with new processes, which take over before the old ones end. Each process has
a queue of its own (SO_REUSEPORT): a connection that waits in an old one's, or is just being made, at its end is closed
unanswered. No request was read from it, and the next connection is answered. The process that watches over the others
loads nothing of what they answer with.
"""

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from sparekey import clock
from sparekey.app.ports import KeystoreError
from sparekey.core.errors import Conflict
from sparekey.keystore import local_ca
from sparekey.server.logs import configure, logging_config
from sparekey.server.settings import Settings
from sparekey.wiring.server import KEYS, certificate_names, open_instance

DATA_VARIABLE: Final = "SPAREKEY_DATA"
LISTEN_VARIABLE: Final = "SPAREKEY_LISTEN"
_RENEWAL_CHECK: Final = 3_600.0  # seconds
_BODY_LIMIT: Final = 1 << 16  # of a request's head
_OVERLAP: Final = 10.0  # seconds that an old process goes on answering while a new one starts
_log: Final = structlog.get_logger()


@dataclass(frozen=True)
class Certificate:
    """The files that TLS is served from."""

    certificate: Path
    key: Path


def serve(directory: Path, settings: Settings, announce: Callable[[list[str]], None]) -> None:
    """Answers until it is told to stop. Raises what `open_instance` raises, KeystoreError, or Conflict."""
    open_instance(directory, settings).database.close()
    certificate = prepare_certificate(directory, settings, clock.now())
    host, port = settings.address
    _verify_free(host, port)
    os.environ |= {DATA_VARIABLE: str(directory.resolve()), LISTEN_VARIABLE: settings.listen}
    configure(settings.log_level)
    server = _granian(settings, certificate)
    scheme = "https" if certificate else "http"
    shown = f"[{host}]" if ":" in host else host
    server.on_startup(lambda: announce([f"{scheme}://{shown}:{port}"]))
    with _WatchedCertificate(directory, settings, certificate, server):
        server.serve()


def prepare_certificate(directory: Path, settings: Settings, now: int) -> Certificate | None:
    """The certificate to serve, renewed if that is due; None: no TLS. Raises KeystoreError."""
    if settings.tls == "off":
        return None
    if settings.tls == "own":
        own = Certificate(Path(settings.certificate), Path(settings.key))
        local_ca.verify_own(own.certificate, own.key, Path(settings.ca))
        return own
    local_ca.renew_server_certificate(directory / KEYS, certificate_names(settings), now)
    both = certificate_file(directory, settings)
    return Certificate(both, both)


def certificate_file(directory: Path, settings: Settings) -> Path:
    """Where the server's certificate is."""
    return Path(settings.certificate) if settings.tls == "own" else directory / KEYS / local_ca.SERVER_FILE


def _granian(settings: Settings, certificate: Certificate | None) -> Any:
    # Imported late: no other command needs it.
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415 -- see above
    from granian.http import HTTP1Settings  # noqa: PLC0415 -- see above
    from granian.log import LogLevels  # noqa: PLC0415 -- see above
    from granian.server import Server  # noqa: PLC0415 -- see above

    host, port = settings.address
    return Server(
        "sparekey.wiring.answering:asgi",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=_BODY_LIMIT),
        websockets=False,
        log_level=LogLevels(settings.log_level),
        log_dictconfig=logging_config(settings.log_level),
        ssl_cert=certificate.certificate if certificate else None,
        ssl_key=certificate.key if certificate else None,
        respawn_failed_workers=True,
        respawn_interval=_OVERLAP,
        workers_kill_timeout=10,
    )


def _verify_free(host: str, port: int) -> None:
    """Several processes may share the port, and two servers would too: the second one is refused here."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise Conflict(
                f"cannot listen on {host}:{port}: {error.strerror}", "stop what listens there, or give another --listen"
            ) from error


class _WatchedCertificate:
    """While it is open: looks every hour whether the certificate is to be renewed, or was replaced."""

    def __init__(self, directory: Path, settings: Settings, certificate: Certificate | None, server: Any) -> None:
        self._renew: Callable[[], object] = lambda: prepare_certificate(directory, settings, clock.now())
        self._certificate = certificate
        self._server = server
        self._end = threading.Event()

    def __enter__(self) -> None:
        if self._certificate is not None:
            # At SIGHUP, too: before the new processes read it.
            self._server.on_reload(self._look)
            self._seen = self._stamp()
            threading.Thread(target=self._watch, name="certificate", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._end.set()

    def _watch(self) -> None:
        while not self._end.wait(_RENEWAL_CHECK):
            if self._look():
                self._server.signal_handler_reload()

    def _look(self) -> bool:
        """Whether there is another certificate than before; a bad one is reported, and the old one is kept."""
        try:
            self._renew()
            before, self._seen = self._seen, self._stamp()
        except (KeystoreError, OSError) as error:
            _log.error("the certificate cannot be renewed", why=str(error))
            return False
        return self._seen != before

    def _stamp(self) -> int:
        return self._certificate.certificate.stat().st_mtime_ns if self._certificate else 0
