"""`sparekey-agent keep-key`, `unlock-key` and `forget-key`: secrets that nothing but a right passcode opens.

- What is opened goes to standard output and nowhere else, as it was kept (with --json, in hex beside the answer); all
  words go to standard error. No terminal is shown a key.
- A passcode serves once: it is asked for only after everything that can be judged without it.
"""

import argparse
import contextlib
import getpass
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from sparekey.agent.configuration import CONFIGURATION
from sparekey.agent.device import Device
from sparekey.agent.login import login
from sparekey.agent.outcome import LoginAnswer, Result, printable
from sparekey.agent.ports import StoreUnreadable
from sparekey.agent.purposes import OS_PASSWORD, BadPurpose, verify_name
from sparekey.agent.useful_key import KeyRefused, UsefulKey, forget
from sparekey.agent.wrapped_secrets import LARGEST_SECRET
from sparekey.cli.agent.commands import converse, opened, read_line, running_daemon, unavailable
from sparekey.cli.agent.output import EXITS, SCHEMA, Output
from sparekey.cli.agent.remote import Daemon, answer_of
from sparekey.secret import Secret
from sparekey.wire.local_socket import Kind, Tag, frame

TERMINAL: Final = "/dev/tty"
SHORTEST_GENERATED: Final = 16  # bytes: what nobody guesses


class Door(Protocol):
    """Where somebody signs in, and what a success gives there. Raises `KeyRefused` or `Failed`."""

    def attempt(self, typed: Secret[str], reply_to: str) -> LoginAnswer: ...

    def keep(self, purpose: str, secret: Secret[bytes]) -> None: ...

    def open(self, purpose: str) -> Secret[bytes]: ...


def keep_key(options: argparse.Namespace, output: Output) -> int:
    """Keeps what standard input holds, to the byte, or with --generate what it makes and then writes to standard
    output. The passcode comes from the terminal; with --generate it may be the first line of standard input."""
    _verify_purpose(options)
    made = options.generate is not None
    secret = _generated(options.generate) if made else _read_secret()

    def use(door: Door) -> None:
        door.keep(options.purpose, secret)
        _say(f"kept under {options.purpose}: a passcode of {options.user} opens it on this computer")
        _write(options, secret if made else None)

    return _with_success(options, output, read_line if made else _read_at_terminal, use)


def unlock_key(options: argparse.Namespace, output: Output) -> int:
    """Writes what is kept. The passcode comes from the terminal, or is the first line of standard input."""
    _verify_purpose(options)
    _verify_no_terminal()
    return _with_success(options, output, read_line, lambda door: _write(options, door.open(options.purpose)))


def forget_key(options: argparse.Namespace, output: Output) -> int:
    """Needs no passcode: root can erase everything here."""
    with running_daemon(options) as daemon:
        if daemon is not None:
            daemon.ask(frame(Kind.FORGET, user=options.user, purpose=options.purpose))
        else:
            with opened(options) as device:
                forget(device, options.user, options.purpose)
    output.data({"forgotten": options.purpose}, f"forgotten: {options.purpose} of {options.user}")
    return 0


def _with_success(
    options: argparse.Namespace, output: Output, read: Callable[[str], str], use: Callable[[Door], None]
) -> int:
    """Signs in, says so on standard error, and uses what a success gives; exits like `login`."""
    try:
        with _door(options) as door:
            goes_on = read is _read_at_terminal or sys.stdin.isatty()
            answer = converse(door.attempt, read, goes_on=goes_on)
            _say(f"{answer.result.value}: {answer.message}")
            if answer.result is Result.GRANTED:
                use(door)
                return EXITS[answer.result]
    except StoreUnreadable as error:
        answer = unavailable(error)
        _say(f"{answer.result.value}: {answer.message}")
    return output.answer(answer) if options.json else EXITS[answer.result]


@contextlib.contextmanager
def _door(options: argparse.Namespace) -> Iterator[Door]:
    with running_daemon(options) as daemon:
        if daemon is not None:
            yield _Daemon(daemon, options.user)
            return
    with opened(options) as device:
        yield _Alone(device, options.user)


