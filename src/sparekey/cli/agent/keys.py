"""The commands `keep-key`, `unlock-key` and `forget-key`: secrets that open only with a right passcode.

- A key goes to standard output and nowhere else, unchanged (with --json in hex, in the answer). Messages go to standard
  error. A key is never written to a terminal.
- A passcode works once. So the command asks for it only after all checks that need no passcode.
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
from sparekey.cli.agent.output import EXITS, SCHEMA, Output
from sparekey.cli.agent.sign_in import converse, unavailable
from sparekey.cli.agent.sign_in_client import SignInClient, open_sign_in_client
from sparekey.secret import Secret
from sparekey.wire.local_socket import FrameKind, frame

TERMINAL: Final = "/dev/tty"
SHORTEST_GENERATED: Final = 16  # bytes; too many to guess
_PURPOSE: Final = "its purpose, from the configuration, for example disk"


def add_commands(to: Commands) -> None:
    """Add the commands of this module."""
    keep = _add(
        to,
        "keep-key",
        keep_key,
        "Keep a secret from standard input, for example a disk key. Only a passcode of the user opens it.",
    )
    keep.add_argument(
        "--generate", type=int, metavar="N", help="make N random bytes instead, and write them to standard output"
    )
    _add(
        to,
        "unlock-key",
        unlock_key,
        "Write a kept secret to standard output. The passcode comes from the terminal or standard input.",
    )
    purpose = "its purpose: disk, or os-password for the account's password that logins keep"
    _add(to, "forget-key", forget_key, "Erase a kept secret of a user.", purpose)


def _add(
    to: Commands, name: str, command: Command, description: str, purpose: str = _PURPOSE
) -> argparse.ArgumentParser:
    added = to.add(name, command, description)
    add_user(added)
    added.add_argument("purpose", metavar="PURPOSE", help=purpose)
    return added


def keep_key(options: argparse.Namespace, output: Output) -> int:
    """Keep the bytes of standard input, or with --generate new bytes that are then written to standard output. The
    passcode comes from the terminal; with --generate it may be the first line of standard input."""
    _verify_purpose(options)
    made = options.generate is not None
    secret = _generated(options.generate) if made else _read_secret()

    def use(client: SignInClient) -> None:
        client.keep(options.purpose, secret)
        _say(f"the secret is kept as {options.purpose}; a passcode of {options.user} opens it on this computer")
        _write(options, secret if made else None)

    return _with_success(options, output, read_line if made else _read_at_terminal, use)


def unlock_key(options: argparse.Namespace, output: Output) -> int:
    """Write a kept secret. The passcode comes from the terminal, or is the first line of standard input."""
    _verify_purpose(options)
    _verify_no_terminal()
    return _with_success(options, output, read_line, lambda client: _write(options, client.open(options.purpose)))


def forget_key(options: argparse.Namespace, output: Output) -> int:
    """Erase a kept secret. This needs no passcode, because root can erase everything here."""
    with running_daemon(options) as daemon:
        if daemon is not None:
            daemon.ask(frame(FrameKind.FORGET, user=options.user, purpose=options.purpose))
        else:
            with opened(options) as device:
                forget(device, options.user, options.purpose)
    output.data({"forgotten": options.purpose}, f"forgotten: {options.purpose} of {options.user}")
    return 0


def _with_success(
    options: argparse.Namespace, output: Output, read: Callable[[str], str], use: Callable[[SignInClient], None]
) -> int:
    """Sign in, report it on standard error, and use the access of the success. Exits like `login`."""
    try:
        with open_sign_in_client(options) as client:
            goes_on = read is _read_at_terminal or sys.stdin.isatty()
            answer = converse(client.attempt, read, goes_on=goes_on)
            _say(f"{answer.result.value}: {answer.message}")
            if answer.result is Result.GRANTED:
                use(client)
                return EXITS[answer.result]
    except StoreUnreadable as error:
        answer = unavailable(error)
        _say(f"{answer.result.value}: {answer.message}")
    return output.answer(answer) if options.json else EXITS[answer.result]


def _verify_purpose(options: argparse.Namespace) -> None:
    """Check the purpose against the configuration. For the password, the policy decides, which only the daemon or the
    store knows."""
    try:
        verify_name(options.purpose)
    except BadPurpose as error:
        raise SecretRefused("bad-purpose", str(error)) from error
    if options.purpose != OS_PASSWORD and options.purpose not in options.configuration.purposes:
        raise SecretRefused(
            "not-allowed",
            f"{options.purpose!r} is no allowed purpose; to allow it, add it to `purposes` in "
            f"{options.config or CONFIGURATION} and restart the daemon",
        )


def _verify_no_terminal() -> None:
    if sys.stdout.isatty():
        raise SecretRefused("terminal", "a key is not written to a terminal; send it to a program like cryptsetup")


def _generated(size: int) -> Secret[bytes]:
    _verify_no_terminal()
    if not SHORTEST_GENERATED <= size <= LARGEST_SECRET:
        raise SecretRefused("bad-size", f"a key needs {SHORTEST_GENERATED} to {LARGEST_SECRET} bytes")
    return Secret(secrets.token_bytes(size))


def _read_secret() -> Secret[bytes]:
    if sys.stdin.isatty():
        return Secret(getpass.getpass("Secret to keep: ").encode())
    secret = Secret(sys.stdin.buffer.read(LARGEST_SECRET + 1))
    if not 0 < len(secret) <= LARGEST_SECRET:
        raise SecretRefused("bad-size", f"standard input must contain 1 to {LARGEST_SECRET} bytes")
    return secret


def _read_at_terminal(prompt: str) -> str:
    """Ask for the passcode on the terminal, because standard input holds the secret. `getpass` alone would fall back to
    standard input."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        raise SecretRefused("no-terminal", "there is no terminal to ask for the passcode; run this on one") from error
    return getpass.getpass(prompt)


def _write(options: argparse.Namespace, key: Secret[bytes] | None) -> None:
    """Write the key, or with JSON the result. None: there is no key to write."""
    if options.json:
        members = {"schema": SCHEMA, "result": Result.GRANTED.value, "purpose": options.purpose}
        print(json.dumps(members | ({"key": key.reveal().hex()} if key is not None else {})))
    elif key is not None:
        sys.stdout.buffer.write(key.reveal())
        sys.stdout.buffer.flush()


def _say(message: str) -> None:
    print(printable(f"sparekey-agent: {message}"), file=sys.stderr, flush=True)
