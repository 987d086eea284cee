"""What a decision can be: a value that has to be looked at, never a truth value and never an exception.

A denial is saved like a success (failure count, audit row); as an exception it would be rolled back with the
transaction, and lockout would never fire (architecture, rule 2).
"""

from dataclasses import dataclass, field
from typing import NoReturn

from sparekey.core.reasons import Ask, Method, Reason
from sparekey.core.sign_in.pins import PinVerifier


class _Outcome:
    def __bool__(self) -> NoReturn:
        raise TypeError("an outcome is neither true nor false: match on Granted, Denied and Asked")


@dataclass(frozen=True)
class Granted(_Outcome):
    """The passcode is right. It counts only once `storage.sign_in.statements.commit` has made it so."""

    account_id: str
    login: str
    method: Method
    token_id: str | None = None
    step: int | None = None  # of a tokencode: every step up to this one is used up
    drift: int = 0
    code_id: str | None = None  # of an emergency code: the version that was used
    ends_emergency: bool = False  # the token is available: its online emergency access is over
    # With so many failures by now the next tokencode is asked for instead; 0: never. No part of what was decided.
    asks_after: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Denied(_Outcome):
    """Refused. `counted`: a guess was tested, so one failure is due."""

    reason: Reason
    account_id: str | None = None
    token_id: str | None = None
    counted: bool = False
    replay_step: int | None = None  # right code of a used step: counted at most once per step
    misread: tuple[int, ...] = ()  # numbers of the groups of an emergency code that were misread


@dataclass(frozen=True)
class Asked(_Outcome):
    """The passcode is right, and something else is to be answered before anybody is let in."""

    ask: Ask
    granted: Granted  # what the sign-in would be without the question
    text: str = ""  # for the screen
    tries: int = 0  # answers that could not be taken
    pin: PinVerifier | None = None  # to be confirmed
    # A new PIN ends the sign-in with no other code: the one that was typed is used up now, not when the answer comes.
    uses_code: bool = False


Outcome = Granted | Denied | Asked
