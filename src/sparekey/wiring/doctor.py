"""Checks of everything that a server needs, with a solution for each problem."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from sparekey import clock
from sparekey.app.audit_log.forwarding import CURSOR
from sparekey.app.audit_log.sequencer import find_newest
from sparekey.app.instance import DEFAULT_POLICY, Instance
from sparekey.app.policies.policies import list_policies
from sparekey.app.ports import KeyPurpose, KeystoreError
from sparekey.core.audit_log.notices import utc
from sparekey.core.permissions import Actor
from sparekey.core.plurals import counted
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.sign_in.pins import DECOY
from sparekey.durations import DAY_SECONDS
from sparekey.keystore import local_ca
from sparekey.server.settings import Settings, SettingsError, read_settings
from sparekey.storage.audit_log import export as audit_export
from sparekey.storage.audit_log import outbox
from sparekey.wiring.server import KEYS, ca_file, certificate_names, checkpoint_store, incidental_names, open_instance
from sparekey.wiring.serving_certificate import certificate_file, prepare_certificate
from sparekey.wiring.watching import Progress, check_state

_SOON: Final = 14  # days
_PATIENCE: Final = 900  # seconds that a notice may wait
_MOST_BEHIND: Final = 60  # batches: a minute of a busy server


@dataclass(frozen=True)
class Examined:
    what: str
    ok: bool
    words: str


def examine(directory: Path, environment: Mapping[str, str], now: int, deep: Progress | None = None) -> list[Examined]:
    """Return one line for each check. A check is left out if it needs something that is broken.

    `deep`: also compare every object in the database with the audit log, and report the progress.
    """
    try:
        settings = read_settings(directory, environment)
    except SettingsError as error:
        return [Examined("settings", False, str(error))]
    found = [Examined("settings", True, f"listen on {settings.listen}, tls {settings.tls}")]
    found.append(_tried("certificate", lambda: _certificate(directory, settings, now)))
    found.append(_tried("CA", lambda: _left(ca_file(directory, settings), now)))
    found.append(_tried("refusals", lambda: compare_floor(settings)))
    try:
        instance = open_instance(directory, settings)
    except (RuntimeError, ValueError, OSError, SQLAlchemyError) as error:
        return [*found, Examined("database and keys", False, _words(error))]
    try:
        found.append(Examined("database and keys", True, f"{instance.database.engine.dialect.name}, keys fit"))
        found.append(_tried("default policy", lambda: _default_policy(instance)))
        found.append(_tried("audit", lambda: _audit(instance, directory)))
        found.append(_tried("notices", lambda: _notices(instance, settings, now)))
        found.append(_tried("syslog", lambda: _forwarding(instance, settings)))
        if deep is not None:
            found += _state(instance, deep)
    finally:
        instance.database.close()
    return found


def _state(instance: Instance, progress: Progress) -> list[Examined]:
    """Return a line for each difference between the database and the audit log, or one line if there is none."""
    try:
        check = check_state(instance, clock.now, progress)
    except (RuntimeError, ValueError, OSError, SQLAlchemyError) as error:
        return [Examined("state", False, _words(error))]
    if check.problems:
        return [Examined("state", False, problem) for problem in check.problems]
    objects, events = counted(check.objects, "object"), counted(check.events, "event")
    return [Examined("state", True, f"{objects} as the audit log says ({events})")]


def _tried(what: str, look: Callable[[], str]) -> Examined:
    try:
        return Examined(what, True, look())
    except (RuntimeError, ValueError, OSError, SQLAlchemyError) as error:
        return Examined(what, False, _words(error))


def _words(error: Exception) -> str:
    # SQLAlchemy's own text would contain the statement
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _certificate(directory: Path, settings: Settings, now: int) -> str:
    if settings.tls == "off":
        return "no TLS: only for a proxy or a benchmark on this machine"
    if settings.tls == "own":
        prepare_certificate(directory, settings, now)
    else:
        local_ca.verify_scope(directory / KEYS, certificate_names(settings) - incidental_names(settings))
    return _left(certificate_file(directory, settings), now)


def _left(path: Path, now: int) -> str:
    days = (local_ca.not_after(path) - now) // DAY_SECONDS
    if days < _SOON:
        raise KeystoreError(
            f"{path} expires in {counted(days, 'day')}; restart the server to renew it, or install a new one"
        )
    return f"valid for {counted(days, 'day')}"


def compare_floor(settings: Settings) -> str:
    """Compare the floor with the hash of a PIN, the shortest of three: other programs only make it longer (S07).

    Raises RuntimeError if the floor is shorter.
    """
    taken = []
    for _ in range(3):
        begun = clock.monotonic()
        DECOY.matches("0000")
        taken.append(clock.monotonic() - begun)
    hashed, floor = math.ceil(min(taken) * 1000), settings.refusal_floor_ms
    if hashed >= floor:
        raise RuntimeError(
            f"the hash of a PIN takes {hashed} ms, so refusals are later than refusal_floor_ms = {floor}; "
            f"set it to {2 * hashed} or more"
        )
    return f"after {floor} ms for each PIN that the text may begin with, and its hash takes {hashed} ms"


def _default_policy(instance: Instance) -> str:
    names = [
        view.name for view in list_policies(instance, Actor.of_system("system"), PolicyKind.OFFLINE) if view.is_default
    ]
    if len(names) != 1:
        raise RuntimeError(f"there are {len(names)} default policies, so every sign-in is refused; restore a backup")
    return names[0] if names[0] != DEFAULT_POLICY else "present"


def _audit(instance: Instance, directory: Path) -> str:
    newest, kept = find_newest(instance.database), checkpoint_store(directory).newest()
    if kept is not None:
        kept.verify(instance.keystore.public_key(KeyPurpose.CHECKPOINT))
        if newest is None or newest.number < kept.number:
            raise RuntimeError("the audit log is older than the checkpoint on this machine; run: sparekey audit verify")
    if newest is None:
        return "no event is chained yet; start the server"
    return f"batch {newest.number}, {counted(newest.total, 'event')}"


def _notices(instance: Instance, settings: Settings, now: int) -> str:
    if not settings.smtp_host:
        return "no mail server is configured (smtp_host), so no notices are sent"
    with instance.database.read() as connection:
        waiting = outbox.count_waiting(connection)
    last_error = f"; last error: {waiting.last_error}" if waiting.last_error else ""
    if waiting.since is not None and waiting.since < now - _PATIENCE:
        since = utc(waiting.since)
        notices = counted(waiting.messages, "notice")
        raise RuntimeError(f"{notices} queued since {since}{last_error}; check {settings.smtp_host}")
    given_up = f"; {waiting.given_up} dropped{last_error}" if waiting.given_up else ""
    return f"{counted(waiting.messages, 'notice')} queued{given_up}"


def _forwarding(instance: Instance, settings: Settings) -> str:
    if not settings.syslog:
        return "no collector is configured (syslog), so no events are sent"
    with instance.database.read() as connection:
        batch = audit_export.find_cursor(connection, CURSOR) or 0
    newest = find_newest(instance.database)
    behind = newest.number - batch if newest else 0
    if behind > _MOST_BEHIND:
        batches = counted(behind, "batch", "batches")
        raise RuntimeError(f"{settings.syslog} has not received {batches}; check it and syslog_ca")
    return f"sent up to batch {batch}"
