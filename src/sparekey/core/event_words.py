"""What happened, in words for people: one phrase for each action of the record."""

from sparekey.core.events import Action


def happened(action: str) -> str:
    """`emergency.shown` as a person reads it; an action of a newer server as it is written."""
    return _WORDS.get(action, action.replace(".", " ").replace("-", " "))


_WORDS: dict[str, str] = {
    Action.SIGN_IN_GRANTED: "signed in",
    Action.SIGN_IN_DENIED: "was refused",
    Action.EMERGENCY_SHOWN: "was shown the emergency code",
    Action.EMERGENCY_RESET: "reset the emergency code",
}
