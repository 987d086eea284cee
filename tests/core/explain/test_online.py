"""The explanation of a sign-in agrees with the decision, over states of account and token."""

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from sparekey.argon2id import argon2id
from sparekey.core.emergency.online import EmergencyKind, IfAvailable, OnlineEmergency
from sparekey.core.explain.online import Line, NamedToken, Person, RuleResult, explain_online
from sparekey.core.policy.lockout import FailureCount
from sparekey.core.sign_in.authenticate import AccountState, Snapshot, TokenState, decide
from sparekey.core.sign_in.outcome import Asked, Granted
from sparekey.core.sign_in.pins import PinVerifier
from sparekey.core.sign_in.typed_text import read_typed
from sparekey.core.tokens import Totp
from sparekey.secret import Secret

NOW = 1_800_000_000
SALT = bytes(16)
PIN = "4711abcd"
# cheap to verify
VERIFIER = PinVerifier(Secret(argon2id(PIN.encode(), SALT, 64, 1)), SALT, 64, 1, len(PIN))
TOTP = Totp(Secret(b"12345678901234567890"), 6, 30, "sha1")

_ENDS = st.sampled_from([None, NOW - 1, NOW, NOW + 1, NOW + 86_400])
_CODES = ["ABCDEFGH", "JKMNPQRS"]


@st.composite
def accesses(draw: st.DrawFn) -> OnlineEmergency:
    codes = [(str(number), Secret(code)) for number, code in enumerate(_CODES[: draw(st.integers(0, 2))])]
    kind, rule = draw(st.sampled_from(EmergencyKind)), draw(st.sampled_from(IfAvailable))
    return OnlineEmergency(kind, rule, draw(_ENDS), codes)


@st.composite
def persons(draw: st.DrawFn) -> Person:
    locked = draw(st.sampled_from([None, NOW - 10]))
    failures = FailureCount(draw(st.integers(0, 5)), NOW - 60, locked)
    account = AccountState("a", "alice", draw(st.booleans()), draw(_ENDS), failures)
    with_pin = draw(st.booleans())
    token = TokenState(
        token_id="t",
        otp=TOTP,
        drift=0,
        last_step=0,
        enabled=draw(st.booleans()),
        lost=draw(st.booleans()),
        expires_at=draw(_ENDS),
        with_pin=with_pin,
        pin=VERIFIER if with_pin and draw(st.booleans()) else None,
        offline_code_online=False,
        pin_must_change=draw(st.booleans()),
        emergency=draw(st.none() | accesses()),
    )
    tokens = (NamedToken("T1", token),) if draw(st.integers(0, 9)) else ()
    return Person(account, tokens, "lockout policy 'Default'", "token policy 'Default'")


def succeeds(person: Person, typed: str, *, online: bool = False) -> bool:
    """Return True if the decision grants this, or asks one more challenge."""
    states = tuple(token.state for token in person.tokens)
    text = read_typed(Secret(typed), online_emergency=online)
    return isinstance(decide(text, Snapshot(person.account, states), NOW), Granted | Asked)


def conclusion(lines: list[Line]) -> Line:
    assert [line for line in lines if line.rule == "sign-in"] == lines[:1]
    return lines[0]


@given(person=persons())
def test_the_conclusion_agrees_with_the_decision(person: Person) -> None:
    lines = explain_online(person, NOW)
    said = conclusion(lines)
    pin = PIN if person.tokens and person.tokens[0].state.pin is not None else ""
    by_token = succeeds(person, pin + TOTP.code(NOW // 30))
    by_code = bool(person.tokens) and any(succeeds(person, pin + code, online=True) for code in _CODES)
    assert bool(re.search("(: |; | and )tokencode of T1", said.why)) is by_token
    assert ("temporary" in said.why) is by_code
    assert (said.verdict is RuleResult.OK) is (by_token or by_code)
    stops = [line for line in lines[1:] if line.verdict is RuleResult.STOPS]
    # each obstacle to the token's codes has its own line with the remedy
    assert bool(stops) is not by_token
    assert all(line.mend for line in stops)
    assert not any(line.mend for line in lines[1:] if line.verdict is RuleResult.OK)
    assert all(line.why and line.source for line in lines)


@given(persons())
def test_every_remedy_by_command_is_an_offered_action(person: Person) -> None:
    """Pages have no commands: they use the remedy's action and its object."""
    for line in explain_online(person, NOW):
        assert bool(line.deeds) is ("sparekey " in line.mend), line
        assert all(line.name and line.name in line.mend for _ in line.deeds), line


def asked(person: Person) -> set[str]:
    return {line.rule for line in explain_online(person, NOW) if line.verdict is RuleResult.ASKS}


def test_challenges_are_predicted() -> None:
    challenges = {
        (failures, must_change): asked(
            Person(
                AccountState("a", "alice", True, None, FailureCount(failures, NOW - 60)),
                (NamedToken("T1", TokenState("t", TOTP, 0, 0, True, False, None, True, VERIFIER, False, must_change)),),
                "lockout policy 'Default'",
                "token policy 'Default'",
            )
        )
        for failures, must_change in itertools.product((2, 3), (False, True))
    }
    assert challenges == {
        (2, False): set(),
        (2, True): {"PIN"},
        (3, False): {"next tokencode"},
        (3, True): {"next tokencode", "PIN"},
    }
