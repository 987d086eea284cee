"""Errors as sentences that say what to do: never a traceback, never a secret.

Exit codes: 1 failed, 2 wrong usage, 4 waits for an approval.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparekey.core.errors import SparekeyError

FAILED: Final = 1
USAGE: Final = 2
WAITS: Final = 4  # as in `sparekey-agent login`: an approval is needed first


@dataclass(frozen=True)
class CommandFailure:
    code: int
    error: str
    message: str
    do: str

    @property
    def sentence(self) -> str:
        stop = "" if self.message.endswith("?") else "."
        return f"{self.message}{stop} {self.do[:1].upper()}{self.do[1:]}" if self.do else self.message

    @property
    def members(self) -> Mapping[str, object]:
        return {"error": self.error, "message": self.message, "do": self.do}


def failure_of(error: Exception) -> CommandFailure:
    """Return the failure that this exception means for a person."""
    if isinstance(error, SparekeyError):
        code = WAITS if error.error == "approval-needed" else FAILED
        return CommandFailure(code, error.error, error.message, error.do)
    do = getattr(error, "do", "")
    if do:  # SettingsError: recognised by its attributes, so that no command must load its module
        return CommandFailure(FAILED, "settings", str(getattr(error, "message", error)), str(do))
    kind = type(error).__name__
    if kind in _WITH_ADVICE:
        message, _, advice = str(error).rpartition("; ")
        return CommandFailure(FAILED, _WITH_ADVICE[kind], message or advice, advice if message else "")
    if isinstance(error, _sql_error()):
        return CommandFailure(FAILED, "database", "the database does not work", f"its message: {_first_line(error)}")
    if isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
        return CommandFailure(FAILED, "system", what, "check permissions, disk space and paths")
    # The text may contain anything, even a secret; the type is enough for a report.
    return CommandFailure(FAILED, "failed", f"unexpected error ({kind})", "please report it")


_WITH_ADVICE: Final[Mapping[str, str]] = {
    "KeystoreError": "keys",
    "VaultError": "keys",
    "SchemaError": "database",
    "DatabaseUrlError": "database",
    "DatabaseFileError": "database",
    "CheckpointError": "checkpoint",
}


def _sql_error() -> type[Exception]:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 -- only when something failed

    return SQLAlchemyError


def _first_line(error: Exception) -> str:
    # Only the driver's message; the statement and its values are left out.
    return str(getattr(error, "orig", None) or "no answer in time").strip().splitlines()[0][:300]
