"""Assembles the server: creates a new one, opens one for commands, and upgrades one.

Rules: a new server is created completely or not at all; no request is answered before settings, keys, tables and data
keys have been checked (S66).
"""

import os
import shutil
import socket
import stat
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from sparekey import clock
from sparekey.app.instance import Instance
from sparekey.app.row_seals import protect
from sparekey.app.server.initialise import initialise
from sparekey.app.server.upgrade import Upgrade, upgrade_database
from sparekey.app.vault import Vault
from sparekey.core.errors import BadInput, Conflict
from sparekey.core.permissions import Actor
from sparekey.keystore import local_ca
from sparekey.keystore.ca_scope import CaScope, is_domain_or_network
from sparekey.keystore.checkpoint_file import CheckpointFile
from sparekey.keystore.file import FileKeystore
from sparekey.keystore.seal_mark import SealMarkFile
from sparekey.keystore.service_user import do_about_owner
from sparekey.secret import Secret
from sparekey.server.settings import FILE, SETTINGS, Settings, read_value
from sparekey.storage import schema
from sparekey.storage.engine import open_engine
from sparekey.storage.schema import SchemaError
from sparekey.storage.seal_sides import SEALED_SINCE
from sparekey.storage.unit_of_work import Database
from sparekey.wiring.sealing_workers import SealingWorkers, usable_cores

KEYS: Final = "keys"
CHECKPOINT: Final = "checkpoint"
_OTHER_CONNECTIONS: Final = 12  # beside the sign-ins: sync, units, sequencer


@dataclass(frozen=True)
class NewServer:
    """The values that a person chooses for a new server. An empty value means the default."""

    database: Secret[str]
    listen: str = ""
    names: tuple[str, ...] = ()
    ca_scope: tuple[str, ...] = ()  # domains and networks of the CA, beside those around the names


def create_server(directory: Path, wish: NewServer, actor: Actor, now: int) -> Settings:
    """Make a server in a data directory: keys, CA, certificate, database, and last its settings.

    Raises BadInput, Conflict, SettingsError, KeystoreError, SchemaError or the database's own error. Everything that
    was made until then is removed again.
    """
    chosen = {"database": wish.database.reveal(), "listen": wish.listen, "names": list(wish.names)}
    values = {name: read_value(SETTINGS[name], value, name) for name, value in chosen.items() if value}
    settings = Settings(**values)
    wrong = [each for each in wish.ca_scope if not is_domain_or_network(each)]
    if wrong:
        raise BadInput(
            f"{wrong[0]!r} is neither a domain nor a network", "give for example example.org or 192.0.2.0/24"
        )
    with ExitStack() as undo:
        _make_directory(directory, undo)
        _make_keys(directory / KEYS, settings, wish.ca_scope, now, undo)
        _make_database(directory, settings, actor, now, undo)
        path = directory / FILE
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        undo.callback(path.unlink, missing_ok=True)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_as_toml(settings))
            file.flush()
            os.fsync(file.fileno())
        undo.pop_all()
    return settings


def open_instance(directory: Path, settings: Settings) -> Instance:
    """Open the server of a data directory for use cases. The caller must close its `database`.

    Raises SchemaError, KeystoreError, VaultError, DatabaseUrlError or DatabaseFileError.
    """
    database = _open_database(directory, settings)
    try:
        schema.verify_current(database.engine)
        keystore = FileKeystore(directory / KEYS)
        _verify_sealed(directory)
        with database.read() as connection:
            vault = Vault.load(connection, keystore)
        protect(database, vault, clock.now)
        workers = SealingWorkers(sealing_threads(settings), usable_cores())
        return Instance(
            name=socket.gethostname(),
            database=database,
            keystore=keystore,
            vault=vault,
            ca_certificate=local_ca.read_ca_certificate(ca_file(directory, settings)),
            run=workers.map,
            source_prefixes=settings.source_prefixes,
            user_signed_in=workers.user_signed_in,
        )
    except BaseException:
        database.close()
        raise


def upgrade_server(directory: Path, settings: Settings, actor: Actor, now: int) -> Upgrade:
    """Upgrade the database of an existing server to the revision of this version.

    Raises SchemaError, KeystoreError, VaultError, DatabaseUrlError, DatabaseFileError or the database's own error; then
    nothing was changed.
    """
    database = _open_database(directory, settings)
    try:
        keys = directory / KEYS
        return upgrade_database(database, FileKeystore(keys), SealMarkFile(keys), actor, now)
    finally:
        database.close()


def checkpoint_store(directory: Path) -> CheckpointFile:
    """Return the store of the newest audit checkpoint on this machine: beside the keys, not in the database."""
    return CheckpointFile(directory / CHECKPOINT)


