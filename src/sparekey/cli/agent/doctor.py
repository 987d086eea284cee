"""The command `sparekey-agent doctor`: looks for obstacles to a sign-in, each with what to do."""

import argparse
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparekey.agent.contact.contact import CONTACT_PATIENCE, sync, withhold_if_revoked
from sparekey.agent.ground.ports import Distance, NotReached, Refused, StoreUnreadable
from sparekey.agent.platform.configuration import CONFIGURATION, BadConfiguration, Configuration, load_configuration
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.pin_lock import any_locked
from sparekey.agent.store.unit_files import UnitDamaged
from sparekey.agent.tpm.protection import describe_protection
from sparekey.cli.agent.arguments import Commands
from sparekey.cli.agent.checks import CheckResult, logins_ask, look_around, of_socket
from sparekey.cli.agent.commands import opened, socket_path
from sparekey.cli.agent.output import FAILED, HOW_AFTER_REVOKING, HOW_TO_ENROLL, Output, at
from sparekey.cli.agent.remote import Daemon, Failed, find_daemon
from sparekey.cli.agent.status_words import Report
from sparekey.core.plurals import counted
from sparekey.wire.local_socket import FrameKind, Tag, frame

_ADVICE = {
    Distance.OFFLINE: "check the network and the name service",
    Distance.SERVER_DOWN: "check that it runs, and check the firewall",
    Distance.TLS: "another server answers. If the CA was renewed, enrol again. Also check the clock of this computer",
}
_GOES_ON = "; until then, sign-ins use offline data as far as the policy allows"


def add_commands(to: Commands) -> None:
    """Add the command of this module."""
    to.add("doctor", doctor, "Find problems with sign-ins on this computer, and show what to do.")


def doctor(options: argparse.Namespace, output: Output) -> int:
    """Check configuration, daemon, store, clock, server, TPM, units and the logins of this computer. Return 1 if
    anything is wrong."""
    findings = [*_of_configuration(options), *_of_agent(options), *look_around(options.configuration)]
    message = "\n".join(f"{'ok  ' if finding.ok else 'FAIL'} {finding.name}: {finding.words}" for finding in findings)
    output.data({"findings": [vars(finding) for finding in findings]}, message)
    return 0 if all(finding.ok for finding in findings) else FAILED


def _of_configuration(options: argparse.Namespace) -> Iterator[CheckResult]:
    """Check the configuration. The other checks use it, or the default if it cannot be used."""
    options.configuration = Configuration()
    try:
        options.configuration = load_configuration(options.config)
    except BadConfiguration as error:
        yield CheckResult("configuration", False, f"{error}; the agent does not start with it")
        return
    there = options.config or CONFIGURATION
    message = str(there) if there.exists() else f"the defaults; {there} does not exist"
    if _changed_since(there, socket_path(options)):
        message += "; changed after the agent started. To apply it, run `systemctl restart sparekey-agent`"
    yield CheckResult("configuration", True, message)


def _changed_since(configuration: Path, listening: Path) -> bool:
    """Return True if the configuration changed after the start of the daemon, which makes its socket. The wall clock
    decides, so a clock that was set can mislead."""
    try:
        return configuration.stat().st_ctime > listening.stat().st_ctime
    except OSError:
        return False


def _of_agent(options: argparse.Namespace) -> Iterator[CheckResult]:
    path = socket_path(options)
    try:
        daemon = find_daemon(path)
    except Failed as error:
        yield CheckResult("daemon", False, str(error))
        return
    if daemon is None:
        needed = logins_ask(options.configuration)
        message = "so logins with a passcode are refused; run `systemctl start sparekey-agent`" if needed else "yet"
        yield CheckResult("daemon", not needed, f"nothing listens on {path} {message}")
        yield from _of_store(options)
        return
    yield CheckResult("daemon", True, "running, as root or as your user")
    yield of_socket(path)
    try:
        yield from _by_daemon(daemon, _ask_server(path))
    except Failed as error:
        yield CheckResult("store", False, _with_advice(error))
    finally:
        daemon.close()


@dataclass(frozen=True)
class _ContactResult:
    """The result of a request to the daemon to contact its server now."""

    answers: bool = False
    trouble: str = ""


