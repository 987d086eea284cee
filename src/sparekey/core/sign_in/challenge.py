"""Decide about the answer to a challenge: a new PIN, its confirmation, or the next tokencode. Pure.

Rules:
- The account and the token are checked again, in their state when the answer arrives.
- The next tokencode is the one right after the first, inside the same window. A wrong one counts as a failure.
- After a PIN that is not allowed, or a wrong confirmation, the user may try again. The third failure denies.
- No message contains the user's answer.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sparekey.core.reasons import ChallengeKind, Method, Reason
from sparekey.core.sign_in.authenticate import AccountState, TokenState, after_right_tokencode, already_used
from sparekey.core.sign_in.outcome import Asked, Denied, Granted, Outcome
from sparekey.core.sign_in.pins import PinError, PinVerifier, new_verifier, rule_of, verify_new_pin
from sparekey.passcode import is_pin
from sparekey.secret import Secret

MOST_TRIES: Final = 3  # refused PINs; then the user must sign in again
CONFIRM_TEXT: Final = "Enter the new PIN once more."


@dataclass(frozen=True)
class NewPin:
    """A success that also sets a PIN."""

    granted: Granted
    pin: PinVerifier


def decide_answer(
    asked: Asked, answer: Secret[str], account: AccountState, token: TokenState, former: Sequence[PinVerifier], now: int
) -> Outcome | NewPin:
    """Decide about an answer. `former`: the token's PINs, the current one first if there is one, then older ones."""
    closed = account.closed(now)
    unusable = token.unusable(now)
    if unusable is Reason.NO_PIN:
        unusable = None  # new-PIN mode: this challenge or the next one sets a PIN
    refused = closed or unusable or _withheld(asked.granted.method, token, now)
    if refused is not None:
        return Denied(refused, account.account_id, token.token_id)
    if asked.ask is ChallengeKind.NEXT_TOKENCODE:
        return _decide_next(asked, answer, account, token, now)
    if not token.needs_new_pin(now, account.token_policy):
        # An administrator has set a PIN meanwhile: a user with the tokencode alone must not replace it.
        return Denied(Reason.NO_SUCH_CHALLENGE, account.account_id, token.token_id)
    typed = answer.reveal().strip(" \r\n")
    if asked.ask is ChallengeKind.NEW_PIN:
        return _decide_new_pin(asked, typed, account, former)
    return _decide_confirmation(asked, typed, account, token)


def _withheld(method: Method, token: TokenState, now: int) -> Reason | None:
    """Return the reason why the first code would no longer be accepted, or None."""
    match method:
        case Method.TOKENCODE:
            return token.out_of_use(now)
        case Method.ONLINE_EMERGENCY:
            there = token.emergency is not None and not token.emergency.ended(now)
            return None if there else Reason.EMERGENCY_ENDED
        case _:
            return None if token.offline_code_online else Reason.OFFLINE_CODE_NOT_ALLOWED_ONLINE


def _decide_next(asked: Asked, answer: Secret[str], account: AccountState, token: TokenState, now: int) -> Outcome:
    first = asked.granted.step
    if first is None:
        raise LookupError("the next tokencode is asked for and there was none before it")
    following = first + 1
    expected, typed = token.otp.code(following), answer.reveal().strip(" \r\n")
    right = hmac.compare_digest(expected.encode(), typed.encode(errors="surrogatepass"))
    # The token showed `first` a moment ago. An event-based token continues from there, whatever its last step.
    in_window = following in token.otp.candidates(now, token.drift, first, account.token_policy.code_window)
    if not right or not in_window:
        return Denied(Reason.WRONG_PASSCODE, account.account_id, token.token_id, counted=True)
    if following <= token.last_step:
        return already_used(account, token, following)
    return after_right_tokencode(account, token, following, now, next_given=True)


def _decide_new_pin(asked: Asked, typed: str, account: AccountState, former: Sequence[PinVerifier]) -> Outcome:
    try:
        verify_new_pin(typed, account.token_policy, account.login, former)
    except PinError as error:
        return _asked_again(asked, Reason.PIN_NOT_ALLOWED, f"Not taken: {error}.")
    return replace(asked, ask=ChallengeKind.CONFIRM_PIN, text=CONFIRM_TEXT, pin=new_verifier(typed), uses_code=False)


def _decide_confirmation(asked: Asked, typed: str, account: AccountState, token: TokenState) -> Outcome | NewPin:
    if asked.pin is None:
        raise LookupError("there is no PIN to confirm")
    if not is_pin(typed) or not asked.pin.matches(typed):
        rule = rule_of(account.token_policy)
        return _asked_again(asked, Reason.PINS_DIFFER, f"The two differ. Choose a new PIN: {rule}.")
    # The challenge used up the code and learnt the drift, maybe minutes ago.
    available = asked.granted.method is Method.TOKENCODE
    return NewPin(
        replace(asked.granted, drift=token.drift, ends_emergency=available and token.emergency is not None), asked.pin
    )


def _asked_again(asked: Asked, reason: Reason, text: str) -> Outcome:
    if asked.tries + 1 >= MOST_TRIES:
        return Denied(reason, asked.granted.account_id, asked.granted.token_id)
    return replace(asked, ask=ChallengeKind.NEW_PIN, text=text, tries=asked.tries + 1, pin=None, uses_code=False)