def ca_file(directory: Path, settings: Settings) -> Path:
    """Return the path of the certificate of the CA that devices pin."""
    return Path(settings.ca) if settings.tls == "own" else directory / KEYS / local_ca.CA_FILE


def ca_scope_of(ca: Path) -> str:
    """Return the names and networks for which the CA in this file can issue certificates. Raises KeystoreError."""
    return str(local_ca.read_scope(ca) or "all names")


def sealing_threads(settings: Settings) -> int:
    """Return the number of threads that seal records in one process."""
    return settings.sealing_workers or os.cpu_count() or 1


def certificate_names(settings: Settings) -> frozenset[str]:
    """Return the names and addresses in the server's certificate."""
    host = settings.address[0]
    listening = () if host in ("0.0.0.0", "::") else (host,)  # noqa: S104 -- compared, not bound
    own = tuple(name for name in (socket.gethostname(),) if name)
    return frozenset((*settings.names, *listening, *own, "localhost", "127.0.0.1", "::1"))


def incidental_names(settings: Settings) -> frozenset[str]:
    """Return those of the names that no setting has: the certificate may lack them."""
    return certificate_names(settings) - {*settings.names, settings.address[0]}


def _verify_sealed(directory: Path) -> None:
    """Raise SchemaError unless the mark beside the keys says that the rows are sealed as this version needs it."""
    if SealMarkFile(directory / KEYS).sealed_at() != SEALED_SINCE:
        raise SchemaError("the rows of the database are not sealed as this version needs it; run: sparekey upgrade")


def _open_database(directory: Path, settings: Settings) -> Database:
    url = settings.database_url(directory)
    return Database(open_engine(url, connections=settings.sign_in_threads + _OTHER_CONNECTIONS))


def _make_directory(directory: Path, undo: ExitStack) -> None:
    taken = [name for name in (FILE, KEYS) if (directory / name).exists()]
    if taken:
        raise Conflict(
            f"{directory} holds a server already ({', '.join(taken)})",
            "name another directory with --data; or, if that server is not in use yet, stop it, delete the contents of "
            f"{directory} and run the command again",
        )
    if directory.exists():
        if not directory.is_dir():
            raise BadInput(f"{directory} is no directory", "name another one with --data")
        if directory.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise BadInput(f"others may put files into {directory}", f"run: chmod 700 {directory}")
        if directory.stat().st_uid != os.geteuid():
            # Keys and database would belong to root, and the service could not read them.
            raise BadInput(
                f"{directory} belongs to another user, who could not use the server in it",
                do_about_owner(directory, directory, "init ..."),
            )
        return
    try:
        directory.mkdir(mode=0o700)
    except OSError as error:
        raise BadInput(
            f"cannot make {directory}: {error.strerror}", "make its parent first, or name another --data"
        ) from error
    undo.callback(shutil.rmtree, directory, ignore_errors=True)


def _make_keys(keys: Path, settings: Settings, more: Iterable[str], now: int, undo: ExitStack) -> None:
    FileKeystore.create(keys)
    undo.callback(shutil.rmtree, keys, ignore_errors=True)
    scope = CaScope.around(certificate_names(settings), more)
    local_ca.create_ca(keys, socket.gethostname(), now, scope)
    local_ca.renew_server_certificate(keys, certificate_names(settings), now, incidental_names(settings))


def _make_database(directory: Path, settings: Settings, actor: Actor, now: int, undo: ExitStack) -> None:
    url = settings.database_url(directory)
    _undo_database_file(url, undo)
    database = _open_database(directory, settings)
    try:
        initialise(database, FileKeystore(directory / KEYS), actor, now)
        SealMarkFile(directory / KEYS).keep(SEALED_SINCE)
    finally:
        database.close()


def _undo_database_file(url: str, undo: ExitStack) -> None:
    """Remove an SQLite file on failure if it did not exist before."""
    if not url.startswith("sqlite"):
        return
    name = make_url(url).database
    if not name or name == ":memory:":
        raise BadInput("a server cannot live in memory", "give the path of a file: sqlite:////PATH")
    for suffix in ("", "-wal", "-shm"):
        path = Path(name + suffix)
        if not path.exists():
            undo.callback(path.unlink, missing_ok=True)


def _as_toml(settings: Settings) -> str:
    lines = [
        "# Settings of this Sparekey server; each one is explained in settings.md, which lies in docs/ or, where a",
        "# package brought it, in /usr/share/doc/sparekey-server.",
        "",
    ]
    lines += [f"listen = {_toml_text(settings.listen)}"]
    if settings.names:
        lines.append(f"names = [{', '.join(map(_toml_text, settings.names))}]")
    if settings.database:
        lines.append(f"database = {_toml_text(settings.database.reveal())}")
    return "\n".join(lines) + "\n"


def _toml_text(text: str) -> str:
    # A basic string of TOML has the escapes of JSON, except for the slash.
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
