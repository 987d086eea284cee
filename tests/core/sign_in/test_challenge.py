"""Challenges after a right passcode: the next tokencode, a new PIN, its confirmation; decided on values alone."""

from dataclasses import replace

import pytest

from sparekey.core.emergency.online import EmergencyKind, IfAvailable, OnlineEmergency
from sparekey.core.policy.lockout import FailureCount
from sparekey.core.policy.token import PinCharacters, TokenPolicy
from sparekey.core.reasons import ChallengeKind, Method, Reason
from sparekey.core.sign_in.authenticate import AccountState, Snapshot, TokenState, decide
from sparekey.core.sign_in.challenge import MOST_TRIES, NewPin, decide_answer
from sparekey.core.sign_in.outcome import Asked, Denied, Granted, Outcome
from sparekey.core.sign_in.pins import PinVerifier, new_verifier
from sparekey.core.sign_in.typed_text import read_typed
from sparekey.core.tokens import Hotp, Totp
from sparekey.core.tokens.hotp import FAR, NEAR
from sparekey.secret import Secret

DAY = 86_400
NOW = 1_800_000_015
STEP = NOW // 30
SEED = Secret(b"12345678901234567890")
PIN, OTHER = "4711ab", "9876xy"
VERIFIER, OTHERS = new_verifier(PIN), new_verifier(OTHER)
TOTP, HOTP = Totp(SEED), Hotp(SEED)
COUNTER = 20  # last accepted one of the event-based token


def an_account(failures: int | FailureCount = 0, **values: object) -> AccountState:
    defaults: dict[str, object] = {"account_id": "a", "login": "alice", "enabled": True, "expires_at": None}
    count = failures if isinstance(failures, FailureCount) else FailureCount(failures, NOW - 60 if failures else None)
    return AccountState(**{"failures": count, **defaults, **values})  # type: ignore[arg-type] # a builder


def a_token(**values: object) -> TokenState:
    """A time-based token with a PIN."""
    defaults: dict[str, object] = {
        "token_id": "t",
        "otp": TOTP,
        "drift": 0,
        "last_step": 0,
        "enabled": True,
        "lost": False,
        "expires_at": None,
        "with_pin": True,
        "pin": VERIFIER,
        "offline_code_online": False,
    }
    return TokenState(**{**defaults, **values})  # type: ignore[arg-type] # a builder


def renewing(**values: object) -> TokenState:
    """Return a token with a PIN that must be changed."""
    return a_token(pin_must_change=True, **values)


def an_event_token(**values: object) -> TokenState:
    return a_token(otp=HOTP, last_step=COUNTER, **values)


def typed(text: str, token: TokenState, account: AccountState | None = None, now: int = NOW) -> Outcome:
    return decide(read_typed(Secret(text)), Snapshot(account or an_account(), (token,)), now)


def asked(outcome: Outcome | NewPin) -> Asked:
    assert isinstance(outcome, Asked), outcome
    return outcome


def answered(
    challenge: Asked,
    text: str,
    token: TokenState,
    account: AccountState | None = None,
    *,
    former: tuple[PinVerifier, ...] | None = None,
    now: int = NOW,
    still_needed: bool = True,
) -> Outcome | NewPin:
    if still_needed and challenge.ask is not ChallengeKind.NEXT_TOKENCODE:
        token = replace(token, pin_must_change=True)
    if former is None:
        former = (token.pin,) if token.pin is not None else ()
    return decide_answer(challenge, Secret(text), account or an_account(), token, former, now)


def a_grant(step: int) -> Granted:
    return Granted("a", "alice", Method.TOKENCODE, "t", step)


def next_asked(step: int = STEP, **values: object) -> Asked:
    return replace(Asked(ChallengeKind.NEXT_TOKENCODE, a_grant(step)), **values)  # type: ignore[arg-type] # a builder


def pin_asked(**values: object) -> Asked:
    return replace(Asked(ChallengeKind.NEW_PIN, a_grant(STEP)), **values)  # type: ignore[arg-type] # a builder


# When something is asked


@pytest.mark.parametrize(("failures", "asks"), [(2, False), (3, True), (4, True)])
def test_the_next_tokencode_is_required_after_the_policy_s_failures(failures: int, asks: bool) -> None:
    outcome = typed(PIN + TOTP.code(STEP), a_token(), an_account(failures))
    assert isinstance(outcome, Asked if asks else Granted)
    if isinstance(outcome, Asked):
        assert (outcome.ask, outcome.granted.step, outcome.uses_code) == (ChallengeKind.NEXT_TOKENCODE, STEP, False)


