"""Decisions on online emergency access: codes after the PIN, the end of the access, and the token's own codes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from sparekey.core.emergency.online import (
    LENGTH,
    EmergencyKind,
    IfAvailable,
    OnlineEmergency,
    ends_at,
    new_online_codes,
)
from sparekey.core.policy.lockout import FailureCount
from sparekey.core.policy.token import Alphabet
from sparekey.core.reasons import ChallengeKind, Method, Reason
from sparekey.core.sign_in.authenticate import AccountState, Snapshot, TokenState, decide
from sparekey.core.sign_in.challenge import decide_answer
from sparekey.core.sign_in.outcome import Asked, Denied, Granted, Outcome
from sparekey.core.sign_in.pins import new_verifier
from sparekey.core.sign_in.typed_text import read_typed
from sparekey.core.tokens import Totp
from sparekey.passcode import PasscodeKind, new_code, spelled
from sparekey.secret import Secret

NOW = 1_800_000_015
STEP = NOW // 30
PIN = "47ab"
VERIFIER = new_verifier(PIN)
CODE = "7KQ4TXRM"
DIGITS = "83920174"
LOCKED = FailureCount(5, NOW - 10, NOW - 5)


def an_access(
    *codes: str,
    kind: EmergencyKind = EmergencyKind.FIXED,
    if_available: IfAvailable = IfAvailable.DENY,
    expires_at: int | None = NOW + 1,
) -> OnlineEmergency:
    named = [(f"c{number}", Secret(code)) for number, code in enumerate(codes or (CODE,))]
    return OnlineEmergency(kind, if_available, expires_at, named)


def a_token(access: OnlineEmergency | None = None, **values: Any) -> TokenState:
    """A token with a PIN that has online emergency access."""
    defaults: dict[str, Any] = {
        "token_id": "t",
        "otp": Totp(Secret(b"12345678901234567890")),
        "drift": 0,
        "last_step": 0,
        "enabled": True,
        "lost": False,
        "expires_at": None,
        "with_pin": True,
        "pin": VERIFIER,
        "offline_code_online": False,
        "emergency": access or an_access(),
    }
    return TokenState(**{**defaults, **values})


def a_pin_less_token(access: OnlineEmergency | None = None, **values: Any) -> TokenState:
    return a_token(access, **{"with_pin": False, "pin": None, **values})


def decided(typed: str, *tokens: TokenState, failures: FailureCount = FailureCount()) -> Outcome:
    text = read_typed(Secret(typed), online_emergency=any(token.emergency for token in tokens))
    return decide(text, Snapshot(AccountState("a", "alice", True, None, failures), tokens), NOW)


def shown(token: TokenState, ahead: int = 0) -> str:
    return token.otp.code(STEP + ahead)


def a_grant(code_id: str = "c0") -> Granted:
    return Granted("a", "alice", Method.ONLINE_EMERGENCY, "t", code_id=code_id)


def a_denial(reason: Reason) -> Denied:
    return Denied(reason, "a", "t", counted=True)


@pytest.mark.parametrize("lost", [False, True])
def test_the_code_is_typed_after_the_pin_in_any_case_whether_the_token_is_lost_or_not(lost: bool) -> None:
    for typed in (PIN + CODE, PIN + CODE.lower(), f"  {PIN}{CODE}\n"):
        assert decided(typed, a_token(lost=lost)) == a_grant()
        assert decided(typed.replace(PIN, ""), a_pin_less_token(lost=lost)) == a_grant()


def test_each_code_of_a_set_is_known_by_its_id() -> None:
    access = an_access("AAAAAAAA", "BBBBBBBB", "CCCCCCCC", kind=EmergencyKind.ONE_TIME)
    assert decided(PIN + "CCCCCCCC", a_token(access)) == a_grant("c2")
    assert decided(PIN + "AAAAAAAA", a_token(access)) == a_grant("c0")
    assert decided(PIN + "DDDDDDDD", a_token(access)) == a_denial(Reason.WRONG_PASSCODE)


def test_a_used_up_set_is_refused() -> None:
    used_up = OnlineEmergency(EmergencyKind.ONE_TIME, IfAvailable.END, None, ())
    assert decided(PIN + CODE, a_token(used_up)) == a_denial(Reason.WRONG_PASSCODE)


@pytest.mark.parametrize("typed", [PIN.upper() + CODE, "4711" + CODE, PIN + CODE[:-1] + "9", PIN + "AAAAAAAA"])
def test_s41_a_wrong_pin_or_a_wrong_code_is_refused_and_counted(typed: str) -> None:
    assert decided(typed, a_token()) == a_denial(Reason.WRONG_PASSCODE)


def test_s41_the_code_without_its_pin_is_refused() -> None:
    refused = decided(CODE, a_token())
    assert isinstance(refused, Denied)
    assert refused.reason is Reason.WRONG_PASSCODE
    # the code of one token after the PIN of another
    other = a_token(token_id="u", pin=new_verifier("9999"), emergency=None)
    assert isinstance(decided("9999" + CODE, a_token(), other), Denied)


def test_a_pin_before_the_code_of_a_token_without_one_is_refused() -> None:
    refused = decided(PIN + CODE, a_pin_less_token())
    assert refused == Denied(Reason.WRONG_PASSCODE, "a", counted=True)


REFUSED: dict[Reason, dict[str, Any]] = {
    Reason.TOKEN_DISABLED: {"enabled": False},
    Reason.TOKEN_EXPIRED: {"expires_at": NOW},
    Reason.EMERGENCY_ENDED: {"emergency": an_access(expires_at=NOW)},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_s05_a_right_code_never_stands_in_for_a_token_that_is_disabled_or_expired(reason: Reason) -> None:
    assert decided(PIN + CODE, a_token(**REFUSED[reason])) == a_denial(reason)
    assert decided(CODE, a_pin_less_token(**REFUSED[reason])) == a_denial(reason)


def test_a_code_is_refused_while_the_pin_is_not_set() -> None:
    for typed in (CODE, PIN + CODE):
        refused = decided(typed, a_token(pin=None))
        assert isinstance(refused, Denied)
        assert refused.reason is Reason.WRONG_PASSCODE


def test_s06_a_locked_account_stays_locked_to_a_right_code() -> None:
    assert decided(PIN + CODE, a_token(), failures=LOCKED) == Denied(Reason.LOCKED, "a")


RULES = {
    # rule, whether the access has ended: whether the token's own codes are accepted
    (IfAvailable.DENY, False): False,
    (IfAvailable.DENY, True): False,
    (IfAvailable.END, False): True,
    (IfAvailable.END, True): True,
    (IfAvailable.AFTER_LIFETIME, False): False,
    (IfAvailable.AFTER_LIFETIME, True): True,
}


@pytest.mark.parametrize(("rule", "ended"), RULES)
def test_the_rule_for_a_token_that_becomes_available_is_applied(rule: IfAvailable, ended: bool) -> None:
    token = a_token(an_access(if_available=rule, expires_at=NOW if ended else NOW + 1))
    outcome = decided(PIN + shown(token), token)
    if RULES[rule, ended]:
        assert outcome == Granted("a", "alice", Method.TOKENCODE, "t", STEP, 0, ends_emergency=True)
    else:
        assert outcome == a_denial(Reason.TOKEN_IN_EMERGENCY)


def test_a_lost_token_stays_lost_under_every_rule() -> None:
    token = a_token(an_access(if_available=IfAvailable.END), lost=True)
    assert decided(PIN + shown(token), token) == a_denial(Reason.TOKEN_LOST)


def test_the_access_of_one_token_does_not_count_for_another() -> None:
    spare = a_token(token_id="u", otp=Totp(Secret(b"y" * 20)), emergency=None)
    outcome = decided(PIN + shown(spare), a_token(), spare)
    assert outcome == Granted("a", "alice", Method.TOKENCODE, "u", STEP, 0)
    assert decided(PIN + CODE, spare, a_token()) == a_grant()


def test_access_given_during_a_challenge_counts_for_the_answer() -> None:
    account, token = AccountState("a", "alice", True, None, FailureCount()), a_token()
    asked = Asked(ChallengeKind.NEXT_TOKENCODE, Granted("a", "alice", Method.TOKENCODE, "t", STEP))
    outcome = decide_answer(asked, Secret(shown(token, 1)), account, token, (), NOW + 30)
    assert outcome == Denied(Reason.TOKEN_IN_EMERGENCY, "a", "t")


# Texts that can be read in more ways than one


def test_eight_digits_are_tried_as_tokencode_and_as_emergency_tokencode() -> None:
    otp = Totp(Secret(b"12345678901234567890"), digits=8)
    token = a_token(an_access(DIGITS, if_available=IfAvailable.END), otp=otp)
    assert decided(PIN + DIGITS, token) == a_grant()
    outcome = decided(PIN + otp.code(STEP), token)
    assert isinstance(outcome, Granted)
    assert (outcome.method, outcome.ends_emergency) == (Method.TOKENCODE, True)
    pin_less = a_pin_less_token(an_access(DIGITS, if_available=IfAvailable.END), otp=otp)
    assert decided(DIGITS, pin_less) == a_grant()
    assert isinstance(decided(otp.code(STEP), pin_less), Granted)


def test_a_pin_that_ends_in_digits_and_six_digits_are_read_in_both_ways() -> None:
    # PIN 47ab12 and tokencode, or PIN 47ab and eight digits
    token = a_token(an_access(DIGITS, if_available=IfAvailable.END), pin=new_verifier("47ab12"))
    outcome = decided("47ab12" + shown(token), token)
    assert isinstance(outcome, Granted)
    assert outcome.method is Method.TOKENCODE
    assert decided("47ab12" + DIGITS, token) == a_grant()


def test_s07_a_misread_offline_code_that_was_tried_as_another_one_counts_and_is_named_like_any() -> None:
    code = new_code(2)
    misread = PIN + code[:9] + ("0" if code[9] != "0" else "1")
    assert decided(misread, a_token(emergency=None)) == Denied(Reason.MISREAD, "a", misread=(2,))
    # Its last eight characters were tried as an emergency tokencode: a guess, so it counts like any other.
    dashed = PIN + "-" + code[:5] + "-" + misread[-5:]
    refused = decided(misread, a_token())
    # a PIN before the last eight would have six characters, which it may have
    # The answer is the same for every user: nothing reveals who has such access (S07).
    assert refused == replace(a_denial(Reason.WRONG_PASSCODE), misread=(2,))
    locked = decided(misread, a_token(), failures=LOCKED)
    assert locked == Denied(Reason.LOCKED, "a", misread=(2,))
    # with dashes between groups it cannot be an emergency tokencode
    assert decided(dashed, a_token()) == Denied(Reason.MISREAD, "a", misread=(2,))


def test_text_is_read_as_an_online_emergency_code_only_with_such_access() -> None:
    reading = read_typed(Secret(PIN + CODE)).reading
    assert PasscodeKind.ONLINE_EMERGENCY not in reading.kinds
    reading = read_typed(Secret(PIN + CODE), online_emergency=True).reading
    assert PasscodeKind.ONLINE_EMERGENCY in reading.kinds


# Codes


@pytest.mark.parametrize("alphabet", Alphabet)
def test_codes_have_eight_characters_that_can_be_spelled_and_are_not_misread_for_one_another(
    alphabet: Alphabet,
) -> None:
    codes = [code.reveal() for code in new_online_codes(alphabet, 50)]
    assert {len(code) for code in codes} == {LENGTH}
    used = set("".join(codes))
    if alphabet is Alphabet.DIGITS:
        assert used <= set("0123456789")
    else:
        assert not used & set("01ILOU")
        assert used <= set("ABCDEFGHJKMNPQRSTVWXYZ23456789")
    assert all(spelled(code) for code in codes)


def test_the_codes_of_a_set_differ() -> None:
    drawn: Sequence[str] = ["1"] * 16 + ["2"] * 8
    codes = new_online_codes(Alphabet.DIGITS, 2, choose=lambda _, more=iter(drawn): next(more))  # type: ignore[misc]
    assert [code.reveal() for code in codes] == ["11111111", "22222222"]


def test_access_never_lasts_longer_than_token_and_account() -> None:
    assert ends_at(NOW, None, None, None) is None
    assert ends_at(NOW, 2, None, None) == NOW + 2 * 86_400
    assert ends_at(NOW, 2, NOW + 10, NOW + 20) == NOW + 10
    assert ends_at(NOW, None, None, NOW + 20) == NOW + 20
