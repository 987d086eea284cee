"""The output of the commands: data on standard output, messages on standard error; JSON for programs."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sparekey.agent.contact.contact import Progress
from sparekey.agent.ground.outcome import LoginAnswer, Result, as_rfc3339, in_words, printable

SCHEMA: Final = 1
EXITS: Final = {Result.GRANTED: 0, Result.DENIED: 3, Result.ASK: 4, Result.UNAVAILABLE: 5}
FAILED: Final = 1
HOW_TO_ENROLL: Final = "sparekey-agent enroll --server URL --code -"
HOW_AFTER_REVOKING: Final = (
    "this device was revoked. To use it again: `systemctl stop sparekey-agent`, `sparekey-agent clear --all`, then "
    f"with a new code `{HOW_TO_ENROLL}`"
)


def at(rfc3339: str) -> str:
    """Return a time of a report as people read it, `2026-11-27 10:00 UTC`, as in answers and on the server."""
    return in_words(int(datetime.fromisoformat(rfc3339).timestamp()))


class OutputClosed(Exception):
    """The reader of standard output has closed it (`| head`)."""


class Output:
    """The output of one run of a command."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def data(self, value: Mapping[str, object], words: str) -> None:
        """Print `value` for programs, or `words` for people. Raises OutputClosed."""
        try:
            print(json.dumps({"schema": SCHEMA, **value}) if self._as_json else printable(words), flush=True)
        except BrokenPipeError as error:
            # Otherwise the rest of the output would be written at the exit, and fail there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise OutputClosed from error

    def aside(self, words: str) -> None:
        """Print a message on standard error."""
        print(printable(words), file=sys.stderr, flush=True)

    def along(self, words: str) -> None:
        """Print progress on standard error, not for programs."""
        if not self._as_json or sys.stderr.isatty():
            self.aside(words)

    def failed(self, error: str, message: str, do: str = "") -> int:
        """Print the error and what to do. Return the exit status."""
        if self._as_json:
            print(json.dumps({"schema": SCHEMA, "error": error, "message": message, "do": do}))
        print(printable(f"sparekey-agent: {message}" + (f"\n  {do}" if do else "")), file=sys.stderr)
        return FAILED

    def answer(self, answer: LoginAnswer) -> int:
        """Print the answer to a sign-in. Return the exit status: 0 only if it is granted."""
        self.data(
            {
                "result": answer.result.value,
                "mode": answer.mode.value,
                "method": answer.method,
                "days_left": answer.days_left,
                "emergency_expires": as_rfc3339(answer.emergency_expires),
                "message": answer.message,
                "reason": answer.reason.value,
                "misread": list(answer.misread),
                "ask": answer.ask.value,
                "text": answer.message if answer.result is Result.ASK else "",
                "reply_to": answer.reply_to,
            },
            f"{answer.result.value}: {answer.message}",
        )
        return EXITS[answer.result]

    def progress(self, progress: Progress) -> None:
        """Print the progress of offline data."""
        self.along(f"  offline data of {progress.login}: {progress.done} of {progress.total} ({progress.kind})")
