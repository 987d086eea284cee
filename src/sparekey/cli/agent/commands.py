"""What each command of `sparekey-agent` does: asks the daemon if one runs, else does it under the store's lock."""

import argparse
import contextlib
import getpass
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sparekey.agent.device import Device
from sparekey.agent.erasing import days_left
from sparekey.agent.login import login
from sparekey.agent.offline_login import try_emergency
from sparekey.agent.outcome import Ask, LoginAnswer, Mode, Result, printable, unreadable
from sparekey.agent.ports import NotReached, Refused, StoreUnreadable
from sparekey.agent.refill import refill
from sparekey.agent.status import status_of
from sparekey.agent.trusted_days import without_data
from sparekey.cli.agent.output import Output
from sparekey.cli.agent.remote import Daemon, Failed, answer_of, find_daemon
from sparekey.cli.agent.status_words import status_words
from sparekey.core.counts import counted
from sparekey.secret import Secret
from sparekey.wire.enrolment import BadEnrolmentCode, read_enrolment_code
from sparekey.wire.local_socket import Kind, Tag, frame
from sparekey.wiring.agent import enrol_device, forget_device, opened_device
from sparekey.wiring.agent import socket_path as default_socket

LOCK_WAIT: Final = 60  # seconds that a command waits for the one before it
LONGEST_LINE: Final = 4096
_PROMPTS: Final = {
    Ask.NOTHING: "Passcode: ",
    Ask.NEW_PIN: "New PIN: ",
    Ask.CONFIRM_PIN: "New PIN again: ",
    Ask.NEXT_TOKENCODE: "Next tokencode: ",
}


def enroll(options: argparse.Namespace, output: Output) -> int:
    """The code is read from standard input unless it stands on the command line."""
    code = read_line("Enrolment code: ") if options.code == "-" else options.code
    try:
        tpm = options.tpm or str(options.configuration.tpm)
        enrolled = enrol_device(options.server, read_enrolment_code(code), options.name, options.state, tpm=tpm)
    except BadEnrolmentCode as error:
        return output.failed("bad-code", str(error), "type the code again, all eight groups, or ask for a new one")
    device = enrolled.enrolment
    next_step = "next: sparekey-agent login USER, and sparekey-agent run for the daemon"
    words = f"enrolled as {device.name}. {enrolled.words[:1].upper()}{enrolled.words[1:]}\n{next_step}"
    found = {"device": device.device, "name": device.name, "protection": enrolled.protection, "keys": enrolled.words}
    output.data(found, words)
    return 0


def sign_in(options: argparse.Namespace, output: Output) -> int:
    """Prints the answer once the offline data that the server has for this user are here.

    What the server asks on the way is asked on a terminal; a program is told, and answers with `--reply-to`.
    """

    def attempt(typed: Secret[str], reply_to: str) -> LoginAnswer:
        return _signed_in(options, typed, reply_to, output)

    goes_on = sys.stdin.isatty() and not options.json
    answer = converse(attempt, read_line, goes_on=goes_on, reply_to=options.reply_to)
    code = output.answer(answer)
    if answer.result is Result.ASK and not options.json:
        reply = f"sparekey-agent login {options.user} --reply-to {answer.reply_to}"
        print(printable(f"  answer within two minutes, on standard input: {reply}"), file=sys.stderr)
    return code


def converse(
    attempt: Callable[[Secret[str], str], LoginAnswer], read: Callable[[str], str], *, goes_on: bool, reply_to: str = ""
) -> LoginAnswer:
    """The answer to what is read; where it `goes_on`, what is asked on the way is read, too."""
    answer = attempt(Secret(read(_PROMPTS[Ask.NOTHING])), reply_to)
    while answer.result is Result.ASK and goes_on:
        answer = attempt(Secret(read(printable(f"{answer.message}\n{_PROMPTS[answer.ask]}"))), answer.reply_to)
    return answer


def _signed_in(options: argparse.Namespace, typed: Secret[str], reply_to: str, output: Output) -> LoginAnswer:
    with running_daemon(options) as daemon:
        if daemon is not None:
            return _signed_in_by_daemon(daemon, options.user, typed, reply_to, output)
    try:
        with opened(options) as device:
            answer = login(device, options.user, typed, reply_to).answer
            return _refilled(device, options.user, answer, output)
    except StoreUnreadable as error:
        return unavailable(error)


def _signed_in_by_daemon(
    daemon: Daemon, user: str, typed: Secret[str], reply_to: str, output: Output
) -> LoginAnswer:  # fmt: skip
    request = frame(Kind.LOGIN, user=user, passcode=typed.reveal(), reply_to=reply_to)
    answer = answer_of(daemon.ask(request))
    if answer.result is Result.GRANTED and answer.mode is Mode.ONLINE:
        with contextlib.suppress(Failed):
            done = daemon.follow(frame(Kind.WATCH), output.progress)
            answer = replace(answer, days_left=done.number(Tag.DAYS_LEFT))
    return answer


def _refilled(device: Device, name: str, answer: LoginAnswer, output: Output) -> LoginAnswer:
    if not (answer.result is Result.GRANTED and answer.mode is Mode.ONLINE):
        return answer
    try:
        refill(device, output.progress)
    except (NotReached, Refused) as error:
        print(printable(f"sparekey-agent: the offline data were not renewed: {error}"), file=sys.stderr)
    user = device.state.find_user(device.names.find_login(name) or "")
    return replace(answer, days_left=days_left(user, device.store.judged().time)) if user else answer


def unavailable(error: StoreUnreadable) -> LoginAnswer:
    """What a sign-in comes to on a device whose store cannot be used."""
    return unreadable(error.word, str(error))


def sync(options: argparse.Namespace, output: Output) -> int:
    """A whole contact: events up, the server's word, every unit that is wanted."""
    with running_daemon(options) as daemon:
        if daemon is not None:
            done = daemon.follow(frame(Kind.SYNC), output.progress)
            return _synced(done.number(Tag.DONE), done.text(Tag.MESSAGE), output)
    with opened(options) as device:
        refilled = refill(device, output.progress)
        return _synced(refilled.fetched, "; ".join(refilled.failures), output)


def _synced(fetched: int, failures: str, output: Output) -> int:
    words = f"in contact; {counted(fetched, 'unit')} fetched" + (f"; not to be had: {failures}" if failures else "")
    output.data({"fetched": fetched, "failures": failures}, words)
    return 0


def status(options: argparse.Namespace, output: Output) -> int:
    """What the device holds, until when, and what keeps it from holding more."""
    found = _status(options)
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


def test(options: argparse.Namespace, output: Output) -> int:
    """Tries the emergency path without signing in; it counts like any attempt."""
    typed = Secret(read_line("PIN and emergency code: "))
    with running_daemon(options) as daemon:
        if daemon is not None:
            request = frame(Kind.TEST, user=options.user, passcode=typed.reveal())
            return output.answer(answer_of(daemon.ask(request)))
    with opened(options) as device:
        return output.answer(try_emergency(device, options.user, typed))


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