@pytest.mark.parametrize("after", [0, 1, 10])
def test_policy_sets_the_number_of_failures_before_the_next_tokencode(after: int) -> None:
    account = an_account(4, token_policy=TokenPolicy(next_tokencode_after=after))
    assert isinstance(typed(PIN + TOTP.code(STEP), a_token(), account), Asked) is (after == 1)


def test_a_wrong_passcode_is_asked_nothing() -> None:
    outcome = typed(OTHER + TOTP.code(STEP), a_token(), an_account(4))
    assert isinstance(outcome, Denied)
    assert outcome.counted


@pytest.mark.parametrize(("ahead", "asks"), [(1, False), (NEAR, False), (NEAR + 1, True), (FAR, True)])
def test_an_event_token_far_ahead_is_asked_for_the_next_one(ahead: int, asks: bool) -> None:
    outcome = typed(PIN + HOTP.code(COUNTER + ahead), an_event_token())
    if asks:
        assert asked(outcome).granted.step == COUNTER + ahead
        assert not asked(outcome).uses_code  # the counter stays where it is until the second code is right
    else:
        assert isinstance(outcome, Granted)


def test_an_event_token_beyond_that_is_refused() -> None:
    assert isinstance(typed(PIN + HOTP.code(COUNTER + FAR + 1), an_event_token()), Denied)


def test_a_near_counter_goes_before_a_far_one_that_shows_the_same_code() -> None:
    same = next(
        (near, far)
        for last in range(0, 200_000, 97)
        for near in range(last + 1, last + NEAR + 1)
        for far in range(last + NEAR + 1, last + FAR + 1)
        if _SHORT.code(near) == _SHORT.code(far)
    )
    outcome = typed(PIN + _SHORT.code(same[0]), a_token(otp=_SHORT, last_step=same[0] - 1))
    assert isinstance(outcome, Granted)
    assert outcome.step == same[0]


class _FewCodes(Hotp):
    """Shows few codes, so that two counters soon show the same one."""

    def code(self, step: int) -> str:
        return f"{int(super().code(step)) % 100:06d}"


_SHORT = _FewCodes(SEED)


@pytest.mark.parametrize(
    ("values", "policy"),
    [({"pin_must_change": True}, TokenPolicy()), ({"pin_set_at": NOW - DAY}, TokenPolicy(pin_lifetime=1))],
    ids=["it has to be changed", "it is too old"],
)
def test_a_new_pin_is_asked_for_after_pin_and_tokencode(values: dict[str, object], policy: TokenPolicy) -> None:
    account = an_account(token_policy=policy)
    challenge = asked(typed(PIN + TOTP.code(STEP - 1), a_token(**values), account))
    # The tokencode is used up now, and the drift is learnt while it is known.
    assert (challenge.ask, challenge.uses_code, challenge.granted.step, challenge.granted.drift) == (
        ChallengeKind.NEW_PIN,
        True,
        STEP - 1,
        -1,
    )
    assert "4 to 8 letters or digits" in challenge.text


def test_a_pin_lasts_to_the_end_of_its_lifetime() -> None:
    account = an_account(token_policy=TokenPolicy(pin_lifetime=1))
    assert isinstance(typed(PIN + TOTP.code(STEP), a_token(pin_set_at=NOW - DAY + 1), account), Granted)


def test_without_a_pin_the_tokencode_leads_only_to_the_challenge() -> None:
    bare = a_token(pin=None)
    challenge = asked(typed(TOTP.code(STEP), bare))
    assert (challenge.ask, challenge.uses_code) == (ChallengeKind.NEW_PIN, True)
    with_old_pin = typed(PIN + TOTP.code(STEP), bare)
    assert isinstance(with_old_pin, Denied)
    assert with_old_pin.reason is Reason.NO_PIN


@pytest.mark.parametrize("digits", [6, 7, 8])
@pytest.mark.parametrize("typed_digits", [6, 7, 8])
def test_in_new_pin_mode_only_the_tokens_own_length_is_its_tokencode(digits: int, typed_digits: int) -> None:
    otp = Totp(SEED, digits)
    text = Totp(SEED, typed_digits).code(STEP)
    assert isinstance(typed(text, a_token(otp=otp, pin=None)), Asked) is (digits == typed_digits)


def test_both_challenges_one_after_the_other() -> None:
    token, account = a_token(pin_must_change=True), an_account(3)
    first = asked(typed(PIN + TOTP.code(STEP), token, account))
    assert (first.ask, first.uses_code) == (ChallengeKind.NEXT_TOKENCODE, False)
    second = asked(answered(first, TOTP.code(STEP + 1), token, account))
    assert (second.ask, second.granted.step, second.uses_code) == (ChallengeKind.NEW_PIN, STEP + 1, True)


