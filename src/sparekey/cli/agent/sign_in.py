"""The commands `sparekey-agent login` and `test`: sign-ins without a login program."""

import argparse
import contextlib
import sys
from collections.abc import Callable
from typing import Final

from sparekey.agent.ground.outcome import LoginAnswer, Mode, Prompt, Result, printable, unreadable
from sparekey.agent.ground.ports import NotReached, Refused, StoreUnreadable
from sparekey.agent.sign_in.offline import try_emergency
from sparekey.cli.agent.arguments import Commands, add_user
from sparekey.cli.agent.commands import opened, read_line, running_daemon
from sparekey.cli.agent.output import Output
from sparekey.cli.agent.remote import Failed, answer_of
from sparekey.cli.agent.sign_in_client import SignInClient, open_sign_in_client
from sparekey.core.plurals import counted
from sparekey.secret import Secret
from sparekey.wire.local_socket import BadFrame, FrameKind, frame

_PROMPTS: Final = {
    Prompt.NOTHING: "Passcode: ",
    Prompt.NEW_PIN: "New PIN: ",
    Prompt.CONFIRM_PIN: "New PIN again: ",
    Prompt.NEXT_TOKENCODE: "Next tokencode: ",
}


def add_commands(to: Commands) -> None:
    """Add the commands of this module."""
    login = to.add(
        "login",
        sign_in,
        "Sign a user in with the passcode: PIN and tokencode together, from the terminal or standard input.",
    )
    add_user(login)
    login.add_argument("--reply-to", default="", metavar="ID", help="answer the challenge of the sign-in before")
    description = (
        "Try an emergency code without signing in: PIN and code, or an emergency passcode. It counts like any attempt."
    )
    add_user(to.add("test", test, description))


def sign_in(options: argparse.Namespace, output: Output) -> int:
    """Print the answer of a sign-in. After a grant, fetch the user's offline data; their failure does not change the
    answer.

    On a terminal, the challenges of the server are shown there. A program gets the challenge in the answer, and
    replies with `--reply-to`.
    """
    with _Attempts(options) as attempts:
        goes_on = sys.stdin.isatty() and not options.json
        answer = converse(attempts.attempt, read_line, goes_on=goes_on, reply_to=options.reply_to)
        code = output.answer(answer)
        if answer.result is Result.ASK and not options.json:
            reply = f"sparekey-agent login {options.user} --reply-to {answer.reply_to}"
            output.aside(f"  answer within two minutes, on standard input of `{reply}`")
        if answer.result is Result.GRANTED and answer.mode is Mode.ONLINE and attempts.client is not None:
            _fetch(attempts.client, output)
        return code


class _Attempts(contextlib.ExitStack):
    """Attempts to sign in. Each one opens its own client, because typing can take long. The last client stays open."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        self._options = options
        self.client: SignInClient | None = None

    def attempt(self, passcode: Secret[str], reply_to: str) -> LoginAnswer:
        self.close()
        try:
            self.client = self.enter_context(open_sign_in_client(self._options))
        except StoreUnreadable as error:
            return unavailable(error)
        return self.client.attempt(passcode, reply_to)


def _fetch(client: SignInClient, output: Output) -> None:
    """Fetch the offline data. An error here does not take back the grant."""
    try:
        days = client.fetch(output.progress)
    except KeyboardInterrupt:
        output.aside("  stopped; the data fetched so far stay. `sparekey-agent sync` fetches the rest")
    except (NotReached, Refused, Failed, StoreUnreadable, BadFrame, OSError) as error:
        output.aside(f"  the offline data were not renewed: {error}")
    else:
        output.along(f"  this device now has offline data for {counted(days, 'whole day')}")


def unavailable(error: StoreUnreadable) -> LoginAnswer:
    """Return the answer of a device whose store cannot be used."""
    return unreadable(error.word, str(error))


def converse(
    attempt: Callable[[Secret[str], str], LoginAnswer], read: Callable[[str], str], *, goes_on: bool, reply_to: str = ""
) -> LoginAnswer:
    """Read a passcode and return the answer to it. With `goes_on`, also answer the challenges that follow."""
    answer = attempt(Secret(read(_PROMPTS[Prompt.NOTHING])), reply_to)
    while answer.result is Result.ASK and goes_on:
        answer = attempt(Secret(read(printable(f"{answer.message}\n{_PROMPTS[answer.ask]}"))), answer.reply_to)
    return answer


def test(options: argparse.Namespace, output: Output) -> int:
    """Try an emergency code without signing in. It counts like any attempt."""
    passcode = Secret(read_line("PIN and emergency code: "))
    with running_daemon(options) as daemon:
        if daemon is not None:
            request = frame(FrameKind.TEST, user=options.user, passcode=passcode.reveal())
            return output.answer(answer_of(daemon.ask(request)))
    with opened(options) as device:
        return output.answer(try_emergency(device, options.user, passcode))
