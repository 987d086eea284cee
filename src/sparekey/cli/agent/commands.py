"""The commands of `sparekey-agent`.

Each of them asks the daemon if it runs, and otherwise works under the lock of the store.
"""

import argparse
import contextlib
import getpass
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.contact.replies import without_data
from sparekey.agent.ground.ports import NotReached
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.status import status_of
from sparekey.cli.agent.arguments import Commands
from sparekey.cli.agent.checks import logins_ask
from sparekey.cli.agent.output import Output
from sparekey.cli.agent.remote import Daemon, find_daemon
from sparekey.cli.agent.status_words import status_words
from sparekey.core.plurals import counted
from sparekey.wire.enrolment import BadEnrolmentCode, read_enrolment_code
from sparekey.wire.local_socket import FrameKind, Tag, frame
from sparekey.wiring.agent import enrol_device, forget_device, opened_device
from sparekey.wiring.agent import socket_path as default_socket

LOCK_WAIT: Final = 60  # seconds that a command waits for the one before it
LONGEST_LINE: Final = 4096


def add_commands(to: Commands) -> None:
    """Add the commands of this module."""
    _add_enroll(to)
    to.add("sync", sync, "Contact the server now: upload events, fetch offline data.")
    to.add("status", status, "Show who can sign in offline on this device, and until when.")
    erase = to.add("clear", clear, "Erase all offline data of this device.")
    erase.add_argument("--all", action="store_true", help="also erase the enrolment and its keys")


def _add_enroll(to: Commands) -> None:
    added = to.add("enroll", enroll, "Make this computer a device of the server.")
    added.add_argument("--server", required=True, metavar="URL", help="https://HOST:PORT")
    added.add_argument(
        "--code",
        required=True,
        metavar="CODE",
        help="the enrolment code; - asks for it or reads standard input (other users can see this command line)",
    )
    added.add_argument("--name", default="", help="a name for the device (as in the invitation)")
    added.add_argument(
        "--tpm",
        default="",
        metavar="auto|required|off|TCTI",
        help="keep the keys in a TPM. auto: if a TPM works; required: always; off: never; TCTI: in this TPM "
        "(as configured, or auto)",
    )


def enroll(options: argparse.Namespace, output: Output) -> int:
    """Enrol this computer. The code is read from standard input unless it is an argument."""
    code = read_line("Enrolment code: ") if options.code == "-" else options.code
    try:
        tpm = options.tpm or str(options.configuration.tpm)
        enrolled = enrol_device(options.server, read_enrolment_code(code), options.name, options.state, tpm=tpm)
    except BadEnrolmentCode as error:
        return output.failed("bad-code", str(error), "type all eight groups of the code again, or ask for a new one")
    except NotReached as error:
        return output.failed("not-reached", str(error), "check the address, the name and the firewall, then try again")
    device = enrolled.enrolment
    next_step = "Next, run `sparekey-agent login USER`, and `sparekey-agent run` for the daemon."
    message = f"Enrolled as {device.name}. {enrolled.words[:1].upper()}{enrolled.words[1:]}.\n{next_step}"
    found = {"device": device.device, "name": device.name, "protection": enrolled.protection, "keys": enrolled.words}
    output.data(found, message)
    return 0


def sync(options: argparse.Namespace, output: Output) -> int:
    """Make a complete contact: events, sync, and every wanted unit."""
    with running_daemon(options) as daemon:
        if daemon is not None:
            done = daemon.follow(frame(FrameKind.SYNC), output.progress)
            return _synced(done.number(Tag.DONE), done.text(Tag.MESSAGE), output)
    with opened(options) as device:
        result = make_contact(device, output.progress)
        return _synced(result.fetched, result.words(), output)


def _synced(fetched: int, failures: str, output: Output) -> int:
    message = f"The server was reached, {counted(fetched, 'unit')} fetched." + (
        f" Not fetched: {failures}." if failures else ""
    )
    output.data({"fetched": fetched, "failures": failures}, message)
    return 0


def status(options: argparse.Namespace, output: Output) -> int:
    """Print the data on this device, its expiry, and the obstacles to more data."""
    found = _status(options) | {"logins_ask": logins_ask(options.configuration)}
    output.data(found, status_words(found))
    return 0


def _status(options: argparse.Namespace) -> dict[str, object]:
    with running_daemon(options) as daemon:
        if daemon is not None:
            report: dict[str, object] = json.loads(daemon.ask(frame(FrameKind.STATUS)).text(Tag.REPORT))
            return report | {"daemon": True}
    with opened(options) as device:
        return status_of(device) | {"daemon": False}


def clear(options: argparse.Namespace, output: Output) -> int:
    """Erase all offline data; with --all also the enrolment and its keys, even if the store is damaged."""
    with running_daemon(options) as daemon:
        if daemon is not None and options.all:
            return output.failed(
                "daemon-runs",
                "the daemon is using the store",
                "stop the daemon, then run `sparekey-agent clear --all`",
            )
        if daemon is not None:
            daemon.ask(frame(FrameKind.CLEAR))
            return _cleared(output)
    if options.all:
        forget_device(options.state, options.configuration)
    else:
        with opened(options) as device:
            device.store.change(without_data)
    return _cleared(output)


def _cleared(output: Output) -> int:
    output.data({"cleared": True}, "The offline data of this device are erased.")
    return 0


@contextlib.contextmanager
def running_daemon(options: argparse.Namespace) -> Iterator[Daemon | None]:
    """Return a connection to the daemon for this context; None if no daemon runs."""
    daemon = find_daemon(socket_path(options))
    try:
        yield daemon
    finally:
        if daemon is not None:
            daemon.close()


def opened(options: argparse.Namespace, wait: float = LOCK_WAIT) -> contextlib.AbstractContextManager[ThisDevice]:
    """Open the device, if no daemon has it (`wiring.agent.opened_device`)."""
    return opened_device(options.state, wait=wait, configuration=options.configuration)


def socket_path(options: argparse.Namespace) -> Path:
    """Return the path of the daemon's socket."""
    return Path(options.socket or default_socket(options.configuration, options.state))


def read_line(prompt: str) -> str:
    """Read from a terminal without echo, otherwise one line of standard input; never from the command line."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline(LONGEST_LINE).rstrip("\r\n")