# The next tokencode


@pytest.mark.parametrize("around", ["", " ", "\r\n"])
def test_the_following_tokencode_is_granted(around: str) -> None:
    outcome = answered(next_asked(), around + TOTP.code(STEP + 1) + around, a_token(), an_account(3))
    assert outcome == Granted("a", "alice", Method.TOKENCODE, "t", STEP + 1, 1)


@pytest.mark.parametrize("step", [STEP - 1, STEP, STEP + 2])
def test_any_other_next_tokencode_is_wrong_and_counts(step: int) -> None:
    outcome = answered(next_asked(), TOTP.code(step), a_token(), an_account(3))
    assert outcome == Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True)


@pytest.mark.parametrize(
    "text", ["", "abcdef", "\ud800", "１２３４５６", PIN + TOTP.code(STEP + 1), TOTP.code(STEP + 1) + "0"]
)
def test_a_wrong_next_tokencode_is_refused_and_counted(text: str) -> None:
    outcome = answered(next_asked(), text, a_token(), an_account(3))
    assert outcome == Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True)


def test_the_following_tokencode_is_refused_once_the_window_has_passed_it() -> None:
    end = (STEP + 3) * 30  # it was expected at STEP + 1, and is accepted one step later
    right = TOTP.code(STEP + 1)
    assert isinstance(answered(next_asked(), right, a_token(), now=end - 1), Granted)
    late = answered(next_asked(), right, a_token(), now=end)
    assert late == Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True)


def test_a_next_tokencode_that_was_used_meanwhile_counts_as_a_repeat() -> None:
    outcome = answered(next_asked(), TOTP.code(STEP + 1), a_token(last_step=STEP + 1))
    assert outcome == Denied(Reason.ALREADY_USED, "a", "t", counted=True, replay_step=STEP + 1)


def test_an_event_token_goes_on_from_where_it_was() -> None:
    far = COUNTER + FAR
    outcome = answered(next_asked(far), HOTP.code(far + 1), an_event_token())
    assert outcome == Granted("a", "alice", Method.TOKENCODE, "t", far + 1, 0)


# A new PIN


def test_a_pin_is_asked_for_twice_and_then_set() -> None:
    token = a_token(pin=None)
    challenge = asked(answered(pin_asked(), OTHER, token))
    assert (challenge.ask, challenge.uses_code, challenge.granted.step) == (ChallengeKind.CONFIRM_PIN, False, STEP)
    assert OTHER not in repr(challenge)
    done = answered(challenge, OTHER, token)
    assert isinstance(done, NewPin)
    assert done.granted == Granted("a", "alice", Method.TOKENCODE, "t", STEP, 0)
    assert done.pin.matches(OTHER)


def test_the_drift_ignores_the_user_s_thinking_time() -> None:
    challenge = replace(pin_asked(), ask=ChallengeKind.CONFIRM_PIN, pin=OTHERS)
    done = answered(challenge, OTHER, renewing(drift=2), now=NOW + 600)
    assert isinstance(done, NewPin)
    assert done.granted.drift == 2


def test_two_different_new_pins_restart_the_choice() -> None:
    challenge = replace(pin_asked(), ask=ChallengeKind.CONFIRM_PIN, pin=OTHERS)
    again = asked(answered(challenge, "0815zz", renewing()))
    assert (again.ask, again.pin, again.tries) == (ChallengeKind.NEW_PIN, None, 1)


@pytest.mark.parametrize(
    "pin", ["", "123", "123456789", "47 11", "ä7111", "\ud800777", "1234", "PASSWORD", "7777", "AlIcE", PIN]
)
def test_a_pin_that_cannot_be_taken_is_asked_for_again(pin: str) -> None:
    again = asked(answered(pin_asked(), pin, renewing()))
    assert (again.ask, again.tries) == (ChallengeKind.NEW_PIN, 1)
    assert not pin or pin not in again.text


@pytest.mark.parametrize(
    ("pin", "policy", "taken"),
    [
        ("12ab", TokenPolicy(pin_characters=PinCharacters.DIGITS), False),
        ("4713", TokenPolicy(pin_characters=PinCharacters.DIGITS), True),
        ("4713", TokenPolicy(pin_characters=PinCharacters.BOTH), False),
        ("47ab", TokenPolicy(pin_characters=PinCharacters.BOTH), True),
        ("4713", TokenPolicy(pin_minimum=5), False),
        ("471399", TokenPolicy(pin_maximum=5), False),
        ("Secret99", TokenPolicy(blocked_words="secret99, other"), False),
    ],
)
def test_the_user_s_domain_decides_the_form_of_pins(pin: str, policy: TokenPolicy, taken: bool) -> None:
    challenge = asked(answered(pin_asked(), pin, renewing(), an_account(token_policy=policy)))
    assert (challenge.ask is ChallengeKind.CONFIRM_PIN) is taken


