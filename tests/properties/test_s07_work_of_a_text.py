"""S07: the slow hashes of a sign-in follow from the typed text alone, for every user and for an unknown name.

The number for a text is counted here by the letter of spec/offline-day.md, "Splitting", apart from the code that
decides. Every hash has the same cost, so the same number of them takes the same time.
"""

import re
from dataclasses import replace
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from sparekey.argon2id import argon2id
from sparekey.core.emergency.online import EmergencyKind, IfAvailable, OnlineEmergency
from sparekey.core.policy.lockout import FailureCount
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.authenticate import AccountState, CodeState, Snapshot, TokenState, decide
from sparekey.core.sign_in.outcome import Asked, Granted
from sparekey.core.sign_in.pins import MEMORY_KIB, PASSES, PinVerifier
from sparekey.core.sign_in.typed_text import EVERY_CODE, InstalledCodes, read_typed
from sparekey.core.tokens import Hotp, OtpToken, Totp
from sparekey.passcode import misread_groups, new_code, normalise
from sparekey.secret import Secret
from tests.quick_argon2 import Hash, recorded_hashes

NOW = 1_800_000_015
FOUR_WAYS = "47120003700106"  # PIN and code of 8 + 6, 7 + 7, 6 + 8, and 4 + 10: its last ten hold their checks
PINS = ("4712", "47120003", "471200", "Ab12", "9999")
TEMPORARY = ("03700106", "7KQ4TXRM")
OFFLINE = "0003700106"
ALICE = AccountState("a", "alice", enabled=True, expires_at=None, failures=FailureCount())
LOCKED = FailureCount(5, NOW - 10, NOW - 5)
ONE_HASH = Hash(MEMORY_KIB, PASSES, 1)


def hashes_of(text: str, lengths: frozenset[int] = frozenset({6, 7, 8}), *, online_digits: bool = True) -> int:
    """Count the PINs that the text may begin with, for anybody."""
    text = text.strip(" \r\n")
    if not re.fullmatch(r"[ -~]{1,64}", text):
        return 0
    pins = set()
    for length in range(4, 9):
        pin, rest = text[:length], text[length:]
        symbols = normalise(rest)
        is_tokencode = re.fullmatch(r"[0-9]+", rest) and len(rest) in lengths
        in_alphabet = re.fullmatch(r"[2-9A-HJKMNP-TV-Z]{8}", rest.upper()) and not rest.isdigit()
        is_temporary = in_alphabet or (re.fullmatch(r"[0-9]{8}", rest) and online_digits)
        is_emergency = re.fullmatch(r"[0-9A-Z]{10}", symbols) and not misread_groups(symbols)
        if re.fullmatch(r"[0-9A-Za-z]+", pin) and (is_tokencode or is_temporary or is_emergency):
            pins.add(pin)
    return len(pins)


def _verifier(pin: str) -> PinVerifier:
    salt = pin.encode().ljust(16, b"\0")
    return PinVerifier(Secret(argon2id(pin.encode(), salt, MEMORY_KIB, PASSES)), salt, MEMORY_KIB, PASSES, len(pin))


def usual_token(number: int) -> TokenState:
    """A token with the first of PINS."""
    return TokenState(
        f"t{number}",
        Totp(Secret(bytes([number + 65]) * 20)),
        drift=0,
        last_step=0,
        enabled=True,
        lost=False,
        expires_at=None,
        with_pin=True,
        pin=_verifier(PINS[0]),
        offline_code_online=False,
    )


@st.composite
def some_tokens(draw: st.DrawFn) -> tuple[TokenState, ...]:
    """Return up to four tokens, each with its own seed, in any state."""
    return tuple(_token(draw, number) for number in range(draw(st.sampled_from([0, 1, 4, 2, 3]))))


def _token(draw: st.DrawFn, number: int) -> TokenState:
    digits = draw(st.sampled_from([6, 7, 8]))
    seed = Secret(bytes([number + 65]) * 20)
    kinds: list[OtpToken] = [Totp(seed, digits), Totp(seed, digits, 60), Hotp(seed, digits)]
    otp = draw(st.sampled_from(kinds))
    access = OnlineEmergency(
        EmergencyKind.ONE_TIME,
        draw(st.sampled_from(IfAvailable)),
        draw(st.sampled_from([None, NOW, NOW + 9])),
        [(str(place), Secret(code)) for place, code in enumerate(TEMPORARY)],
    )
    return TokenState(
        f"t{number}",
        otp,
        drift=draw(st.integers(-2, 2)),
        last_step=0,
        enabled=draw(st.booleans()),
        lost=draw(st.booleans()),
        expires_at=draw(st.sampled_from([None, NOW, NOW + 1])),
        with_pin=draw(st.booleans()),
        pin=draw(st.sampled_from([None, *map(_verifier, PINS)])),
        offline_code_online=draw(st.booleans()),
        pin_must_change=draw(st.booleans()),
        emergency=draw(st.sampled_from([None, access])),
        too_little=draw(st.booleans()),
    )


