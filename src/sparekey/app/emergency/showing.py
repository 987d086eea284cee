"""The identification that an operator gives before a code is shown: of the caller, with an optional note and ticket."""

from dataclasses import dataclass

from sparekey.core.errors import BadInput


@dataclass(frozen=True)
class Showing:
    """The identification of the caller, for the audit log. `caller`: how the operator identified them."""

    caller: str
    note: str = ""
    ticket: str = ""


def verify_showing(showing: Showing) -> None:
    """Raise BadInput if the identification is missing, or a text is too long or has unprintable characters."""
    if not showing.caller.strip():
        raise BadInput(
            "the caller has not been identified",
            "say how you identified the caller, for example --caller 'called back'",
        )
    verify_texts((showing.caller, 200, "caller"), (showing.note, 500, "note"), (showing.ticket, 100, "ticket"))


def verify_texts(*texts: tuple[str, int, str]) -> None:
    """Verify texts for the audit log, each with its maximum length and its name. Raises BadInput."""
    for text, longest, what in texts:
        if len(text) > longest or not text.isprintable():
            raise BadInput(
                f"the {what} is too long, or contains unprintable characters",
                f"give at most {longest} printable characters",
            )
