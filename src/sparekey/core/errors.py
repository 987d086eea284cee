"""Errors that a person can resolve. Each has a name for programs, a message, and what to do.

A refused sign-in is not an error but an outcome (core.sign_in.outcome).
"""


class SparekeyError(Exception):
    """Base of every error that the caller sees. Never holds a secret."""

    error = "failed"

    def __init__(self, message: str, do: str) -> None:
        super().__init__(message)
        self.message = message
        self.do = do


class BadInput(SparekeyError):
    """A value that is not allowed."""

    error = "bad-input"


class NotFound(SparekeyError):
    """The object does not exist, or the caller may not see it."""

    error = "not-found"


class Conflict(SparekeyError):
    """The state of the object, or another object, prevents the operation."""

    error = "conflict"


class NotAllowed(SparekeyError):
    """A rule or a policy forbids the operation."""

    error = "not-allowed"


class ConfirmationNeeded(NotAllowed):
    """The operation cannot be undone and was not confirmed. The message says what would be lost, and for how many."""

    error = "confirmation-needed"


class SecondFactorNeeded(NotAllowed):
    """The operation needs a second factor from the last ten minutes."""

    error = "second-factor-needed"

    def __init__(self, message: str = "this needs a second factor") -> None:
        super().__init__(
            f"{message} from the last ten minutes",
            "give a new passcode: POST /v1/sessions/second-factor, or `sparekey login`",
        )
