"""What an operator says for the record: before a code is shown, how the caller was identified; a note and a ticket, if
any."""

from dataclasses import dataclass

from sparekey.core.errors import BadInput


@dataclass(frozen=True)
class Showing:
    """The operator's statement of how the caller was identified."""

    caller: str
    note: str = ""
    ticket: str = ""


def verify_showing(showing: Showing) -> None:
    """Raises BadInput unless it is said how the caller was identified, in texts that can be kept."""
    if not showing.caller.strip():
        raise BadInput(
            "the caller has not been identified",
            "say how you identified the caller, for example --caller 'called back'",
        )
    verify_said((showing.caller, 200, "caller"), (showing.note, 500, "note"), (showing.ticket, 100, "ticket"))


def verify_said(*said: tuple[str, int, str]) -> None:
    """Texts that go on record, with the longest that each may be and what it is. Raises BadInput."""
    for text, longest, what in said:
        if len(text) > longest or not text.isprintable():
            raise BadInput(
                f"the {what} is too long, or contains unprintable characters",
                f"give at most {longest} printable characters",
            )
