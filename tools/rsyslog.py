"""A real rsyslog that takes events over TLS on loopback, and what it understood of each.

Rules: it runs in the foreground, under its own configuration and in a directory of its own, and ends with who started
it, by process id; the system's rsyslog is not touched.
"""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sparekey import clock
from sparekey.keystore import local_ca
from sparekey.keystore.ca_scope import CaScope

PROGRAM: Final = Path("/usr/sbin/rsyslogd")
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.01
_LISTEN: Final = "0A"  # the state in /proc/net/tcp
_FIELDS: Final = ("pri", "protocol-version", "hostname", "app-name", "procid", "msgid", "structured-data", "msg")


class RsyslogError(RuntimeError):
    """rsyslog is missing or did not start; the message says what to do or holds the end of its log."""


class Rsyslog:
    """One collector; may be stopped and started again, and goes on in the same file. A context manager."""

    def __init__(self, directory: Path) -> None:
        """Nothing is started yet. Raises RsyslogError if the Debian packages are missing."""
        if not PROGRAM.exists() or not any(Path("/usr/lib").glob("*/rsyslog/lmnsd_ossl.so")):
            raise RsyslogError("rsyslog is missing: install the Debian packages `rsyslog` and `rsyslog-openssl`")
        self._directory = directory
        self._keys = directory / "rsyslog-keys"
        self._keys.mkdir(mode=0o700)
        local_ca.create_ca(self._keys, "collector", clock.now(), CaScope.around(()))
        local_ca.renew_server_certificate(self._keys, ["localhost", "127.0.0.1"], clock.now())
        self.port = _free_port()
        self._messages = directory / "messages"
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "rsyslog.conf").write_text(self._configuration())

    @property
    def ca_file(self) -> Path:
        """Whom a sender has to trust."""
        return self._keys / local_ca.CA_FILE

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Return once it listens and has its file of messages open. Raises RsyslogError."""
        old_size = self._size()
        with (self._directory / "rsyslog.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-n", "-f", self._directory / "rsyslog.conf", "-i", self._directory / "rsyslog.pid"],
                stdout=log,
                stderr=log,
            )
        end = clock.monotonic() + _START_SECONDS
        # rsyslog 8.2504 may lose messages that it has confirmed if its first connection ends while it opens the file
        # of messages. Its own message about the start opens the file before any connection.
        while self._size() == old_size or not self._listens():
            if self._process.poll() is not None or clock.monotonic() > end:
                self.stop()
                words = (self._directory / "rsyslog.log").read_text()[-2_000:]
                raise RsyslogError(f"rsyslog did not start: {words}")
            time.sleep(_LOOK_SECONDS)

    def stop(self, *, kill: bool = False) -> None:
        """In order, or at once. Does nothing where it does not run."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def messages(self) -> Sequence[Mapping[str, Any]]:
        """Return the messages written so far: their fields by rsyslog's names, `msg` read as JSON."""
        text = self._messages.read_text() if self._messages.exists() else ""
        lines = text.split("\n")[:-1]  # the last one may not be whole yet
        found = [json.loads(line) for line in lines]
        return [each | {"msg": json.loads(each["msg"])} for each in found if each["app-name"] == "sparekey"]

    def _size(self) -> int:
        return self._messages.stat().st_size if self._messages.exists() else 0

    def _listens(self) -> bool:
        """Ask the kernel, because a connection would be rsyslog's first one."""
        sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return any(local.endswith(f":{self.port:04X}") and state == _LISTEN for _, local, _, state, *_ in sockets)

    def _configuration(self) -> str:
        fields = ' constant(value=",") '.join(f'property(name="{name}" format="jsonf")' for name in _FIELDS)
        return f"""
global(workDirectory="{self._directory}" maxMessageSize="8k" processInternalMessages="on"
       defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{self.ca_file}"
       defaultNetstreamDriverCertFile="{self._keys / local_ca.SERVER_FILE}"
       defaultNetstreamDriverKeyFile="{self._keys / local_ca.SERVER_FILE}")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="fields" type="list") {{
  constant(value="{{") {fields} constant(value=",")
  property(name="timereported" dateFormat="rfc3339" format="jsonf") constant(value="}}\\n")
}}
input(type="imtcp" port="{self.port}" address="127.0.0.1")
action(type="omfile" file="{self._messages}" template="fields")
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
