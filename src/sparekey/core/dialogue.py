"""What an answer to a question leads to: a new PIN, its confirmation, or the next tokencode. Pure, like `authenticate`.

Rules: the account and the token are judged again, as they stand when the answer comes; the next tokencode is the one
right after the first, inside the same window, and a wrong one is a failure like any other; a PIN that cannot be taken
is asked for again, a few times; what is answered is never repeated.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sparekey.core.authenticate import AccountState, TokenState, after_right_tokencode
from sparekey.core.outcome import Ask, Asked, Denied, Granted, Method, Outcome, Reason
from sparekey.core.pins import PinError, PinVerifier, new_verifier, rule_of, verify_new_pin
from sparekey.passcode import is_pin
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
    """Judge an answer; `former`: the token's PINs, the present one first if there is one, then those before it."""
    closed = account.closed(now)
    unusable = token.unusable(now)
    if unusable is Reason.NO_PIN:
        unusable = None  # new-PIN mode: a PIN is what is asked for, now or next
    refused = closed or unusable or token.out_of_use(now)
    if refused is not None:
        return Denied(refused, account.account_id, token.token_id)
    if asked.ask is Ask.NEXT_TOKENCODE:
        return _judge_next(asked, answer, account, token, now)
    if not token.needs_new_pin(now, account.token_policy):
        # Somebody set one meanwhile: the tokencode alone does not replace it.
        return Denied(Reason.NO_SUCH_QUESTION, account.account_id, token.token_id)
    typed = answer.reveal().strip(" \r\n")
    if asked.ask is Ask.NEW_PIN:
        return _judge_new_pin(asked, typed, account, former)
    return _judge_confirmation(asked, typed, account, token)


def _judge_next(asked: Asked, answer: Secret[str], account: AccountState, token: TokenState, now: int) -> Outcome:
    following = asked.step + 1
    expected, typed = token.otp.code(following), answer.reveal().strip(" \r\n")
    right = hmac.compare_digest(expected.encode(), typed.encode(errors="surrogatepass"))
    # The token was at `asked.step` a moment ago: an event-based one goes on from there, whatever was used before.
    in_window = following in token.otp.candidates(now, token.drift, asked.step, account.token_policy.code_window)
    if not right or not in_window:
        return Denied(Reason.WRONG_PASSCODE, account.account_id, token.token_id, counted=True)
    if following <= token.last_step:
        used = Reason.ALREADY_USED
        return Denied(used, account.account_id, token.token_id, counted=True, replay_step=following)
    return after_right_tokencode(account, token, following, now, next_given=True)


def _judge_new_pin(asked: Asked, typed: str, account: AccountState, former: Sequence[PinVerifier]) -> Outcome:
    try:
        verify_new_pin(typed, account.token_policy, account.login, former)
    except PinError as error:
        return _asked_again(asked, Reason.PIN_NOT_ALLOWED, f"Not taken: {error}.")
    return replace(asked, ask=Ask.CONFIRM_PIN, text=CONFIRM_TEXT, pin=new_verifier(typed), uses_step=False)


def _judge_confirmation(asked: Asked, typed: str, account: AccountState, token: TokenState) -> Outcome | NewPin:
    if asked.pin is None:
        raise LookupError("a PIN is to be confirmed and there is none")
    if not is_pin(typed) or not asked.pin.matches(typed):
        rule = rule_of(account.token_policy)
        return _asked_again(asked, Reason.PINS_DIFFER, f"The two differ. Choose a new PIN: {rule}.")
    # The step was used up, and the drift learnt, when the PIN was asked for: minutes ago, maybe.
    granted = Granted(account.account_id, account.login, Method.TOKENCODE, token.token_id, asked.step, token.drift)
    return NewPin(replace(granted, ends_emergency=token.emergency is not None), asked.pin)


def _asked_again(asked: Asked, reason: Reason, text: str) -> Outcome:
    if asked.tries + 1 >= MOST_TRIES:
        return Denied(reason, asked.account_id, asked.token_id)
    return replace(asked, ask=Ask.NEW_PIN, text=text, tries=asked.tries + 1, pin=None, uses_step=False)
