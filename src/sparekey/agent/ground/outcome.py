"""What the device answers to whoever wants to sign in: a value with a sentence for people, never a truth value.

A reason that is true of the device may be said (clock, data run out, store damaged, server down, an emergency code is
needed); of the passcode no more is said than that it is not right.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NoReturn

from sparekey.core.plurals import counted
from sparekey.passcode import misread_words


class Result(StrEnum):
    """Only `granted` lets anybody in."""

    GRANTED = "granted"
    DENIED = "denied"
    ASK = "ask"
    UNAVAILABLE = "unavailable"


class Mode(StrEnum):
    """Who decided."""

    ONLINE = "online"
    OFFLINE = "offline"
    NONE = ""


class Ask(StrEnum):
    """What a server wants to know before it says yes or no. Only a server asks."""

    NOTHING = ""
    NEW_PIN = "new-pin"
    CONFIRM_PIN = "confirm-pin"
    NEXT_TOKENCODE = "next-tokencode"


class Reason(StrEnum):
    """Why not, for programs."""

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
    Reason.CLOCK,
    Reason.RUN_OUT,
    Reason.NO_DATA,
    Reason.DAMAGED,
    Reason.KEYS,
    Reason.SERVER_DOWN,
    Reason.NOT_ENROLLED,
    Reason.BUSY,
    Reason.BROKEN_OFF,
}

_LOCKOUT = "After too many wrong PINs this device tries none for a while"
_SENTENCES = {
    Reason.WRONG_PASSCODE: "The passcode is not right, or was used before.",
    Reason.EMERGENCY_CODE_NEEDED: "Too many failed attempts: an emergency code is needed now.",
    Reason.LOCKED: "The account is locked at the server: only an emergency code works here until it is unlocked.",
    Reason.PIN_LOCKOUT: f"{_LOCKOUT}: wait, or use an emergency code.",
    Reason.EMERGENCY_EXPIRED: "The emergency code on this device has expired.",
    Reason.CLOCK: "Data run out, or the clock is wrong: tokencodes cannot be checked. Set the clock, "
    "connect to the network, or use an emergency code.",
    Reason.RUN_OUT: "There are no offline data for tokencodes on this device any more. Connect to the network, "
    "or use an emergency code.",
    Reason.NO_DATA: "There are no offline data for this user on this device. Connect to the network and sign in once.",
    Reason.DAMAGED: "The offline data on this device are damaged. Connect to the network to renew them.",
    Reason.KEYS: "The keys of this device cannot be used at the moment.",
    Reason.SERVER_DOWN: "The server does not answer, and policy does not allow this offline meanwhile.",
    Reason.NOT_ENROLLED: "This device is not enrolled. Run: sparekey-agent enroll --server URL --code -",
    Reason.NOT_MAPPED: "This account signs in as nobody: the administrator of this computer has given it no login.",
    Reason.REFUSED: "The server refused this device.",
    Reason.ANSWER_REFUSED: "The answer was not accepted, or came too late. Begin again with your passcode.",
    Reason.BROKEN_OFF: "The server does not answer any more. Begin again with your passcode; if you had just confirmed "
    "a new PIN, it may count already.",
    Reason.BUSY: "Another sign-in is under way on this device. Try again.",
    Reason.INTERNAL: "Something went wrong on this device; the reason is in its log.",
}


_OF_STORES = {
    "not-enrolled": Reason.NOT_ENROLLED,
    "busy": Reason.BUSY,
    "damaged": Reason.DAMAGED,
    "no-key-file": Reason.DAMAGED,
    "unsafe": Reason.DAMAGED,
}

_QUESTIONS = {
    Ask.NEW_PIN: "Choose a new PIN.",
    Ask.CONFIRM_PIN: "Type the new PIN again.",
    Ask.NEXT_TOKENCODE: "Wait until the token shows another code, then type that code without the PIN.",
}


@dataclass(frozen=True)
class Refusal:
    """Why an offline attempt is refused; `counted`: a guess was tested."""

    reason: Reason
    misread: tuple[int, ...] = ()
    wait: int = 0  # seconds
    counted: bool = False

    @property
    def sentence(self) -> str:
        """For the person at the screen."""
        if self.reason is Reason.MISREAD:
            return f"{misread_words(self.misread)}. Nothing was counted: read it again."
        if self.reason is Reason.WAIT:
            return f"After failed emergency codes, wait {counted(self.wait, 'second')} and try again."
        if self.reason is Reason.PIN_LOCKOUT and self.wait:
            at_most = counted(-(-self.wait // 60), "minute")
            return f"{_LOCKOUT}: wait up to {at_most}, or use an emergency code."
        return _SENTENCES[self.reason]


@dataclass(frozen=True)
class LoginAnswer:
    """The whole answer; times are unix seconds, 0 where they do not apply."""

    result: Result
    mode: Mode = Mode.NONE
    method: str = ""
    days_left: int = 0
    emergency_expires: int = 0
    message: str = ""
    reason: Reason = Reason.NONE
    misread: tuple[int, ...] = ()
    ask: Ask = Ask.NOTHING
    reply_to: str = ""  # what the answer to `ask` has to name

    def __bool__(self) -> NoReturn:
        raise TypeError("an answer is neither true nor false: look at its result")


def refused(refusal: Refusal, mode: Mode, extra: str = "") -> LoginAnswer:
    """Denied or unavailable, as the reason says."""
    result = Result.UNAVAILABLE if refusal.reason in _UNAVAILABLE else Result.DENIED
    message = f"{refusal.sentence} {extra}".strip()
    return LoginAnswer(result, mode, message=message, reason=refusal.reason, misread=refusal.misread)


def unreadable(word: str, why: str) -> LoginAnswer:
    """Unavailable because the store is, by the word and the sentence of a `StoreUnreadable`."""
    reason = _OF_STORES.get(word, Reason.KEYS)
    return refused(Refusal(reason), Mode.NONE, why if reason in (Reason.DAMAGED, Reason.KEYS) else "")


def asked(ask: Ask, text: str, reply_to: str) -> LoginAnswer:
    """A question of the server's, in its words where it has some."""
    return LoginAnswer(Result.ASK, Mode.ONLINE, message=text or _QUESTIONS[ask], ask=ask, reply_to=reply_to)


def granted_offline(days: int, warn_days: int, emergency_until: int) -> str:
    """What a person who is in without the network should know; online, more is on its way."""
    parts = ["Signed in offline."]
    if emergency_until:
        parts.append(f"This emergency code works until {in_words(emergency_until)}.")
    if days <= warn_days:
        parts.append(f"{counted(days, 'day')} of offline data left: connect to the network soon.")
    return " ".join(parts)


def printable(words: str) -> str:
    """The words without what a terminal obeys or hides: names and help texts come from elsewhere, and the first answer
    of an enrolment from anybody."""
    return "".join(each if each.isprintable() or each == "\n" else "?" for each in words)


def in_words(at: int) -> str:
    """A time as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def as_rfc3339(at: int) -> str:
    """A time as programs read it; "" for 0."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