def _ask_server(path: Path) -> _ContactResult:
    """Ask the daemon to contact its server, on a connection of its own: a contact can take minutes, and its first reply
    is enough. Only root can ask for one."""
    daemon = find_daemon(path)
    if daemon is None:
        return _ContactResult()
    with contextlib.closing(daemon):
        try:
            daemon.ask(frame(FrameKind.SYNC))
        except Failed as error:
            return _ContactResult(trouble=str(error)) if error.word == "not-refilled" else _ContactResult()
        except TimeoutError:
            return _ContactResult()
    return _ContactResult(answers=True)


def _by_daemon(daemon: Daemon, contact: _ContactResult) -> Iterator[CheckResult]:
    """Report the daemon's view of the store, which it has open."""
    report = json.loads(daemon.ask(frame(FrameKind.STATUS)).text(Tag.REPORT))
    yield CheckResult("store", True, f"device {report['name']}")
    clock = "wrong: set it" if report["clock_wrong"] else "agrees with the server"
    yield CheckResult("clock", not report["clock_wrong"], clock)
    yield _server_by_daemon(report, contact)
    if "protection" in report:
        protection = report["protection"]
        message = "; ".join(filter(None, (protection["words"], protection["advice"])))
        yield CheckResult("keys", not protection["trouble"], message)


def _server_by_daemon(report: Report, contact: _ContactResult) -> CheckResult:
    if report.get("revoked"):
        return CheckResult("server", False, HOW_AFTER_REVOKING)
    if contact.answers:
        return CheckResult("server", True, "answers")
    if trouble := contact.trouble or report["contact_trouble"]:
        message = f"the last contact failed: {trouble}; when this is solved, run `sparekey-agent sync`"
        some = any(user["days_until"] or user["emergency_codes"] for user in report["users"])
        return CheckResult("server", False, message + (_GOES_ON if some else ""))
    last = report["last_contact"]
    return CheckResult(
        "server", bool(last), f"last contact {at(last) if last else 'never'}; run `doctor` as root to test it now"
    )


def _of_store(options: argparse.Namespace) -> Iterator[CheckResult]:
    try:
        with opened(options, wait=5) as device:
            yield CheckResult("store", True, f"device {device.state.enrolment.name}")
            yield _of_clock(device)
            yield _of_units(device)
            yield _of_server(device)
            yield _of_keys(device)
    except StoreUnreadable as error:
        yield CheckResult("store", False, _with_advice(error))


def _with_advice(error: StoreUnreadable | Failed) -> str:
    return f"{error}: {HOW_TO_ENROLL}" if error.word == "not-enrolled" else str(error)


def _of_keys(device: ThisDevice) -> CheckResult:
    protection = describe_protection(device.store.keys, days_locked=any_locked(device.state))
    message = "; ".join(filter(None, (protection.words, protection.advice)))
    return CheckResult("keys", not protection.trouble, message)


def _of_clock(device: ThisDevice) -> CheckResult:
    trusted = device.store.trusted_time()
    if trusted.set_back:
        return CheckResult("clock", False, "behind the time of the last contact or tokencode: set it")
    if trusted.suspect:
        return CheckResult("clock", False, "beyond the end of all offline data: set it, or connect to the network")
    return CheckResult("clock", True, "agrees with the last contact")


def _of_units(device: ThisDevice) -> CheckResult:
    damaged = 0
    entries = [entry for user in device.state.users for entry in user.units]
    for entry in entries:
        try:
            device.store.read_unit(entry, range(entry.first, entry.last + 1))
        except UnitDamaged:
            damaged += 1
    if damaged:
        message = f"{damaged} of {counted(len(entries), 'unit')} damaged; run `sparekey-agent sync`"
        return CheckResult("offline data", False, message)
    return CheckResult("offline data", True, counted(len(entries), "unit"))


def _of_server(device: ThisDevice) -> CheckResult:
    try:
        with device.connect() as server:
            server.allow(CONTACT_PATIENCE)
            sync(device, server)
    except NotReached as error:
        some = any(user.current_units for user in device.state.users)
        return CheckResult("server", False, f"{error}; {_ADVICE[error.distance]}" + (_GOES_ON if some else ""))
    except Refused as error:
        withhold_if_revoked(device, error)
        return CheckResult("server", False, HOW_AFTER_REVOKING if device.state.revoked else str(error))
    return CheckResult("server", True, "answers")