class _Daemon:
    """The daemon's: what it gives is bound to the connection."""

    def __init__(self, daemon: Daemon, user: str) -> None:
        self._daemon = daemon
        self._user = user

    def attempt(self, typed: Secret[str], reply_to: str) -> LoginAnswer:
        request = frame(Kind.LOGIN, user=self._user, passcode=typed.reveal(), reply_to=reply_to)
        return answer_of(self._daemon.ask(request))

    def keep(self, purpose: str, secret: Secret[bytes]) -> None:
        self._daemon.ask(frame(Kind.KEEP, purpose=purpose, secret=secret.reveal()))

    def open(self, purpose: str) -> Secret[bytes]:
        return Secret(self._daemon.ask(frame(Kind.OPEN, purpose=purpose)).fields.get(Tag.SECRET, b""))


class _Alone:
    """Where no daemon runs, this process has the device; only root reads its store."""

    def __init__(self, device: Device, user: str) -> None:
        self._device = device
        self._user = user
        self._key = UsefulKey(device, None, by_root=True)

    def attempt(self, typed: Secret[str], reply_to: str) -> LoginAnswer:
        found = login(self._device, self._user, typed, reply_to)
        self._key = UsefulKey(self._device, found.session, by_root=True)
        return found.answer

    def keep(self, purpose: str, secret: Secret[bytes]) -> None:
        self._key.keep(purpose, secret)

    def open(self, purpose: str) -> Secret[bytes]:
        return self._key.open(purpose)


def _verify_purpose(options: argparse.Namespace) -> None:
    """What the configuration says; of the password policy decides, which whoever keeps the device knows."""
    try:
        verify_name(options.purpose)
    except BadPurpose as error:
        raise KeyRefused("bad-purpose", str(error)) from error
    if options.purpose != OS_PASSWORD and options.purpose not in options.configuration.purposes:
        raise KeyRefused(
            "not-allowed",
            f"nothing is kept here for {options.purpose!r}; to allow it, name it in `purposes` of "
            f"{options.config or CONFIGURATION} and start the daemon again",
        )


def _verify_no_terminal() -> None:
    if sys.stdout.isatty():
        raise KeyRefused("terminal", "a key is not written to a terminal; send it to a program, like cryptsetup")


def _generated(size: int) -> Secret[bytes]:
    _verify_no_terminal()
    if not SHORTEST_GENERATED <= size <= LARGEST_SECRET:
        raise KeyRefused("bad-size", f"a key is made of {SHORTEST_GENERATED} to {LARGEST_SECRET} bytes")
    return Secret(secrets.token_bytes(size))


def _read_secret() -> Secret[bytes]:
    if sys.stdin.isatty():
        return Secret(getpass.getpass("What is to be kept: ").encode())
    secret = Secret(sys.stdin.buffer.read(LARGEST_SECRET + 1))
    if not 0 < len(secret) <= LARGEST_SECRET:
        raise KeyRefused("bad-size", f"standard input has to hold 1 to {LARGEST_SECRET} bytes to be kept")
    return secret


def _read_at_terminal(prompt: str) -> str:
    """Standard input holds the secret. `getpass` alone would fall back to it."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        raise KeyRefused("no-terminal", "there is no terminal to ask for the passcode on; run it on one") from error
    return getpass.getpass(prompt)


def _write(options: argparse.Namespace, key: Secret[bytes] | None) -> None:
    """The key as it is, or for who wants JSON what came of it; None: there is none to be written."""
    if options.json:
        members = {"schema": SCHEMA, "result": Result.GRANTED.value, "purpose": options.purpose}
        print(json.dumps(members | ({"key": key.reveal().hex()} if key is not None else {})))
    elif key is not None:
        sys.stdout.buffer.write(key.reveal())
        sys.stdout.buffer.flush()


def _say(words: str) -> None:
    print(printable(f"sparekey-agent: {words}"), file=sys.stderr, flush=True)
