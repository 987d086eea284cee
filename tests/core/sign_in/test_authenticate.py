"""Sign-in decisions: one for each state of account, token and text, all at the same cost."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.argon2id import argon2id
from sparekey.core.emergency.online import EmergencyKind, IfAvailable, OnlineEmergency
from sparekey.core.policy.lockout import FailureCount, LockoutPolicy
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.reasons import ChallengeKind, Method, Reason
from sparekey.core.sign_in.authenticate import (
    NEXT_TOKENCODE_TEXT,
    AccountState,
    CodeState,
    Snapshot,
    TokenState,
    after_right_tokencode,
    decide,
)
from sparekey.core.sign_in.outcome import Asked, Denied, Granted, Outcome
from sparekey.core.sign_in.pins import MEMORY_KIB, PASSES, PinVerifier, new_verifier
from sparekey.core.sign_in.typed_text import InstalledCodes, read_typed
from sparekey.core.tokens import Hotp, Totp
from sparekey.durations import DAY_SECONDS
from sparekey.passcode import grouped, new_code
from sparekey.secret import Secret
from tests.quick_argon2 import Hash, recorded_hashes

NOW = 1_800_000_015
STEP = NOW // 30
SEED = Secret(b"12345678901234567890")
PIN = "4711"
VERIFIER = new_verifier(PIN)
CODE = new_code(2)  # for a token with a PIN
LONG_CODE = new_code(3)  # for one without


def an_account(**values: object) -> AccountState:
    defaults: dict[str, object] = {"account_id": "a", "login": "alice", "enabled": True, "expires_at": None}
    return AccountState(**{"failures": FailureCount(), **defaults, **values})  # type: ignore[arg-type] # a builder


def a_token(**values: object) -> TokenState:
    """A token without a PIN, unless one is given."""
    defaults: dict[str, object] = {
        "token_id": "t",
        "otp": Totp(SEED),
        "drift": 0,
        "last_step": 0,
        "enabled": True,
        "lost": False,
        "expires_at": None,
        "with_pin": "pin" in values,
        "pin": None,
        "offline_code_online": False,
    }
    return TokenState(**{**defaults, **values})  # type: ignore[arg-type] # a builder


def with_pin(**values: object) -> TokenState:
    return a_token(**{"pin": VERIFIER, **values})


def another_token(**values: object) -> TokenState:
    return a_token(**{"token_id": "u", "otp": Totp(Secret(b"y" * 20)), **values})


def a_code(code: str = CODE, **values: object) -> CodeState:
    defaults: dict[str, object] = {"code_id": "c", "token_id": "t", "not_after": NOW + 1}
    return CodeState(code=Secret(code), **{**defaults, **values})  # type: ignore[arg-type] # a builder


def shown(token: TokenState, ahead: int = 0) -> str:
    """Return the tokencode of a step relative to now."""
    return token.otp.code(STEP + token.drift + ahead)


def decided(typed: str, *tokens: TokenState, account: AccountState | None = None, **snapshot: object) -> Outcome:
    state = Snapshot(account or an_account(), tokens, **snapshot)  # type: ignore[arg-type] # a builder
    in_emergency = any(token.emergency is not None for token in tokens)
    return decide(read_typed(Secret(typed), online_emergency=in_emergency), state, NOW)


RIGHT = shown(a_token())
GRANTED = Granted("a", "alice", Method.TOKENCODE, "t", STEP, 0)


def test_a_right_tokencode_is_granted() -> None:
    assert decided(RIGHT, a_token()) == GRANTED


def test_pin_and_tokencode_are_granted() -> None:
    assert decided(PIN + RIGHT, with_pin()) == GRANTED


def test_an_outcome_has_no_truth_value() -> None:
    with pytest.raises(TypeError):
        bool(decided(RIGHT, a_token()))
    with pytest.raises(TypeError):
        bool(decided("000000", a_token()))


LOCKED = FailureCount(5, NOW - 10, NOW - 5)
ONLINE = {"offline_code_online": True}
TEMPORARY = "7KQ4TXRM"


def access(**values: object) -> OnlineEmergency:
    """Online emergency access with two codes."""
    defaults = {"kind": EmergencyKind.FIXED, "if_available": IfAvailable.DENY, "expires_at": NOW + 1}
    codes = (("e", Secret(TEMPORARY)), ("f", Secret("ABCDEFGH")))
    return OnlineEmergency(**{"codes": codes, **defaults, **values})  # type: ignore[arg-type] # a builder


# name: the typed text, the tokens, the rest of the snapshot; the refusal
REFUSALS: dict[str, tuple[str, list[TokenState], dict[str, object], Denied]] = {
    "disabled account": (
        RIGHT,
        [a_token()],
        {"account": an_account(enabled=False)},
        Denied(Reason.ACCOUNT_DISABLED, "a"),
    ),
    "expired account": (
        RIGHT,
        [a_token()],
        {"account": an_account(expires_at=NOW)},
        Denied(Reason.ACCOUNT_EXPIRED, "a"),
    ),
    "locked account": (RIGHT, [a_token()], {"account": an_account(failures=LOCKED)}, Denied(Reason.LOCKED, "a")),
    "no token": (RIGHT, [], {}, Denied(Reason.NO_TOKEN, "a", counted=True)),
    "token disabled": (RIGHT, [a_token(enabled=False)], {}, Denied(Reason.TOKEN_DISABLED, "a", "t", counted=True)),
    "token expired": (RIGHT, [a_token(expires_at=NOW)], {}, Denied(Reason.TOKEN_EXPIRED, "a", "t", counted=True)),
    "token lost": (RIGHT, [a_token(lost=True)], {}, Denied(Reason.TOKEN_LOST, "a", "t", counted=True)),
    "no PIN set": (PIN + RIGHT, [with_pin(pin=None)], {}, Denied(Reason.NO_PIN, "a", "t", counted=True)),
    "wrong code": ("0" * 6, [a_token()], {}, Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True)),
    "wrong PIN": ("4712" + RIGHT, [with_pin()], {}, Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True)),
    "PIN in another case": (
        "AB12" + RIGHT,
        [with_pin(pin=new_verifier("ab12"))],
        {},
        Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True),
    ),
    "no PIN typed": (RIGHT, [with_pin()], {}, Denied(Reason.WRONG_PASSCODE, "a", counted=True)),
    "a PIN too many": (PIN + RIGHT, [a_token()], {}, Denied(Reason.WRONG_PASSCODE, "a", counted=True)),
    "digits of another token": (RIGHT + "0", [a_token()], {}, Denied(Reason.WRONG_PASSCODE, "a", counted=True)),
    "already used": (
        RIGHT,
        [a_token(last_step=STEP)],
        {},
        Denied(Reason.ALREADY_USED, "a", "t", counted=True, replay_step=STEP),
    ),
    "used up by a device": (
        RIGHT,
        [a_token(last_step=STEP, reported=range(STEP, STEP + 1))],
        {},
        Denied(Reason.USED_ON_DEVICE, "a", "t"),
    ),
    "used up by a device, with a wrong PIN": (
        "4712" + RIGHT,
        [with_pin(last_step=STEP, reported=range(STEP, STEP + 1))],
        {},
        Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True),
    ),
    "used before a device used up later steps": (
        RIGHT,
        [a_token(last_step=STEP + 1, reported=range(STEP + 1, STEP + 2))],
        {},
        Denied(Reason.ALREADY_USED, "a", "t", counted=True, replay_step=STEP),
    ),
    "used, with a wrong PIN": (
        "4712" + RIGHT,
        [with_pin(last_step=STEP)],
        {},
        Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True),
    ),
    "used, and the token is lost": (
        RIGHT,
        [a_token(last_step=STEP, lost=True)],
        {},
        Denied(Reason.TOKEN_LOST, "a", "t", counted=True),
    ),
    "lost token's code, beside another token": (
        RIGHT,
        [another_token(), a_token(lost=True)],
        {},
        Denied(Reason.TOKEN_LOST, "a", "t", counted=True),
    ),
    "wrong code, beside a lost token": (
        "0" * 6,
        [another_token(lost=True), a_token()],
        {},
        Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True),
    ),
    "wrong code, all tokens lost": (
        "0" * 6,
        [a_token(lost=True)],
        {},
        Denied(Reason.TOKEN_LOST, "a", "t", counted=True),
    ),
    "misread group": (
        PIN + CODE[:4] + ("0" if CODE[4] != "0" else "1") + CODE[5:],
        [with_pin()],
        {},
        Denied(Reason.MISREAD, "a", misread=(1,)),
    ),
    "nothing that could be a passcode": ("hello", [a_token()], {}, Denied(Reason.NOT_A_PASSCODE, "a")),
    "nothing typed": ("", [a_token()], {}, Denied(Reason.NOT_A_PASSCODE, "a")),
    "emergency code, not allowed online": (
        PIN + CODE,
        [with_pin()],
        {"codes": (a_code(),)},
        Denied(Reason.OFFLINE_CODE_NOT_ALLOWED_ONLINE, "a", "t", counted=True),
    ),
    "emergency code, expired": (
        PIN + CODE,
        [with_pin(**ONLINE)],
        {"codes": (a_code(not_after=NOW),)},
        Denied(Reason.EMERGENCY_CODE_EXPIRED, "a", "t", counted=True),
    ),
    "emergency code of an expired token": (
        PIN + CODE,
        [with_pin(expires_at=NOW, **ONLINE)],
        {"codes": (a_code(),)},
        Denied(Reason.TOKEN_EXPIRED, "a", "t", counted=True),
    ),
    "emergency code of a disabled token": (
        PIN + CODE,
        [with_pin(enabled=False, **ONLINE)],
        {"codes": (a_code(),)},
        Denied(Reason.TOKEN_DISABLED, "a", "t", counted=True),
    ),
    "emergency code of another token": (
        PIN + CODE,
        [with_pin(**ONLINE)],
        {"codes": (a_code(token_id="u"),)},
        Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True),
    ),
    "emergency code that nobody has": (
        PIN + new_code(2),
        [with_pin(**ONLINE)],
        {"codes": (a_code(),)},
        Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True),
    ),
    "one factor, where two are needed": (
        RIGHT,
        [a_token(too_little=True)],
        {},
        Denied(Reason.ONE_FACTOR, "a", "t", counted=True),
    ),
    "tokencode of a token in emergency": (
        RIGHT,
        [a_token(emergency=access())],
        {},
        Denied(Reason.TOKEN_IN_EMERGENCY, "a", "t", counted=True),
    ),
    "online emergency code, expired": (
        PIN + TEMPORARY,
        [with_pin(emergency=access(expires_at=NOW))],
        {},
        Denied(Reason.EMERGENCY_ENDED, "a", "t", counted=True),
    ),
    "online emergency code of a disabled token": (
        PIN + TEMPORARY,
        [with_pin(enabled=False, emergency=access(expires_at=NOW))],
        {},
        Denied(Reason.TOKEN_DISABLED, "a", "t", counted=True),
    ),
    "online emergency code, wrong PIN": (
        "4712" + TEMPORARY,
        [with_pin(emergency=access())],
        {},
        Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True),
    ),
    "online emergency code of another token": (
        TEMPORARY,
        [a_token(), another_token(emergency=access(codes=()))],
        {},
        Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True),
    ),
    "offline emergency passcode at a server interface": (
        LONG_CODE,
        [with_pin(**ONLINE)],
        {"codes": (a_code(),)},
        Denied(Reason.WRONG_PASSCODE, "a", counted=True),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    typed, tokens, snapshot, refusal = REFUSALS[name]
    assert decided(typed, *tokens, **snapshot) == refusal  # type: ignore[arg-type] # a table


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_USER, Reason.OUT_OF_SCOPE])
def test_an_unknown_user_is_refused(reason: Reason) -> None:
    reading = read_typed(Secret(PIN + RIGHT))
    assert decide(reading, Snapshot(None, absence=reason), NOW) == Denied(reason)


def test_every_reason_has_its_case() -> None:
    elsewhere = {Reason.UNKNOWN_USER, Reason.OUT_OF_SCOPE}  # test_an_unknown_user_is_refused
    at_the_interfaces = {Reason.INTERNAL_ERROR}
    of_challenges = {Reason.NO_SUCH_CHALLENGE, Reason.PINS_DIFFER, Reason.PIN_NOT_ALLOWED}
    of_passkeys = {Reason.UNKNOWN_PASSKEY, Reason.WRONG_PASSKEY, Reason.PASSKEY_COPIED}  # core.sign_in.passkeys
    known = {refusal.reason for *_, refusal in REFUSALS.values()} | elsewhere | at_the_interfaces | of_passkeys
    assert known | of_challenges == set(Reason)


def test_a_closed_account_refuses_every_text() -> None:
    account = an_account(failures=LOCKED)
    for typed in (RIGHT, "000000"):
        assert decided(typed, a_token(), account=account) == Denied(Reason.LOCKED, "a")


def test_an_account_is_closed_until_its_lock_has_ended() -> None:
    policy = LockoutPolicy(unlock_after_minutes=1)
    for seconds, is_locked in ((59, True), (60, False)):
        account = an_account(failures=FailureCount(5, NOW - 90, NOW - seconds), lockout=policy)
        assert account.locked(NOW) is is_locked
        assert account.closed(NOW) is (Reason.LOCKED if is_locked else None)


def test_an_unreadable_text_of_an_unknown_user_is_refused() -> None:
    assert decide(read_typed(Secret("?")), Snapshot(None), NOW) == Denied(Reason.NOT_A_PASSCODE)


def test_a_misread_group_is_named_also_where_the_text_can_be_another_code() -> None:
    misread = CODE[:-1] + ("2" if CODE[-1] != "2" else "3")
    outcome = decided(PIN + misread, with_pin(emergency=access()))
    assert isinstance(outcome, Denied)
    assert (outcome.reason, outcome.misread) == (Reason.WRONG_PASSCODE, (2,))


@pytest.mark.parametrize("lost", [False, True])
def test_an_emergency_tokencode_that_is_allowed_online_is_granted_also_where_the_token_is_lost(lost: bool) -> None:
    expected = Granted("a", "alice", Method.EMERGENCY_TOKENCODE, "t", code_id="c")
    for typed in (PIN + CODE, PIN + " " + grouped(CODE).lower()):
        assert decided(typed, with_pin(lost=lost, **ONLINE), codes=(a_code(),)) == expected
    assert decided(LONG_CODE, a_token(lost=lost, **ONLINE), codes=(a_code(LONG_CODE),)) == expected


def test_each_online_emergency_code_of_the_token_is_granted() -> None:
    token = with_pin(lost=True, emergency=access())
    for code_id, code in (("e", TEMPORARY), ("f", "abcdefgh")):
        expected = Granted("a", "alice", Method.ONLINE_EMERGENCY, "t", code_id=code_id)
        assert decided(PIN + code, token) == expected


def test_each_emergency_code_asks_for_a_new_pin_if_the_pin_is_too_old() -> None:
    account = an_account(token_policy=TokenPolicy(pin_lifetime=1))
    old = with_pin(pin_set_at=NOW - DAY_SECONDS, emergency=access(), **ONLINE)
    for code in (CODE, TEMPORARY):
        outcome = decided(PIN + code, old, account=account, codes=(a_code(),))
        assert isinstance(outcome, Asked)
        assert outcome.ask is ChallengeKind.NEW_PIN


def test_an_online_emergency_code_ends_with_its_token() -> None:
    token = with_pin(emergency=access(), expires_at=NOW)
    assert decided(PIN + TEMPORARY, token) == Denied(Reason.TOKEN_EXPIRED, "a", "t", counted=True)


def test_a_wrong_emergency_code_is_wrong_whatever_else_is_in_the_way() -> None:
    refused = decided(PIN + new_code(2), with_pin(enabled=False, **ONLINE), codes=(a_code(),))
    assert refused == Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True)


def test_s41_an_emergency_tokencode_without_its_pin_is_refused_online() -> None:
    refused = decided(CODE, with_pin(**ONLINE), codes=(a_code(),))
    assert isinstance(refused, Denied)
    # even if a token without a PIN stands beside it
    refused = decided(CODE, with_pin(**ONLINE), a_token(token_id="u", **ONLINE), codes=(a_code(),))
    assert isinstance(refused, Denied)


def test_s41_a_wrong_pin_with_the_right_emergency_tokencode_is_refused_online() -> None:
    refused = decided("4712" + CODE, with_pin(**ONLINE), codes=(a_code(),))
    assert refused == Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True)


def test_every_version_that_a_device_may_hold_is_accepted() -> None:
    codes = [new_code(2) for _ in range(3)]
    held = tuple(a_code(code, code_id=f"c{number}") for number, code in enumerate(codes))
    for number, code in enumerate(codes):
        outcome = decided(PIN + code, with_pin(**ONLINE), codes=held)
        assert isinstance(outcome, Granted)
        assert outcome.code_id == f"c{number}"


def test_each_of_several_tokens_can_sign_in_with_its_own_pin() -> None:
    first, second = with_pin(), with_pin(token_id="u", otp=Totp(Secret(b"x" * 20)), pin=new_verifier("99ab"))
    third = a_token(token_id="v", otp=Totp(Secret(b"y" * 32), 8, 60, "sha256"))
    typed = {"t": PIN + shown(first), "u": "99ab" + shown(second), "v": third.otp.code(NOW // 60)}
    for token_id, text in typed.items():
        outcome = decided(text, first, second, third)
        assert isinstance(outcome, Granted)
        assert outcome.token_id == token_id
    for mixed in (PIN + shown(second), "99ab" + shown(first)):
        assert isinstance(decided(mixed, first, second, third), Denied)


def test_a_token_state_has_the_digits_of_its_codes() -> None:
    token = a_token(otp=Totp(SEED, 8))
    assert token.digits == 8 == len(shown(token))


def test_a_tokencode_of_an_available_token_ends_its_online_emergency_access() -> None:
    outcome = decided(RIGHT, a_token(emergency=access(if_available=IfAvailable.END)))
    assert outcome == replace(GRANTED, ends_emergency=True)


def test_the_next_tokencode_is_asked_for_after_the_failures_of_the_policy_and_not_twice() -> None:
    account = an_account(failures=FailureCount(3, NOW - 60), token_policy=TokenPolicy(next_tokencode_after=3))
    outcome = decided(RIGHT, a_token(), account=account)
    assert outcome == Asked(ChallengeKind.NEXT_TOKENCODE, GRANTED, NEXT_TOKENCODE_TEXT)
    assert outcome.granted.asks_after == 3
    done = after_right_tokencode(account, a_token(), STEP, NOW, next_given=True)
    assert isinstance(done, Granted)
    assert done.asks_after == 0


def test_a_guess_that_is_right_for_one_token_tells_more_than_a_wrong_one() -> None:
    expired = a_code(not_after=NOW)
    ours, other = with_pin(**ONLINE), another_token(pin=VERIFIER, with_pin=True, **ONLINE)
    for tokens in ((ours, other), (other, ours)):
        refused = decided(PIN + CODE, *tokens, codes=(expired,))
        assert refused == Denied(Reason.EMERGENCY_CODE_EXPIRED, "a", "t", counted=True)


def test_a_repeat_tells_more_than_a_right_guess_for_another_token() -> None:
    used, disabled = a_token(last_step=STEP), a_token(token_id="u", enabled=False)  # with one seed
    for tokens in ((used, disabled), (disabled, used)):
        outcome = decided(RIGHT, *tokens)
        assert isinstance(outcome, Denied)
        assert outcome.reason is Reason.ALREADY_USED


def test_a_step_that_a_device_used_up_tells_as_much_as_a_repeat() -> None:
    used = a_token(last_step=STEP, reported=range(STEP, STEP + 1))
    other = a_token(token_id="u", enabled=False)
    for tokens in ((used, other), (other, used)):
        assert decided(RIGHT, *tokens) == Denied(Reason.USED_ON_DEVICE, "a", "t")


def test_a_counter_that_a_device_used_up_is_known_and_no_later_one_is_lost() -> None:
    otp = Hotp(SEED)
    token = a_token(otp=otp, last_step=40, reported=range(1, 41))
    assert decided(otp.code(7), token) == Denied(Reason.USED_ON_DEVICE, "a", "t")
    assert decided(otp.code(0), token) == Denied(Reason.WRONG_PASSCODE, "a", "t", counted=True)
    outcome = decided(otp.code(41), token)
    assert isinstance(outcome, Granted)
    assert outcome.step == 41


def test_a_repeat_wins_among_several_refusals() -> None:
    used, other = a_token(last_step=STEP), a_token(token_id="u", otp=Totp(Secret(b"x" * 20)), enabled=False)
    for tokens in ((used, other), (other, used)):
        outcome = decided(RIGHT, *tokens)
        assert isinstance(outcome, Denied)
        assert (outcome.reason, outcome.replay_step) == (Reason.ALREADY_USED, STEP)


@pytest.mark.parametrize("ahead", [-3, -2, -1, 0, 1, 2, 3])
@pytest.mark.parametrize("drift", [-5, 0, 4])
def test_s04_the_window_is_one_step_to_each_side(ahead: int, drift: int) -> None:
    token = a_token(drift=drift)
    outcome = decided(shown(token, ahead), token)
    if abs(ahead) > 1:
        assert isinstance(outcome, Denied)
    else:
        assert outcome == Granted("a", "alice", Method.TOKENCODE, "t", STEP + drift + ahead, drift + ahead)


def test_s04_every_candidate_of_the_window_is_compared() -> None:
    # A token that shows the same code in two steps of the window: a success uses both up, so the later one counts.
    seed, step = _twice_the_same()
    token = a_token(otp=Totp(Secret(seed)))
    outcome = decide(read_typed(Secret(token.otp.code(step))), Snapshot(an_account(), (token,)), (step + 1) * 30)
    assert isinstance(outcome, Granted)
    assert outcome.step == step + 2


def _twice_the_same() -> tuple[bytes, int]:
    """Return a seed and a step whose code equals the code two steps later, found by trying."""
    totp = Totp(SEED)
    codes = [totp.code(step) for step in range(3)]
    step = 0
    while codes[step] != codes[step + 2] or codes[step + 1] == codes[step]:
        codes.append(totp.code(step + 3))
        step += 1
    return SEED.reveal(), step


@given(last=st.integers(-3, 3), ahead=st.integers(-1, 1), drift=st.integers(-10, 10))
def test_no_step_is_granted_that_is_not_after_the_last(last: int, ahead: int, drift: int) -> None:
    token = a_token(drift=drift, last_step=STEP + drift + last)
    outcome = decided(shown(token, ahead), token)
    if ahead > last:
        assert isinstance(outcome, Granted)
        assert outcome.step == STEP + drift + ahead > token.last_step
    else:
        assert outcome == Denied(Reason.ALREADY_USED, "a", "t", counted=True, replay_step=STEP + drift + ahead)


@given(
    typed=st.sampled_from([RIGHT, PIN + RIGHT, PIN + CODE, LONG_CODE, "000000"]),
    online=st.booleans(),
    failures=st.integers(0, 10),
)
def test_a_locked_account_is_never_granted(typed: str, online: bool, failures: int) -> None:
    cheap = replace(VERIFIER, memory_kib=8, passes=1)
    tokens = (a_token(offline_code_online=online), a_token(token_id="u", pin=cheap, offline_code_online=online))
    codes = (a_code(LONG_CODE), a_code(token_id="u"))
    account = an_account(failures=FailureCount(failures, NOW - 1, NOW - 1))
    assert decided(typed, *tokens, account=account, codes=codes) == Denied(Reason.LOCKED, "a")


@pytest.mark.parametrize(
    "typed",
    ["4712" + RIGHT, PIN + RIGHT, PIN + "000000", PIN + CODE, RIGHT, "hello"],
    ids=["wrong PIN", "right", "wrong code", "emergency", "no PIN", "no passcode"],
)
def test_s07_an_unknown_user_costs_as_much_as_any_other(typed: str) -> None:
    def cost(*tokens: TokenState, nobody: bool = False, **account: object) -> list[Hash]:
        snapshot = Snapshot(None if nobody else an_account(**account), tokens, (a_code(),))
        with recorded_hashes() as hashes:
            decide(read_typed(Secret(typed)), snapshot, NOW)
        return hashes

    reference = [Hash(MEMORY_KIB, PASSES, 1)] * len(read_typed(Secret(typed)).pins)
    costs = {
        "nobody": cost(nobody=True),
        "no token": cost(),
        "no PIN": cost(a_token()),
        "no PIN set": cost(with_pin(pin=None)),
        "one token": cost(with_pin()),
        "four tokens": cost(*(with_pin(token_id=str(n), otp=Totp(Secret(bytes([n]) * 20))) for n in range(4))),
        "locked": cost(with_pin(), failures=LOCKED),
        "disabled": cost(with_pin(), enabled=False),
        "token disabled": cost(with_pin(enabled=False)),
        "emergency": cost(with_pin(emergency=access(), **ONLINE)),
    }
    assert {name: hashes for name, hashes in costs.items() if hashes != reference} == {}


def _cheap(pin: str) -> PinVerifier:
    """A verifier at a test's cost."""
    salt = bytes(16)
    return PinVerifier(Secret(argon2id(pin.encode(), salt, 8, 1)), salt, 8, 1, len(pin))


