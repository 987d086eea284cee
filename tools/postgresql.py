"""A real PostgreSQL 17 of its own, in a temporary directory, on loopback: for the tests, the benches and the demo.

Rules: it listens on 127.0.0.1 and asks for a password; it ends with the process that started it, by process id and with
its children; fsync is on, because what it is there to show is durable commits.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from sparekey.clock import monotonic

PROGRAMS = Path("/usr/lib/postgresql/17/bin")
SETTINGS: Mapping[str, str] = {
    "shared_buffers": "32MB",
    "max_connections": "100",
    "fsync": "on",
    "synchronous_commit": "on",
    "logging_collector": "off",
    "log_timezone": "UTC",
}
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class PostgresqlError(RuntimeError):
    """PostgreSQL is missing or did not start or stop; the message says what to do or holds the end of its log."""


class PostgresqlServer:
    """One cluster. A context manager: `with PostgresqlServer() as server: url = server.create_database()`.

    Start it in a thread that lives as long as it should: the kernel ends it together with that thread.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        """`settings` go over SETTINGS. Nothing is started yet. Raises PostgresqlError if PostgreSQL 17 is missing."""
        if not (PROGRAMS / "postgres").exists():
            raise PostgresqlError("PostgreSQL 17 is missing: install the Debian package `postgresql-17`")
        self._settings = {**SETTINGS, **(settings or {})}
        self._password = secrets.token_hex(16)
        self._directory = Path(tempfile.mkdtemp(prefix="sparekey-postgresql-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Makes the cluster at the first call; returns when the server answers. Also restarts after `kill`."""
        if not (self._directory / "data").exists():
            try:
                self._make_cluster()
            except BaseException:
                self.close()
                raise
        self.port = self.port or _free_port()
        command = [str(PROGRAMS / "postgres"), "-D", str(self._directory / "data"), "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                _as_postgres(command, dies_with_us=True),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Ends it in order: open connections are broken off, what was committed stays."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL to the server *and* its children: a backend left alive would go on committing."""
        if self._process is None:
            return
        process, self._process = self._process, None
        children = _children(process.pid)
        process.kill()
        for child in children:
            _kill_if_alive(child)
        process.wait(STOP_SECONDS)

    def close(self) -> None:
        """Stops it and removes its directory."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database, password included."""
        return f"postgresql+psycopg://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def libpq_url(self, database: str = "postgres") -> str:
        """Return the URL for psycopg, psql and pgbench."""
        return self.url(database).replace("+psycopg", "", 1)

    def create_database(self, template: str = "template1") -> str:
        """Makes a fresh database as a copy of `template` and returns its URL."""
        self._made += 1
        name = f"sparekey_{self._made}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, template)
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Removes a database that `create_database` made, and breaks off who is still connected to it."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)"), url.rpartition("/")[2])

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    def _make_cluster(self) -> None:
        password_file = self._directory / "password"
        password_file.write_text(self._password)
        (self._directory / "socket").mkdir()
        if os.geteuid() == 0:
            for path in (self._directory, password_file, self._directory / "socket"):
                shutil.chown(path, "postgres", "postgres")
        command = [str(PROGRAMS / "initdb"), "-D", str(self._directory / "data"), "--username=postgres"]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C.UTF-8"]
        # --no-sync is about initdb's own files, which need not survive a power cut
        command += ["--no-sync", "--no-instructions"]
        # A random password of 128 bits needs no slow hash, and each connection would pay for it on both sides.
        command += ["--set=scram_iterations=1"]
        done = subprocess.run(_as_postgres(command), capture_output=True, text=True, check=False, cwd=self._directory)
        if done.returncode != 0:
            raise PostgresqlError(f"initdb failed: {done.stderr.strip()}")
        configuration = self._settings | {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._directory / "socket"),
        }
        with (self._directory / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in configuration.items())

    def _wait_until_it_answers(self) -> None:
        deadline = monotonic() + START_SECONDS
        while True:
            assert self._process is not None
            try:
                psycopg.connect(self.libpq_url(), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or monotonic() > deadline:
                    self.kill()
                    raise PostgresqlError(f"PostgreSQL did not start: {self._end_of_log()}") from error
                # not a synchronisation: the pause between two tries while the server starts
                _pause(self._process, 0.05)
            else:
                return

    def _end_of_log(self) -> str:
        return self._log.read_text(errors="replace")[-2000:] if self._log.exists() else "(no log)"

    def _execute(self, statement: sql.SQL, *names: str) -> None:
        with psycopg.connect(self.libpq_url(), autocommit=True) as connection:
            connection.execute(statement.format(*(sql.Identifier(name) for name in names)))


def _as_postgres(command: list[str], *, dies_with_us: bool = False) -> list[str]:
    """PostgreSQL refuses to run as root; setpriv becomes its user without a process in between."""
    options = ["--pdeathsig=INT"] if dies_with_us else []
    if os.geteuid() == 0:
        options += ["--reuid=postgres", "--regid=postgres", "--init-groups"]
    return ["setpriv", *options, "--", *command] if options else command


def _pause(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _kill_if_alive(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
