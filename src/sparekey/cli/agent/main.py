"""The command `sparekey-agent`: its arguments, and the one place where errors become exits.

Exit 0 is a success, 1 a failure, 2 wrong usage; `login`, `test`, `keep-key` and `unlock-key` also 3 denied, 4 more is
asked, 5 unavailable.
Anything but 0 is a refusal.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sparekey.agent.configuration import CONFIGURATION, BadConfiguration, load_configuration
from sparekey.agent.enrol import AlreadyEnrolled
from sparekey.agent.platform_posix import no_core_dumps
from sparekey.agent.ports import NotReached, Refused, StoreUnreadable
from sparekey.agent.server_client import BadAddress
from sparekey.agent.useful_key import KeyRefused
from sparekey.cli.agent import commands, keys
from sparekey.cli.agent.daemon import run
from sparekey.cli.agent.doctor import doctor
from sparekey.cli.agent.notice import notice
from sparekey.cli.agent.output import HOW_TO_ENROLL, Output
from sparekey.cli.agent.remote import Failed
from sparekey.wiring.agent import STATE_DIRECTORY

_WORDS: Final[dict[type[BaseException], tuple[str, str]]] = {
    AlreadyEnrolled: ("already-enrolled", ""),
    BadAddress: ("bad-address", ""),
    NotReached: ("not-reached", "check the address and the network: sparekey-agent doctor"),
    KeyboardInterrupt: ("interrupted", ""),
    OSError: ("unexpected", "run sparekey-agent doctor"),
    ValueError: ("unexpected", "run sparekey-agent doctor"),
}

Command = Callable[[argparse.Namespace, Output], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    options = _parser().parse_args(arguments)
    no_core_dumps()
    output = Output(as_json=options.json)
    command: Command = options.command
    try:
        if command is not doctor:  # it tells what is wrong with it, and goes on
            options.configuration = load_configuration(options.config)
        return command(options, output)
    except BadConfiguration as error:
        return output.failed("bad-configuration", str(error), "mend it; until then the agent signs in nobody")
    except Refused as error:
        return output.failed(error.reply.error, error.reply.message, error.reply.do)
    except (StoreUnreadable, Failed, KeyRefused) as error:
        return output.failed(error.word, str(error), HOW_TO_ENROLL if error.word == "not-enrolled" else "")
    except (AlreadyEnrolled, BadAddress, NotReached, KeyboardInterrupt, OSError, ValueError) as error:
        word, do = next(said for kind, said in _WORDS.items() if isinstance(error, kind))
        return output.failed(word, str(error) or type(error).__name__, do)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state", type=Path, default=STATE_DIRECTORY, metavar="DIR", help="the store (%(default)s)")
    common.add_argument("--socket", type=Path, metavar="PATH", help="the daemon's socket (as configured)")
    common.add_argument(
        "--config", type=Path, metavar="PATH", help=f"the configuration ({CONFIGURATION}, where there is one)"
    )
    common.add_argument("--json", action="store_true", help="data as JSON on standard output")
    parser = argparse.ArgumentParser(
        prog="sparekey-agent", description="Signs people in on this computer, online or offline."
    )
    subcommands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: Command, words: str) -> argparse.ArgumentParser:
        added = subcommands.add_parser(name, parents=[common], help=words, description=words)
        added.set_defaults(command=command)
        return added

    def add_key(name: str, command: Command, words: str) -> argparse.ArgumentParser:
        added = add(name, command, words)
        added.add_argument("user", metavar="USER", help="an account of this computer")
        added.add_argument("purpose", metavar="PURPOSE", help="what it is for, as the configuration allows it: disk")
        return added

    enroll = add("enroll", commands.enroll, "Make this computer a device of the server.")
    enroll.add_argument("--server", required=True, metavar="URL", help="https://HOST:PORT")
    enroll.add_argument(
        "--code", required=True, metavar="CODE", help="the enrolment code; -: asked for, or from standard input"
    )
    enroll.add_argument("--name", default="", help="a name for the device; else as invited")
    enroll.add_argument(
        "--tpm",
        default="",
        metavar="auto|required|off|TCTI",
        help="keys in a TPM: where one works, or not at all, or in that one (as configured, else auto)",
    )
    login = add(
        "login",
        commands.sign_in,
        "Sign a user in with the passcode: PIN and tokencode in one word, from the terminal or standard input.",
    )
    login.add_argument("user", metavar="USER", help="an account of this computer")
    login.add_argument("--reply-to", default="", metavar="ID", help="answers what the sign-in before asked")
    add("sync", commands.sync, "Contact the server now: events up, offline data down.")
    add("status", commands.status, "What this device holds, and until when.")
    clear = add("clear", commands.clear, "Erase all offline data of this device.")
    clear.add_argument("--all", action="store_true", help="the enrolment and its keys too")
    add("run", run, "The daemon, in the foreground; the other commands ask it while it runs.")
    test = add(
        "test",
        commands.test,
        "Try an emergency code without signing in; it counts like any attempt. Typed: PIN and code, or passcode alone.",
    )
    test.add_argument("user", metavar="USER", help="an account of this computer")
    keep = add_key(
        "keep-key",
        keys.keep_key,
        "Keep a secret, such as a disk's key, that only a passcode of the user opens: standard input, to the byte.",
    )
    keep.add_argument(
        "--generate", type=int, metavar="N", help="make N bytes instead, and write them to standard output"
    )
    add_key(
        "unlock-key",
        keys.unlock_key,
        "Write what is kept to standard output, for a passcode from the terminal or the first line of standard input.",
    )
    add_key("forget-key", keys.forget_key, "Erase what is kept for a user under a purpose.")
    add("notice", notice, "Show on the desktop of whoever runs this that offline data run low; once a day.")
    add("doctor", doctor, "Look for what is wrong, and say what to do.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