def test_a_pin_before_a_code_that_two_tokens_show_is_tested_for_both() -> None:
    first, second = with_pin(pin=_cheap("1111")), with_pin(token_id="u", pin=_cheap("2222"))  # with one seed
    for pin, token_id in (("1111", "t"), ("2222", "u")):
        for tokens in ((first, second), (second, first)):
            outcome = decided(pin + RIGHT, *tokens)
            assert isinstance(outcome, Granted)
            assert outcome.token_id == token_id
    assert isinstance(decided("3333" + RIGHT, first, second), Denied)


def test_a_right_pin_counts_only_before_the_code_of_its_token() -> None:
    """Two readings of one text: the PIN of one with the code of the other is no passcode."""
    long, short = with_pin(otp=Totp(SEED, 8), pin=_cheap("1111")), another_token(pin=_cheap("111112"), with_pin=True)
    text = "1111" + shown(long)
    assert isinstance(decided(text, long, short), Granted)
    for pin in (_cheap(text[:6]), _cheap("1112")):
        assert isinstance(decided(text, replace(long, pin=pin), replace(short, pin=_cheap("1111"))), Denied)


def test_a_token_that_is_newer_than_the_last_look_at_the_installation_signs_in() -> None:
    token = with_pin(otp=Totp(SEED, 8), pin=_cheap(PIN))
    text = read_typed(Secret(PIN + shown(token)), InstalledCodes(frozenset({6}), online_digits=False))
    assert [len(pin) for pin in text.pins] == [6]
    outcome = decide(text, Snapshot(an_account(), (token,)), NOW)
    assert isinstance(outcome, Granted)
