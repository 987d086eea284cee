"""`sparekey-agent keep-key`, `unlock-key` and `forget-key`: secrets that nothing but a right passcode opens.

- What is opened goes to standard output and nowhere else, as it was kept (with --json, in hex beside the answer); all
  words go to standard error. No terminal is shown a key.
- A passcode serves once: it is asked for only after everything that can be judged without it.
"""

import argparse
import getpass
import json
import os
import secrets
import sys
from collections.abc import Callable
from typing import Final

from sparekey.agent.ground.outcome import Result, printable
from sparekey.agent.ground.ports import StoreUnreadable
from sparekey.agent.ground.secret_purposes import OS_PASSWORD, BadPurpose, verify_name
from sparekey.agent.platform.configuration import CONFIGURATION
from sparekey.agent.sign_in.secret_access import SecretRefused, forget
from sparekey.agent.store.wrapped_secrets import LARGEST_SECRET
from sparekey.cli.agent.arguments import Command, Commands, add_user
from sparekey.cli.agent.commands import opened, read_line, running_daemon
from sparekey.cli.agent.door import Door, open_door
from sparekey.cli.agent.output import EXITS, SCHEMA, Output
from sparekey.cli.agent.sign_in import converse, unavailable
from sparekey.secret import Secret
from sparekey.wire.local_socket import Kind, frame

TERMINAL: Final = "/dev/tty"
SHORTEST_GENERATED: Final = 16  # bytes: what nobody guesses
_PURPOSE: Final = "what it is for, as the configuration allows it: disk"


def add_commands(to: Commands) -> None:
    """Those of this module."""
    keep = _add(
        to,
        "keep-key",
        keep_key,
        "Keep a secret, such as a disk's key, that only a passcode of the user opens: standard input, to the byte.",
    )
    keep.add_argument(
        "--generate", type=int, metavar="N", help="make N bytes instead, and write them to standard output"
    )
    _add(
        to,
        "unlock-key",
        unlock_key,
        "Write what is kept to standard output, for a passcode from the terminal or the first line of standard input.",
    )
    words = "what it was kept for: disk, or os-password for the password of the account that logins keep"
    _add(to, "forget-key", forget_key, "Erase what is kept for a user under a purpose.", words)


def _add(to: Commands, name: str, command: Command, words: str, purpose: str = _PURPOSE) -> argparse.ArgumentParser:
    added = to.add(name, command, words)
    add_user(added)
    added.add_argument("purpose", metavar="PURPOSE", help=purpose)
    return added


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
        with open_door(options) as door:
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


def _verify_purpose(options: argparse.Namespace) -> None:
    """What the configuration says; of the password policy decides, which whoever keeps the device knows."""
    try:
        verify_name(options.purpose)
    except BadPurpose as error:
        raise SecretRefused("bad-purpose", str(error)) from error
    if options.purpose != OS_PASSWORD and options.purpose not in options.configuration.purposes:
        raise SecretRefused(
            "not-allowed",
            f"nothing is kept here for {options.purpose!r}; to allow it, name it in `purposes` of "
            f"{options.config or CONFIGURATION} and start the daemon again",
        )


def _verify_no_terminal() -> None:
    if sys.stdout.isatty():
        raise SecretRefused("terminal", "a key is not written to a terminal; send it to a program, like cryptsetup")


def _generated(size: int) -> Secret[bytes]:
    _verify_no_terminal()
    if not SHORTEST_GENERATED <= size <= LARGEST_SECRET:
        raise SecretRefused("bad-size", f"a key is made of {SHORTEST_GENERATED} to {LARGEST_SECRET} bytes")
    return Secret(secrets.token_bytes(size))


def _read_secret() -> Secret[bytes]:
    if sys.stdin.isatty():
        return Secret(getpass.getpass("What is to be kept: ").encode())
    secret = Secret(sys.stdin.buffer.read(LARGEST_SECRET + 1))
    if not 0 < len(secret) <= LARGEST_SECRET:
        raise SecretRefused("bad-size", f"standard input has to hold 1 to {LARGEST_SECRET} bytes to be kept")
    return secret


def _read_at_terminal(prompt: str) -> str:
    """Standard input holds the secret. `getpass` alone would fall back to it."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        raise SecretRefused("no-terminal", "there is no terminal to ask for the passcode on; run it on one") from error
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
