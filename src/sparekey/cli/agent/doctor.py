"""`sparekey-agent doctor`: what stands between this device and a sign-in, each with what to do."""

import argparse
from dataclasses import dataclass

from sparekey.agent.device import Device
from sparekey.agent.ports import Distance, NotReached, Refused, StoreUnreadable
from sparekey.agent.refill import CONTACT_PATIENCE, take_word
from sparekey.agent.store import UnitDamaged
from sparekey.cli.agent.commands import opened, socket_path
from sparekey.cli.agent.output import FAILED, Output
from sparekey.cli.agent.remote import find_daemon
from sparekey.core.counts import counted


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    words: str


_ADVICE = {
    Distance.OFFLINE: "there is no route to the server: check network and name service",
    Distance.SERVER_DOWN: "there is a route to the server, but no answer: check that it runs, and the firewall",
    Distance.TLS: "what answers is not the enrolled server; if its CA was renewed, enrol anew. Check this clock too",
}


def doctor(options: argparse.Namespace, output: Output) -> int:
    """Looks at store, clock, daemon, server and units; 1 if anything is wrong."""
    daemon = find_daemon(socket_path(options))
    if daemon is not None:
        daemon.close()
        findings = [Finding("daemon", True, "running; stop it to have the store examined, or ask `status`")]
    else:
        findings = [Finding("daemon", True, "not running: the commands open the store themselves"), *_of_store(options)]
    words = "\n".join(f"{'ok  ' if each.ok else 'FAIL'} {each.name}: {each.words}" for each in findings)
    output.data({"findings": [vars(each) for each in findings]}, words)
    return 0 if all(each.ok for each in findings) else FAILED


def _of_store(options: argparse.Namespace) -> list[Finding]:
    try:
        with opened(options, wait=5) as device:
            return [
                Finding("store", True, f"device {device.state.enrolment.name}"),
                _of_clock(device),
                _of_units(device),
                _of_server(device),
            ]
    except StoreUnreadable as error:
        return [Finding("store", False, str(error))]


def _of_clock(device: Device) -> Finding:
    judged = device.store.judged()
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
        return Finding("server", False, f"{error}; {_ADVICE[error.distance]}")
    except Refused as error:
        return Finding("server", False, str(error))
    return Finding("server", True, "answers")
