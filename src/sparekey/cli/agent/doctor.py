"""`sparekey-agent doctor`: what stands between this device and a sign-in, each with what to do."""

import argparse
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparekey.agent.contact.contact import CONTACT_PATIENCE, take_word, withhold_if_revoked
from sparekey.agent.ground.ports import Distance, NotReached, Refused, StoreUnreadable
from sparekey.agent.platform.configuration import CONFIGURATION, BadConfiguration, Configuration, load_configuration
from sparekey.agent.store.device import Device
from sparekey.agent.store.pin_lock import any_locked
from sparekey.agent.store.unit_files import UnitDamaged
from sparekey.agent.tpm.protection import describe_protection
from sparekey.cli.agent.arguments import Commands
from sparekey.cli.agent.checks import Finding, logins_ask, look_around, of_socket
from sparekey.cli.agent.commands import opened, socket_path
from sparekey.cli.agent.output import FAILED, HOW_AFTER_REVOKING, HOW_TO_ENROLL, Output, at
from sparekey.cli.agent.remote import Daemon, Failed, find_daemon
from sparekey.cli.agent.status_words import Report
from sparekey.core.plurals import counted
from sparekey.wire.local_socket import Kind, Tag, frame

_ADVICE = {
    Distance.OFFLINE: "check network and name service",
    Distance.SERVER_DOWN: "check that it runs, and the firewall",
    Distance.TLS: "what answers is not the enrolled server; if its CA was renewed, enrol anew. Check this clock too",
}
_GOES_ON = "; meanwhile sign-ins go on with offline data, as far as policy allows"


def add_commands(to: Commands) -> None:
    """That of this module."""
    to.add("doctor", doctor, "Look for what is wrong, and say what to do.")


def doctor(options: argparse.Namespace, output: Output) -> int:
    """Looks at configuration, daemon, store, clock, server, TPM, units and this computer's logins; 1 if anything is
    wrong."""
    findings = [*_of_configuration(options), *_of_agent(options), *look_around(options.configuration)]
    words = "\n".join(f"{'ok  ' if each.ok else 'FAIL'} {each.name}: {each.words}" for each in findings)
    output.data({"findings": [vars(each) for each in findings]}, words)
    return 0 if all(each.ok for each in findings) else FAILED


def _of_configuration(options: argparse.Namespace) -> Iterator[Finding]:
    """What else is looked at, is so by this configuration; by none where it cannot be used."""
    options.configuration = Configuration()
    try:
        options.configuration = load_configuration(options.config)
    except BadConfiguration as error:
        yield Finding("configuration", False, f"{error}; the agent does not start with it")
        return
    there = options.config or CONFIGURATION
    words = str(there) if there.exists() else f"as shipped; there is no {there}"
    if _changed_since(there, socket_path(options)):
        words += "; changed since the agent started, which goes on by what it read: systemctl restart sparekey-agent"
    yield Finding("configuration", True, words)


def _changed_since(configuration: Path, listening: Path) -> bool:
    """As the wall clock has it, which may have been set meanwhile; the daemon makes its socket at each start."""
    try:
        return configuration.stat().st_ctime > listening.stat().st_ctime
    except OSError:
        return False


def _of_agent(options: argparse.Namespace) -> Iterator[Finding]:
    path = socket_path(options)
    try:
        daemon = find_daemon(path)
    except Failed as error:
        yield Finding("daemon", False, str(error))
        return
    if daemon is None:
        needed = logins_ask(options.configuration)
        words = "and logins that ask for a passcode are refused: systemctl start sparekey-agent" if needed else "yet"
        yield Finding("daemon", not needed, f"nothing listens on {path} {words}")
        yield from _of_store(options)
        return
    yield Finding("daemon", True, "running, and root's or your own")
    yield of_socket(path)
    try:
        yield from _by_daemon(daemon, _ask_server(path))
    except Failed as error:
        yield Finding("store", False, _with_advice(error))
    finally:
        daemon.close()


@dataclass(frozen=True)
class _Asked:
    """What came of it that the daemon was to ask its server now."""

    answers: bool = False
    trouble: str = ""