ACCOUNTS = (
    None,
    ALICE,
    replace(ALICE, failures=LOCKED),
    replace(ALICE, enabled=False),
    replace(ALICE, expires_at=NOW),
    replace(ALICE, failures=FailureCount(4, NOW - 10)),
)
TEXTS = st.one_of(
    st.sampled_from(
        [FOUR_WAYS, "4712", "?", "", "4712-00037-00106", "4712ab23CD45", "4712ab01CD45", "123456", "0370010"]
    ),
    st.text("0123456789", min_size=4, max_size=16),
    st.text("0123456789ABCab- ", min_size=4, max_size=18),
    st.builds(lambda pin: pin + new_code(2), st.sampled_from(PINS)),
)


class Entry(NamedTuple):
    """A typed text; with `shown`, this PIN and the code of the token of that number, if there is one."""

    typed: str
    shown: int = -1
    pin: str = ""


@given(
    tokens=some_tokens(),
    account=st.sampled_from(ACCOUNTS),
    entry=st.builds(Entry, TEXTS, st.integers(-1, 3), st.sampled_from(["", *PINS])),
    installed=st.builds(
        InstalledCodes, st.frozensets(st.sampled_from([7, 8])).map(lambda others: others | {6}), st.booleans()
    ),
)
@example((), None, Entry(FOUR_WAYS), EVERY_CODE)
@example((), ALICE, Entry("4712ab23CD45"), EVERY_CODE)
@example((usual_token(0), usual_token(1)), ALICE, Entry("4712000000"), EVERY_CODE)
@example((usual_token(0), usual_token(1)), ALICE, Entry("", 1, "4712"), EVERY_CODE)
@example((usual_token(0),), ACCOUNTS[2], Entry(FOUR_WAYS), EVERY_CODE)
def test_s07_the_hashes_of_a_text_are_the_same_for_everybody(
    tokens: tuple[TokenState, ...],
    account: AccountState | None,
    entry: Entry,
    installed: InstalledCodes,
) -> None:
    """A user has no codes that the installation has not."""
    typed = entry.typed
    tokens = tuple(token for token in tokens if token.digits in installed.digits)
    if not installed.online_digits:
        tokens = tuple(replace(token, emergency=None) for token in tokens)
    if 0 <= entry.shown < len(tokens):
        token = tokens[entry.shown]
        step = NOW // token.otp.interval + token.drift if isinstance(token.otp, Totp) else 3
        typed = entry.pin + token.otp.code(step)
    codes = tuple(CodeState(f"c{token.token_id}", token.token_id, Secret(OFFLINE), NOW + 1) for token in tokens[:1])
    in_emergency = any(token.emergency for token in tokens)
    text = read_typed(Secret(typed), installed, online_emergency=in_emergency)
    snapshot = Snapshot(account, tokens if account else (), codes, absence=Reason.UNKNOWN_USER)
    with recorded_hashes() as hashes:
        outcome = decide(text, snapshot, NOW)
    assert hashes == [ONE_HASH] * hashes_of(typed, installed.digits, online_digits=installed.online_digits)
    if isinstance(outcome, Granted | Asked):
        assert account in (ALICE, ACCOUNTS[-1])


def test_s07_the_text_of_the_worst_case_is_read_in_four_ways() -> None:
    assert hashes_of(FOUR_WAYS) == 4
    assert hashes_of(FOUR_WAYS, frozenset({6}), online_digits=False) == 2
    assert max(hashes_of("1" * length) for length in range(4, 20)) <= 4


def test_s07_a_passcode_of_four_and_six_costs_one_hash() -> None:
    """The usual passcode; with P1 it must cost no more than its one hash."""
    assert hashes_of("4712" + "123456") == len(read_typed(Secret("4712123456")).pins) == 1
