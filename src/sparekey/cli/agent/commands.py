"""What each command of `sparekey-agent` does: asks the daemon if one runs, else does it under the store's lock."""

import argparse
import contextlib
import getpass
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sparekey.agent.contact.contact import refill
from sparekey.agent.contact.replies import without_data
from sparekey.agent.ground.ports import NotReached
from sparekey.agent.store.device import Device
from sparekey.agent.store.status import status_of
from sparekey.cli.agent.arguments import Commands
from sparekey.cli.agent.checks import logins_ask
from sparekey.cli.agent.output import Output
from sparekey.cli.agent.remote import Daemon, find_daemon
from sparekey.cli.agent.status_words import status_words
from sparekey.core.plurals import counted
from sparekey.wire.enrolment import BadEnrolmentCode, read_enrolment_code
from sparekey.wire.local_socket import Kind, Tag, frame
from sparekey.wiring.agent import enrol_device, forget_device, opened_device
from sparekey.wiring.agent import socket_path as default_socket

LOCK_WAIT: Final = 60  # seconds that a command waits for the one before it
LONGEST_LINE: Final = 4096


def add_commands(to: Commands) -> None:
    """Those of this module."""
    _add_enroll(to)
    to.add("sync", sync, "Contact the server now: events up, offline data down.")
    to.add("status", status, "What this device holds, and until when.")
    erase = to.add("clear", clear, "Erase all offline data of this device.")
    erase.add_argument("--all", action="store_true", help="the enrolment and its keys too")


def _add_enroll(to: Commands) -> None:
    added = to.add("enroll", enroll, "Make this computer a device of the server.")
    added.add_argument("--server", required=True, metavar="URL", help="https://HOST:PORT")
    added.add_argument(
        "--code",
        required=True,
        metavar="CODE",
        help="the enrolment code; -: asked for, or from standard input (other users can read what stands on this line)",
    )
    added.add_argument("--name", default="", help="a name for the device; else as invited")
    added.add_argument(
        "--tpm",
        default="",
        metavar="auto|required|off|TCTI",
        help="keys in a TPM: where one works, or not at all, or in that one (as configured, else auto)",
    )


def enroll(options: argparse.Namespace, output: Output) -> int:
    """The code is read from standard input unless it stands on the command line."""
    code = read_line("Enrolment code: ") if options.code == "-" else options.code
    try:
        tpm = options.tpm or str(options.configuration.tpm)
        enrolled = enrol_device(options.server, read_enrolment_code(code), options.name, options.state, tpm=tpm)
    except BadEnrolmentCode as error:
        return output.failed("bad-code", str(error), "type the code again, all eight groups, or ask for a new one")
    except NotReached as error:
        return output.failed("not-reached", str(error), "check the address, the name and the firewall, then try again")
    device = enrolled.enrolment
    next_step = "next: sparekey-agent login USER, and sparekey-agent run for the daemon"
    words = f"enrolled as {device.name}. {enrolled.words[:1].upper()}{enrolled.words[1:]}\n{next_step}"
    found = {"device": device.device, "name": device.name, "protection": enrolled.protection, "keys": enrolled.words}
    output.data(found, words)
    return 0


def sync(options: argparse.Namespace, output: Output) -> int:
    """A whole contact: events up, the server's word, every unit that is wanted."""
    with running_daemon(options) as daemon:
        if daemon is not None:
            done = daemon.follow(frame(Kind.SYNC), output.progress)
            return _synced(done.number(Tag.DONE), done.text(Tag.MESSAGE), output)
    with opened(options) as device:
        refilled = refill(device, output.progress)
        return _synced(refilled.fetched, refilled.words(), output)


def _synced(fetched: int, failures: str, output: Output) -> int:
    words = f"in contact; {counted(fetched, 'unit')} fetched" + (f"; not to be had: {failures}" if failures else "")
    output.data({"fetched": fetched, "failures": failures}, words)
    return 0


def status(options: argparse.Namespace, output: Output) -> int:
    """What the device holds, until when, and what keeps it from holding more."""
    found = _status(options) | {"logins_ask": logins_ask(options.configuration)}
    output.data(found, status_words(found))
    return 0


def _status(options: argparse.Namespace) -> dict[str, Any]:
    with running_daemon(options) as daemon:
        if daemon is not None:
            report: dict[str, Any] = json.loads(daemon.ask(frame(Kind.STATUS)).text(Tag.REPORT))
            return report | {"daemon": True}
    with opened(options) as device:
        return status_of(device) | {"daemon": False}


def clear(options: argparse.Namespace, output: Output) -> int:
    """Erases all offline data; with --all the enrolment and its keys too, also where the store is damaged."""
    with running_daemon(options) as daemon:
        if daemon is not None and options.all:
            return output.failed("daemon-runs", "the daemon is using the store", "stop it, then clear --all")
        if daemon is not None:
            daemon.ask(frame(Kind.CLEAR))
            return _cleared(output)
    if options.all:
        forget_device(options.state, options.configuration)
    else:
        with opened(options) as device:
            device.store.change(without_data)
    return _cleared(output)


def _cleared(output: Output) -> int:
    output.data({"cleared": True}, "cleared")
    return 0


@contextlib.contextmanager
def running_daemon(options: argparse.Namespace) -> Iterator[Daemon | None]:
    """A connection to it, for as long as it is used; None: no daemon runs."""
    daemon = find_daemon(socket_path(options))
    try:
        yield daemon
    finally:
        if daemon is not None:
            daemon.close()


def opened(options: argparse.Namespace, wait: float = LOCK_WAIT) -> contextlib.AbstractContextManager[Device]:
    """The device, where no daemon has it; see `wiring.agent.opened_device`."""
    return opened_device(options.state, wait=wait, configuration=options.configuration)


def socket_path(options: argparse.Namespace) -> Path:
    """Where the daemon listens."""
    return Path(options.socket or default_socket(options.configuration, options.state))


def read_line(prompt: str) -> str:
    """From a terminal without echo, else one line of standard input; never from the command line."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline(LONGEST_LINE).rstrip("\r\n")
