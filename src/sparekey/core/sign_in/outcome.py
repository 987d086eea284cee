"""The outcomes of the decision. Callers must match on them: an outcome is neither a truth value nor an exception.

A denial is saved like a success (failure count, event). An exception would roll it back with the transaction, and
lockout would never happen (architecture, rule 2).
"""

from dataclasses import dataclass, field
from typing import NoReturn

from sparekey.core.reasons import ChallengeKind, Method, Reason
from sparekey.core.sign_in.pins import PinVerifier


class _Outcome:
    def __bool__(self) -> NoReturn:
        raise TypeError("an outcome is neither true nor false: match on Granted, Denied and Asked")


@dataclass(frozen=True)
class Granted(_Outcome):
    """The passcode is correct. It counts only after `storage.sign_in.statements.commit` has saved it."""

    account_id: str
    login: str
    method: Method
    token_id: str | None = None
    step: int | None = None  # of a tokencode: every step up to this one is used up
    drift: int = 0
    code_id: str | None = None  # of an emergency code: the version that was used
    ends_emergency: bool = False  # the token is available, so its online emergency access ends
    # With so many failures or more, the commit asks for the next tokencode; 0: never. Not part of the decision.
    asks_after: int = field(default=0, compare=False)
    # The version of the counts of failures, and whether the success has cleared the count, once it is saved.
    counts_version: int = field(default=0, compare=False)
    cleared: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Denied(_Outcome):
    """The sign-in is refused. `counted`: a guess was tested, so it counts as a failure."""

    reason: Reason
    account_id: str | None = None
    token_id: str | None = None
    counted: bool = False
    replay_step: int | None = None  # correct code of a used step: counted at most once per step
    misread: tuple[int, ...] = ()  # numbers of the misread groups of an emergency code
    # The version of the counts of failures that this failure made, once it is saved; None: it changed no count.
    counts_version: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Asked(_Outcome):
    """The passcode is correct, and the user must answer a challenge before the sign-in is granted."""

    ask: ChallengeKind
    granted: Granted  # the outcome without the challenge
    text: str = ""  # for the screen
    tries: int = 0  # refused answers
    pin: PinVerifier | None = None  # to be confirmed
    # True: the typed code is used up now, not when the answer comes, because no other code follows a new PIN.
    uses_code: bool = False


Outcome = Granted | Denied | Asked
