"""The answers of the device to a sign-in: values with a sentence for people, never truth values.

Rules:
- A reason that is true of the device may be shown: clock, expired data, damaged store, server down, emergency code
  needed.
- About the passcode, the answer says only that it is not right.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NoReturn

from sparekey.core.plurals import counted
from sparekey.passcode import misread_words


class Result(StrEnum):
    """The results of a sign-in. Only `granted` lets a user in."""

    GRANTED = "granted"
    DENIED = "denied"
    ASK = "ask"
    UNAVAILABLE = "unavailable"


class Mode(StrEnum):
    """The side that decided."""

    ONLINE = "online"
    OFFLINE = "offline"
    NONE = ""


class Prompt(StrEnum):
    """The challenges of a server before it decides. Only a server sends them."""

    NOTHING = ""
    NEW_PIN = "new-pin"
    CONFIRM_PIN = "confirm-pin"
    NEXT_TOKENCODE = "next-tokencode"


class RefusalReason(StrEnum):
    """The reason for a refusal, for programs."""

    NONE = ""
    WRONG_PASSCODE = "wrong-passcode"
    MISREAD = "misread"
    EMERGENCY_CODE_NEEDED = "emergency-code-needed"
    LOCKED = "locked"
    PIN_LOCKOUT = "pin-lockout"
    WAIT = "wait"
    EMERGENCY_EXPIRED = "emergency-code-expired"
    CLOCK = "clock"
    RUN_OUT = "data-run-out"
    NO_DATA = "no-offline-data"
    DAMAGED = "store-damaged"
    KEYS = "keys-unusable"
    SERVER_DOWN = "server-down"
    NOT_ENROLLED = "not-enrolled"
    NOT_MAPPED = "name-not-mapped"
    REFUSED = "refused-by-server"
    ANSWER_REFUSED = "answer-refused"
    BROKEN_OFF = "broken-off"
    BUSY = "busy"
    INTERNAL = "internal-error"


_UNAVAILABLE = {
    RefusalReason.CLOCK,
    RefusalReason.RUN_OUT,
    RefusalReason.NO_DATA,
    RefusalReason.DAMAGED,
    RefusalReason.KEYS,
    RefusalReason.SERVER_DOWN,
    RefusalReason.NOT_ENROLLED,
    RefusalReason.BUSY,
    RefusalReason.BROKEN_OFF,
}

_LOCKOUT = "This device accepts no PIN for a while after too many wrong ones"
_SENTENCES = {
    RefusalReason.WRONG_PASSCODE: "The passcode is not right, or was used before.",
    RefusalReason.EMERGENCY_CODE_NEEDED: "Too many failed attempts. Use an emergency code now.",
    RefusalReason.LOCKED: "The account is locked at the server. Until it is unlocked, only an emergency code works "
    "here.",
    RefusalReason.PIN_LOCKOUT: f"{_LOCKOUT}. Wait, or use an emergency code.",
    RefusalReason.EMERGENCY_EXPIRED: "The emergency code on this device has expired.",
    RefusalReason.CLOCK: "Tokencodes cannot be checked: the clock is wrong, or the offline data have expired. Set the "
    "clock, connect to the network, or use an emergency code.",
    RefusalReason.RUN_OUT: "The offline data for tokencodes on this device have expired. Connect to the network, "
    "or use an emergency code.",
    RefusalReason.NO_DATA: "This device has no offline data for this user. Connect to the network and sign in once.",
    RefusalReason.DAMAGED: "The offline data on this device are damaged. Connect to the network to renew them.",
    RefusalReason.KEYS: "The keys of this device cannot be used right now.",
    RefusalReason.SERVER_DOWN: "The server does not answer, and the policy allows no offline sign-in while it is down.",
    RefusalReason.NOT_ENROLLED: "This device is not enrolled. Run `sparekey-agent enroll --server URL --code -`.",
    RefusalReason.NOT_MAPPED: "This account has no Sparekey login. Ask the administrator of this computer to map it to "
    "one.",
    RefusalReason.REFUSED: "The server refused this device.",
    RefusalReason.ANSWER_REFUSED: "The answer was not accepted, or came too late. Start again with your passcode.",
    RefusalReason.BROKEN_OFF: "The server stopped answering. Start again with your passcode. If you have just "
    "confirmed a new PIN, it may already be in use.",
    RefusalReason.BUSY: "Another sign-in is in progress on this device. Try again.",
    RefusalReason.INTERNAL: "An error occurred on this device. Its log has the reason.",
}


_OF_STORES = {
    "not-enrolled": RefusalReason.NOT_ENROLLED,
    "busy": RefusalReason.BUSY,
    "damaged": RefusalReason.DAMAGED,
    "no-key-file": RefusalReason.DAMAGED,
    "unsafe": RefusalReason.DAMAGED,
}

_PROMPTS = {
    Prompt.NEW_PIN: "Choose a new PIN.",
    Prompt.CONFIRM_PIN: "Type the new PIN again.",
    Prompt.NEXT_TOKENCODE: "Wait until the token shows a new code, then type that code without the PIN.",
}


@dataclass(frozen=True)
class Refusal:
    """The refusal of an offline attempt. `counted` is True if a guess was tested."""

    reason: RefusalReason
    misread: tuple[int, ...] = ()
    wait: int = 0  # seconds
    counted: bool = False

    @property
    def sentence(self) -> str:
        """Return the sentence for the user."""
        if self.reason is RefusalReason.MISREAD:
            return f"{misread_words(self.misread)}. Check the code and type it again. This attempt was not counted."
        if self.reason is RefusalReason.WAIT:
            return f"Too many failed emergency codes: wait {counted(self.wait, 'second')} and try again."
        if self.reason is RefusalReason.PIN_LOCKOUT and self.wait:
            at_most = counted(-(-self.wait // 60), "minute")
            return f"{_LOCKOUT}. Wait up to {at_most}, or use an emergency code."
        return _SENTENCES[self.reason]


@dataclass(frozen=True)
class LoginAnswer:
    """The complete answer. Times are unix seconds, 0 if they do not apply."""

    result: Result
    mode: Mode = Mode.NONE
    method: str = ""
    days_left: int = 0
    emergency_expires: int = 0
    message: str = ""
    reason: RefusalReason = RefusalReason.NONE
    misread: tuple[int, ...] = ()
    ask: Prompt = Prompt.NOTHING
    reply_to: str = ""  # the mark that the answer to `ask` must repeat

    def __bool__(self) -> NoReturn:
        raise TypeError("an answer has no truth value: use its `result`")


def refused(refusal: Refusal, mode: Mode, extra: str = "") -> LoginAnswer:
    """Return the answer for a refusal: denied or unavailable, by its reason."""
    result = Result.UNAVAILABLE if refusal.reason in _UNAVAILABLE else Result.DENIED
    message = f"{refusal.sentence} {extra}".strip()
    return LoginAnswer(result, mode, message=message, reason=refusal.reason, misread=refusal.misread)


def unreadable(word: str, why: str) -> LoginAnswer:
    """Return "unavailable", with the word and the message of a StoreUnreadable."""
    reason = _OF_STORES.get(word, RefusalReason.KEYS)
    return refused(Refusal(reason), Mode.NONE, why if reason in (RefusalReason.DAMAGED, RefusalReason.KEYS) else "")


def asked(ask: Prompt, text: str, reply_to: str) -> LoginAnswer:
    """Return a challenge of the server, in the server's words if it sent some."""
    return LoginAnswer(Result.ASK, Mode.ONLINE, message=text or _PROMPTS[ask], ask=ask, reply_to=reply_to)


def granted_offline(days: int, warn_days: int, emergency_until: int) -> str:
    """Return the sentence for a user who has signed in offline. Online sign-ins need none, because new data follow."""
    parts = ["Signed in offline."]
    if emergency_until:
        parts.append(f"This emergency code works until {in_words(emergency_until)}.")
    if days <= warn_days:
        parts.append(f"{counted(days, 'day')} of offline data left: connect to the network soon.")
    return " ".join(parts)


def printable(text: str) -> str:
    """Return the text without control characters, which a terminal would obey or hide. Names and help texts come from
    other machines, and the first answer of an enrolment is not yet trusted."""
    return "".join(character if character.isprintable() or character == "\n" else "?" for character in text)


def in_words(at: int) -> str:
    """Return a unix time as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def as_rfc3339(at: int) -> str:
    """Return a unix time in RFC 3339; "" for 0."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
