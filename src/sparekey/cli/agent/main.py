"""The command `sparekey-agent`: its arguments, and the one place that turns errors into exit codes.

Exit codes: 0 success, 1 failure, 2 wrong usage. `login`, `test`, `keep-key` and `unlock-key` also have 3 denied, 4 an
open challenge, and 5 unavailable. Every exit but 0 is a refusal.
"""

import argparse
import atexit
import gc
import sys
from collections.abc import Sequence
from typing import Final

from sparekey.agent.contact.enrolment import AlreadyEnrolled
from sparekey.agent.contact.server_client import BadAddress
from sparekey.agent.ground.ports import NotReached, Refused, StoreUnreadable
from sparekey.agent.platform.configuration import BadConfiguration, load_configuration
from sparekey.agent.platform.posix import no_core_dumps
from sparekey.agent.sign_in.secret_access import SecretRefused
from sparekey.cli.agent import commands, daemon, doctor, keys, notice, sign_in
from sparekey.cli.agent.arguments import Command, Commands
from sparekey.cli.agent.output import FAILED, HOW_TO_ENROLL, Output, OutputClosed
from sparekey.cli.agent.remote import Failed

_DO: Final = {
    "not-enrolled": HOW_TO_ENROLL,
    "stays-closed": "to replace it, run `sparekey-agent keep-key USER PURPOSE`",
}
_WORDS: Final[dict[type[BaseException], tuple[str, str]]] = {
    AlreadyEnrolled: ("already-enrolled", ""),
    BadAddress: ("bad-address", ""),
    NotReached: ("not-reached", "run `sparekey-agent doctor`"),
    KeyboardInterrupt: ("interrupted", ""),
    OSError: ("unexpected", "run `sparekey-agent doctor`"),
    ValueError: ("unexpected", "run `sparekey-agent doctor`"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    # The interpreter's last collections find nothing to free for a process that ends: a fifth of a command's time.
    atexit.register(gc.freeze)
    options = _parser().parse_args(arguments)
    no_core_dumps()
    output = Output(as_json=options.json)
    command: Command = options.command
    try:
        if command is not doctor.doctor:  # doctor reports a wrong configuration and continues
            options.configuration = load_configuration(options.config)
        return command(options, output)
    except OutputClosed:
        return FAILED
    except BadConfiguration as error:
        return output.failed("bad-configuration", str(error), "correct it: until then every sign-in is refused")
    except Refused as error:
        return output.failed(error.reply.error, error.reply.message, error.reply.do)
    except (StoreUnreadable, Failed, SecretRefused) as error:
        return output.failed(error.word, str(error), _DO.get(error.word, ""))
    except (AlreadyEnrolled, BadAddress, NotReached, KeyboardInterrupt, OSError, ValueError) as error:
        word, do = next(found for kind, found in _WORDS.items() if isinstance(error, kind))
        return output.failed(word, str(error) or type(error).__name__, do)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sparekey-agent", description="Sign in on this computer with a Sparekey passcode, online or offline."
    )
    to = Commands(parser)
    for module in (commands, sign_in, daemon, keys, notice, doctor):
        module.add_commands(to)
    return parser


if __name__ == "__main__":
    sys.exit(main())