def _ask_server(path: Path) -> _Asked:
    """On a connection of its own: a contact may go on for minutes, and its first word is enough. Only root's is
    begun."""
    daemon = find_daemon(path)
    if daemon is None:
        return _Asked()
    with contextlib.closing(daemon):
        try:
            daemon.ask(frame(Kind.SYNC))
        except Failed as error:
            return _Asked(trouble=str(error)) if error.word == "not-refilled" else _Asked()
        except TimeoutError:
            return _Asked()
    return _Asked(answers=True)


def _by_daemon(daemon: Daemon, asked: _Asked) -> Iterator[Finding]:
    """What the daemon says of the store that it has open."""
    report = json.loads(daemon.ask(frame(Kind.STATUS)).text(Tag.REPORT))
    yield Finding("store", True, f"device {report['name']}")
    clock = "behind or past what was vouched for: set it right" if report["clock_wrong"] else "agrees with the server"
    yield Finding("clock", not report["clock_wrong"], clock)
    yield _server_by_daemon(report, asked)
    if "protection" in report:
        protection = report["protection"]
        words = "; ".join(filter(None, (protection["words"], protection["advice"])))
        yield Finding("keys", not protection["trouble"], words)


def _server_by_daemon(report: Report, asked: _Asked) -> Finding:
    if report.get("revoked"):
        return Finding("server", False, HOW_AFTER_REVOKING)
    if asked.answers:
        return Finding("server", True, "answers")
    if trouble := asked.trouble or report["contact_trouble"]:
        words = f"the last contact failed: {trouble}; when that is mended: sparekey-agent sync"
        some = any(user["days_until"] or user["emergency_codes"] for user in report["users"])
        return Finding("server", False, words + (_GOES_ON if some else ""))
    last = report["last_contact"]
    return Finding("server", bool(last), f"last contact {at(last) if last else 'never'}; root's doctor asks it anew")


def _of_store(options: argparse.Namespace) -> Iterator[Finding]:
    try:
        with opened(options, wait=5) as device:
            yield Finding("store", True, f"device {device.state.enrolment.name}")
            yield _of_clock(device)
            yield _of_units(device)
            yield _of_server(device)
            yield _of_keys(device)
    except StoreUnreadable as error:
        yield Finding("store", False, _with_advice(error))


def _with_advice(error: StoreUnreadable | Failed) -> str:
    return f"{error}: {HOW_TO_ENROLL}" if error.word == "not-enrolled" else str(error)


def _of_keys(device: Device) -> Finding:
    protection = describe_protection(device.store.keys, days_locked=any_locked(device.state))
    words = "; ".join(filter(None, (protection.words, protection.advice)))
    return Finding("keys", not protection.trouble, words)


def _of_clock(device: Device) -> Finding:
    judged = device.store.trusted_time()
    if judged.set_back:
        return Finding("clock", False, "behind what the server or a tokencode vouched for: set it right")
    if judged.suspect:
        return Finding("clock", False, "past all offline data: set it right, or connect to the network")
    return Finding("clock", True, "agrees with the last contact")


def _of_units(device: Device) -> Finding:
    damaged = 0
    entries = [entry for user in device.state.users for entry in user.units]
    for entry in entries:
        try:
            device.store.read_unit(entry, range(entry.first, entry.last + 1))
        except UnitDamaged:
            damaged += 1
    if damaged:
        words = f"{damaged} of {counted(len(entries), 'unit')} damaged: run sparekey-agent sync"
        return Finding("offline data", False, words)
    return Finding("offline data", True, counted(len(entries), "unit"))


def _of_server(device: Device) -> Finding:
    try:
        with device.connect() as server:
            server.allow(CONTACT_PATIENCE)
            take_word(device, server)
    except NotReached as error:
        some = any(user.current_units for user in device.state.users)
        return Finding("server", False, f"{error}; {_ADVICE[error.distance]}" + (_GOES_ON if some else ""))
    except Refused as error:
        withhold_if_revoked(device, error)
        return Finding("server", False, HOW_AFTER_REVOKING if device.state.revoked else str(error))
    return Finding("server", True, "answers")
