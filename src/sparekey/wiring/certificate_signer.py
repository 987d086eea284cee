"""A process of its own that holds the CA's key and renews the server's certificate, so that no process that answers
requests can read the key.

Rules:
- The key comes over a descriptor (`serve --ca-key-stdin`) and is in no file that the server's user can read.
- The process shuts its memory to other processes of its user before it reads the key.
- It takes no names: it renews the certificate for the names in the settings, within the CA's scope.
"""

import json
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from sparekey import clock
from sparekey.app.ports import KeystoreError
from sparekey.keystore import local_ca
from sparekey.keystore.own_memory import shut_memory
from sparekey.secret import Secret
from sparekey.server.settings import SettingsError, read_settings
from sparekey.wiring.server import KEYS, certificate_names, incidental_names

_LARGEST: Final = 16_384  # bytes of a key, and of an answer
_PATIENCE: Final = 60.0  # seconds


class CertificateSigner:
    """The process, as the server sees it. Use it as a context: it ends with the block."""

    def __init__(self, directory: Path, key: int) -> None:
        """Start it with the descriptor of the key, and put an empty file in the descriptor's place.

        Call this before threads start, because it forks. Safe without a new program: nothing has read the key yet.
        """
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(_PATIENCE)
        self._process = os.fork()
        if self._process == 0:
            self._ours.close()
            _become_signer(directory, key, theirs)
        theirs.close()
        # No process that starts later has the key's file open.
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(nothing, key)
        os.close(nothing)

    def __enter__(self) -> "CertificateSigner":
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        with suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGTERM)
        os.waitpid(self._process, 0)

    def renew(self) -> None:
        """Renew the certificate if that is due. Raises KeystoreError."""
        try:
            self._ours.sendall(b"\n")
            answer = self._ours.recv(_LARGEST)
        except OSError:
            answer = b""
        if not answer:
            raise KeystoreError("the process that holds the CA's key has ended; restart the server")
        error = json.loads(answer)
        if error:
            raise KeystoreError(str(error))


def _become_signer(directory: Path, key: int, asked: socket.socket) -> NoReturn:
    """Answer the server until it has gone. Signals to the server's group (Ctrl-C, a reload) do not end it."""
    code = 1
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        run(directory, key, asked)
        code = 0
    finally:
        os._exit(code)


def run(directory: Path, key: int, asked: socket.socket) -> None:
    """Read the key, then renew the certificate each time that the server asks, until it has gone."""
    shut_memory()
    with os.fdopen(key, "rb") as file:
        pem = Secret(file.read(_LARGEST))
    while asked.recv(1):
        asked.sendall(json.dumps(_renewed(directory, pem)).encode())


def _renewed(directory: Path, pem: Secret[bytes]) -> str:
    """Renew the certificate if that is due. Return the error, or ""."""
    try:
        settings = read_settings(directory, os.environ)
        names, incidental = certificate_names(settings), incidental_names(settings)
        local_ca.renew_server_certificate(directory / KEYS, names, clock.now(), incidental, pem)
    except (KeystoreError, SettingsError) as error:
        return str(error)
    return ""
