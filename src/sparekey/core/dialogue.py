"""What an answer to a question leads to: a new PIN, its confirmation, or the next tokencode. Pure, like `authenticate`.

Rules: the account and the token are judged again, as they stand when the answer comes; a wrong next tokencode is a
failure like any other; a PIN that cannot be taken is asked for again, a few times; what is answered is never repeated.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sparekey.core.authenticate import AccountState, TokenState, after_right_tokencode
from sparekey.core.outcome import Ask, Asked, Denied, Granted, Method, Outcome, Reason
from sparekey.core.pins import PinError, PinVerifier, new_verifier, rule_of, verify_new_pin
from sparekey.secret import Secret

MOST_TRIES: Final = 3  # PINs that could not be taken; then the sign-in begins anew
CONFIRM_TEXT: Final = "Enter the new PIN once more."


@dataclass(frozen=True)
class NewPin:
    """The success that sets a PIN."""

    granted: Granted
    pin: PinVerifier


def decide_answer(
    asked: Asked, answer: Secret[str], account: AccountState, token: TokenState, former: Sequence[PinVerifier], now: int
) -> Outcome | NewPin:
    """Judge an answer; `former`: the token's PINs before the present one, newest first."""
    closed = account.closed(now)
    unusable = token.unusable(now)
    if unusable is Reason.NO_PIN:
        unusable = None  # new-PIN mode: a PIN is what is asked for, now or next
    refused = closed or unusable or token.out_of_use(now)
    if refused is not None:
        return Denied(refused, account.account_id, token.token_id)
    if asked.ask is Ask.NEXT_TOKENCODE:
        return _judge_next(asked, answer, account, token, now)
    typed = answer.reveal().strip(" \r\n")
    if asked.ask is Ask.NEW_PIN:
        return _judge_new_pin(asked, typed, account, token, former)
    return _judge_confirmation(asked, typed, account, token, now)


def _judge_next(asked: Asked, answer: Secret[str], account: AccountState, token: TokenState, now: int) -> Outcome:
    following = asked.step + 1
    expected, typed = token.otp.code(following), answer.reveal().strip(" \r\n")
    right = hmac.compare_digest(expected.encode(), typed.encode(errors="surrogatepass"))
    if not right or following <= token.last_step:
        return Denied(Reason.WRONG_PASSCODE, account.account_id, token.token_id, counted=True)
    return after_right_tokencode(account, token, following, now, next_given=True)


def _judge_new_pin(
    asked: Asked, typed: str, account: AccountState, token: TokenState, former: Sequence[PinVerifier]
) -> Outcome:
    # The present PIN is no new one, even where policy looks at none before it.
    if token.pin is not None and token.pin.matches(typed):
        return _asked_again(asked, Reason.PIN_NOT_ALLOWED, "This is the present PIN: choose another one.")
    try:
        verify_new_pin(typed, account.token_policy, account.login, former)
    except PinError as error:
        return _asked_again(asked, Reason.PIN_NOT_ALLOWED, f"Not taken: {error}.")
    return replace(asked, ask=Ask.CONFIRM_PIN, text=CONFIRM_TEXT, pin=new_verifier(typed), uses_step=False)


def _judge_confirmation(
    asked: Asked, typed: str, account: AccountState, token: TokenState, now: int
) -> Outcome | NewPin:
    if asked.pin is None:
        raise LookupError("a PIN is to be confirmed and there is none")
    if not asked.pin.matches(typed):
        rule = rule_of(account.token_policy)
        return _asked_again(asked, Reason.PINS_DIFFER, f"The two differ. Choose a new PIN: {rule}.")
    drift = token.otp.drift_after(now, asked.step)
    granted = Granted(account.account_id, account.login, Method.TOKENCODE, token.token_id, asked.step, drift)
    return NewPin(replace(granted, ends_emergency=token.emergency is not None), asked.pin)


def _asked_again(asked: Asked, reason: Reason, text: str) -> Outcome:
    if asked.tries + 1 >= MOST_TRIES:
        return Denied(reason, asked.account_id, asked.token_id)
    return replace(asked, ask=Ask.NEW_PIN, text=text, tries=asked.tries + 1, pin=None, uses_step=False)