HISTORY = tuple(new_verifier(pin) for pin in (PIN, "first11", "second22", "third33", "fourth44"))


@pytest.mark.parametrize(
    ("pin", "history", "taken"),
    [
        (PIN, 0, False),
        ("first11", 0, True),
        ("first11", 1, False),
        ("second22", 1, True),
        ("third33", 3, False),
        ("fourth44", 3, True),
        ("fourth44", 24, False),
    ],
)
def test_s10_former_pins_are_not_taken_again(pin: str, history: int, taken: bool) -> None:
    account = an_account(token_policy=TokenPolicy(pin_history=history))
    challenge = asked(answered(pin_asked(), pin, renewing(), account, former=HISTORY))
    assert (challenge.ask is ChallengeKind.CONFIRM_PIN) is taken


def test_after_a_few_tries_the_sign_in_restarts() -> None:
    challenge = pin_asked()
    for _ in range(MOST_TRIES - 1):
        challenge = asked(answered(challenge, "1234", renewing()))
    assert answered(challenge, "1234", renewing()) == Denied(Reason.PIN_NOT_ALLOWED, "a", "t")
    differ = replace(challenge, ask=ChallengeKind.CONFIRM_PIN, pin=OTHERS)
    assert answered(differ, PIN, renewing()) == Denied(Reason.PINS_DIFFER, "a", "t")


# Changes during a challenge

_ACCESS = OnlineEmergency(EmergencyKind.FIXED, IfAvailable.DENY, None, ())
CHANGES: dict[str, tuple[AccountState, TokenState, Reason]] = {
    "disabled user": (an_account(enabled=False), renewing(), Reason.ACCOUNT_DISABLED),
    "expired user": (an_account(expires_at=NOW), renewing(), Reason.ACCOUNT_EXPIRED),
    "locked user": (an_account(FailureCount(5, NOW, NOW)), renewing(), Reason.LOCKED),
    "disabled token": (an_account(), renewing(enabled=False), Reason.TOKEN_DISABLED),
    "expired token": (an_account(), renewing(expires_at=NOW), Reason.TOKEN_EXPIRED),
    "lost token": (an_account(), renewing(lost=True), Reason.TOKEN_LOST),
    "emergency access": (an_account(), renewing(emergency=_ACCESS), Reason.TOKEN_IN_EMERGENCY),
}
CHALLENGES = {
    ChallengeKind.NEXT_TOKENCODE: (next_asked(), TOTP.code(STEP + 1)),
    ChallengeKind.NEW_PIN: (pin_asked(), OTHER),
    ChallengeKind.CONFIRM_PIN: (replace(pin_asked(), ask=ChallengeKind.CONFIRM_PIN, pin=OTHERS), OTHER),
}


@pytest.mark.parametrize("ask", CHALLENGES)
@pytest.mark.parametrize("change", CHANGES)
def test_s05_account_and_token_are_checked_again_with_the_answer(ask: ChallengeKind, change: str) -> None:
    account, token, reason = CHANGES[change]
    challenge, right = CHALLENGES[ask]
    assert answered(challenge, right, token, account) == Denied(reason, "a", "t")
    assert not isinstance(answered(challenge, right, renewing()), Denied)


def test_a_token_that_is_back_ends_its_emergency_when_the_pin_is_set() -> None:
    access = replace(_ACCESS, if_available=IfAvailable.END)
    challenge, right = CHALLENGES[ChallengeKind.CONFIRM_PIN]
    done = answered(challenge, right, renewing(emergency=access))
    assert isinstance(done, NewPin)
    assert done.granted.ends_emergency


def test_s05_a_pin_that_was_set_meanwhile_is_not_replaced_by_the_tokencode_alone() -> None:
    challenge = asked(typed(TOTP.code(STEP), a_token(pin=None)))
    assert challenge.ask is ChallengeKind.NEW_PIN
    assert answered(challenge, OTHER, a_token(), still_needed=False) == Denied(Reason.NO_SUCH_CHALLENGE, "a", "t")
    confirming = asked(answered(challenge, OTHER, a_token(pin=None)))
    assert answered(confirming, OTHER, a_token(), still_needed=False) == Denied(Reason.NO_SUCH_CHALLENGE, "a", "t")
