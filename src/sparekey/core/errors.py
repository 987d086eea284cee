"""What goes wrong for a reason that a person can mend: a word for programs, what is wrong, and what to do.

A refused sign-in is not among them: that is an outcome (core.sign_in.outcome).
"""


class SparekeyError(Exception):
    """Base of every error that is meant for the person or program that asked. Never holds a secret."""

    error = "failed"

    def __init__(self, message: str, do: str) -> None:
        super().__init__(message)
        self.message = message
        self.do = do


class BadInput(SparekeyError):
    """A value that is not allowed."""

    error = "bad-input"


class NotFound(SparekeyError):
    """No such object, or none that the asker may see."""

    error = "not-found"


class Conflict(SparekeyError):
    """The object's state, or another object, stands in the way."""

    error = "conflict"


class NotAllowed(SparekeyError):
    """A rule or a policy forbids it."""

    error = "not-allowed"


class ConfirmationNeeded(NotAllowed):
    """It cannot be undone, and was not confirmed. The message says what would be lost, and for how many."""

    error = "confirmation-needed"
