"""Tokens, PINs, lockout, emergencies and challenges in any order: the server agrees with a simple model.

Steps are actions of users, operators and strangers. After each one the count, the lock and every token's state agree
with the model, and no step of any token was ever a success twice (S01).
"""

import itertools
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.offline import set_online
from sparekey.app.emergency.online import Terms
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.offline.device_sign_in import DeviceSignIn, sign_in_on_device
from sparekey.app.people.users import add_user, unlock
from sparekey.app.people.users import set_enabled as set_user_enabled
from sparekey.app.sign_in.challenge_answers import answer_challenge
from sparekey.app.sign_in.verification import SignInResult, sign_in
from sparekey.app.snapshots import code_state
from sparekey.app.tokens.life_cycle import assign, replace, unassign
from sparekey.app.tokens.resync import resync
from sparekey.app.tokens.tokens import NewToken, add_token, clear_pin, set_enabled, set_lost, set_pin
from sparekey.core.emergency.online import IfAvailable
from sparekey.core.errors import SparekeyError
from sparekey.core.permissions import Actor
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.sign_in.outcome import Asked, Granted
from sparekey.core.tokens import OtpToken
from sparekey.secret import Secret
from sparekey.storage.sign_in import statements as stored
from tests.builders import (
    CALLED_BACK,
    DAY,
    NOW,
    REST,
    ROOT,
    a_device,
    account_row,
    another_code,
    edit_policy,
    token_row,
)
from tests.properties.sign_in_model import Access, Challenge, Model, Token
from tests.token_stock import a_stocked_token
from tools.counts import Count

STEPS = 40
PINS = ("aaaa1", "bbbb2", "cccc3", "dddd4", "eeee5", "ffff6")
BAD_PIN = "1234"  # blocked
WAITS = (0, 1, 15, 29, 30, 31, 60, 119, 120, 599, 600, 3_600, DAY)

_numbers = itertools.count(1)
which = st.integers(0, 2)
pins = st.sampled_from(PINS)
flags = st.booleans()
MOSTLY = st.sampled_from([True, True, False])


@dataclass
class Waiting:
    """A challenge, as the server named it and as the model knows it."""

    of_model: Challenge
    name: Secret[str]
    on_device: bool


class SignIns(RuleBasedStateMachine):
    """One user with a few tokens, at a program's interface and on a device."""

    server: Instance  # set for each run: all of its users share it

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.model = Model()
        self.otps: dict[str, OtpToken] = {}
        self.waiting: list[Waiting] = []
        self.successes: set[tuple[str, int]] = set()
        self.given: dict[str, tuple[str, ...]] = {}  # online emergency tokencodes by serial
        self.check = b""  # names the key of the user's offline data on the device
        self.login = f"machine{next(_numbers)}"
        self.account_id = add_user(self.server, ROOT, self.login, TOP_DOMAIN, now=self.now)
        self.device = a_device(self.server)
        self._add(events=False, with_pin=True, pin=PINS[0])
        self._add(events=True, with_pin=False)
        self._add(events=False, with_pin=True)

    def _add(self, *, events: bool, with_pin: bool, pin: str = "") -> None:
        wish = NewToken(digits=8, type="hotp" if events else "totp", with_pin=with_pin)
        made = add_token(self.server, ROOT, self.login, wish, now=self.now)
        unused = -1 if events else 0
        token = Token(made.serial, events, with_pin, last_step=unused, replay_step=unused)
        if pin:
            set_pin(self.server, ROOT, made.serial, Secret(pin), now=self.now)
            self.model.set_pin(token, pin)
        self.otps[made.serial] = made.otp
        self.model.tokens.append(token)

    # Typed texts

    @rule(number=which, ahead=st.integers(-3, 12), far=st.sampled_from([0, 0, 0, 90]), pin_right=flags, device=flags)
    def types_a_tokencode(self, number: int, ahead: int, far: int, pin_right: bool, device: bool) -> None:
        token = self.model.tokens[number]
        step = self._step(token, ahead, far)
        pin = self._pin(token, right=pin_right or ahead % 2 == 0)
        expected = self.model.tokencode(token, step, pin, self.now)
        self._check(token, self._type(pin + self.otps[token.serial].code(step), device), expected, device)

    @rule(number=which, pin_right=flags, device=flags)
    def types_the_right_passcode(self, number: int, pin_right: bool, device: bool) -> None:
        self.types_a_tokencode(number, 1 if self.model.tokens[number].events else 0, 0, pin_right, device)

    @rule(number=which, device=flags)
    def signs_in_as_one_does(self, number: int, device: bool) -> None:
        """Wait for a fresh code, type it, and answer the challenges. Call the help desk first if locked out."""
        self.now += 31
        if self.model.locked(self.now):
            self.unlocks()
        before = len(self.waiting)
        self.types_the_right_passcode(number, pin_right=True, device=device)
        for _ in range(3):
            if len(self.waiting) == before:
                return
            before = len(self.waiting)
            self.answers_rightly()

    @rule(number=which, device=flags)
    def types_three_wrong_codes(self, number: int, device: bool) -> None:
        for _ in range(3):
            self.types_a_wrong_code(number, device)

    @rule(number=which, device=flags)
    def types_a_wrong_code(self, number: int, device: bool) -> None:
        token = self.model.tokens[number]
        pin = self._pin(token, right=True)
        expected = "denied" if self.model.closed(self.now) else self.model.fail(self.now)
        self._check(token, self._type(pin + "00000000", device), (expected, None), device)

    @precondition(lambda self: any(token.offline_code_online for token in self.model.tokens))
    @rule(number=which, right=st.sampled_from([True, True, False]), pin_right=flags, device=flags)
    def types_the_offline_code(self, number: int, right: bool, pin_right: bool, device: bool) -> None:
        token = next(each for each in self._from(number) if each.offline_code_online)
        code = self._offline_code(token)
        if code is None:
            return
        # Alone, the code of a token with a PIN can be no passcode, and would count for nothing.
        pin = self._pin(token, right=pin_right and token.has_pin)
        expected = self.model.emergency_code(token, pin, self.now, right=right)
        typed = pin + (code if right else another_code(code))
        self._check(token, self._type(typed, device), expected, device)

    @precondition(lambda self: any(token.access for token in self.model.tokens))
    @rule(number=which, which_code=st.integers(0, 3), pin_right=st.sampled_from([True, True, False]), device=flags)
    def types_an_online_code(self, number: int, which_code: int, pin_right: bool, device: bool) -> None:
        token = next(each for each in self._from(number) if each.access)
        codes = (*self.given.get(token.serial, ()), "ZZZZ9999")
        self._types_online(token, codes[which_code % len(codes)], self._pin(token, right=pin_right), device=device)

    def _types_online(self, token: Token, code: str, pin: str, *, device: bool) -> None:
        expected = self.model.online_code(token, code, pin, self.now)
        self._check(token, self._type(pin + code, device), expected, device)

    @precondition(lambda self: self.waiting)
    @rule()
    def answers_rightly(self) -> None:
        waiting = self.waiting[-1]
        if waiting.of_model.ask == "next-tokencode":
            self.now += 30
            self.answers_with_a_tokencode(0, 1, other_interface=False)
        else:
            new = next(pin for pin in PINS if pin not in waiting.of_model.token.pins[:4])
            self.answers_with_a_pin(0, new, same=True, other_interface=False)

    @precondition(lambda self: self.waiting)
    @rule(number=st.integers(0, 5), ahead=st.sampled_from([1, 1, 1, 0, 2]), other_interface=flags)
    def answers_with_a_tokencode(self, number: int, ahead: int, other_interface: bool) -> None:
        waiting = self._waiting(number, "next-tokencode")
        if waiting is None or self._asks_elsewhere(waiting, other_interface and ahead == 0):
            return
        challenge = waiting.of_model
        assert challenge.step is not None
        step = challenge.step + ahead
        expected = self.model.answer_code(challenge, step, self.now)
        verdict = self._answer(waiting, self.otps[challenge.token.serial].code(step), waiting.on_device)
        self._check(challenge.token, verdict, expected, waiting.on_device)

    @rule(
        number=st.integers(0, 5),
        pin=st.sampled_from([*PINS, BAD_PIN]),
        same=flags,
        other_interface=st.just(False) | flags,
    )
    def answers_with_a_pin(self, number: int, pin: str, same: bool, other_interface: bool) -> None:
        waiting = self._waiting(number, "new-pin", "confirm-pin")
        if waiting is None or self._asks_elsewhere(waiting, other_interface):
            return
        challenge = waiting.of_model
        if same and challenge.pin:
            pin = challenge.pin
        expected = self.model.answer_pin(challenge, pin, self.now, allowed=pin != BAD_PIN)
        verdict = self._answer(waiting, pin, waiting.on_device)
        self._check(challenge.token, verdict, expected, waiting.on_device)

    # Actions of an operator

    @rule(number=which, pin=pins, must_change=flags)
    def sets_a_pin(self, number: int, pin: str, must_change: bool) -> None:
        token = self.model.tokens[number]
        if not token.with_pin or pin in token.pins[:4]:
            return
        set_pin(self.server, ROOT, token.serial, Secret(pin), must_change=must_change, now=self.now)
        self.model.set_pin(token, pin, must_change=must_change)

    @rule(number=which)
    def clears_a_pin(self, number: int) -> None:
        token = self.model.tokens[number]
        if token.with_pin and token.has_pin:
            clear_pin(self.server, ROOT, token.serial, now=self.now)
            self.model.set_pin(token, "")

    @rule(number=which, enabled=MOSTLY, lost=st.sampled_from([False, False, True]))
    def marks_a_token(self, number: int, enabled: bool, lost: bool) -> None:
        token = self.model.tokens[number]
        set_enabled(self.server, ROOT, token.serial, enabled=enabled, now=self.now)
        set_lost(self.server, ROOT, token.serial, lost=lost, now=self.now)
        self.model.mark(token, enabled=enabled, lost=lost)

    @rule(number=which, device=flags)
    def is_disabled_for_a_moment(self, number: int, device: bool) -> None:
        for enabled in (False, True):
            set_user_enabled(self.server, ROOT, self.login, enabled=enabled, now=self.now)
            self.model.enabled = enabled
            self.types_the_right_passcode(number, pin_right=True, device=device)

    @rule()
    def unlocks(self) -> None:
        unlock(self.server, ROOT, self.login, now=self.now)
        self.model.forgive()

    @rule(number=which, allowed=MOSTLY)
    def allows_the_offline_code_online(self, number: int, allowed: bool) -> None:
        token = self.model.tokens[number]
        if allowed:
            self.signs_in_as_one_does(number, device=True)
        try:
            set_online(self.server, ROOT, token.serial, allowed=allowed, now=self.now)
        except SparekeyError:
            return  # no device has one
        self.model.allow_offline_code(token, allowed=allowed)

    @rule(number=which, one_time=flags, days=st.integers(1, 2), if_available=st.sampled_from(IfAvailable))
    def gives_online_access(self, number: int, one_time: bool, days: int, if_available: IfAvailable) -> None:
        token, terms = self.model.tokens[number], Terms(days, if_available)
        operator = Actor.of_system(f"os:operator{next(_numbers)}")  # each shows so many an hour
        try:
            if one_time:
                given = online_emergency.give_one_time(
                    self.server, operator, token.serial, 3, terms, CALLED_BACK, now=self.now
                )
            else:
                given = online_emergency.give_fixed(
                    self.server, operator, token.serial, terms, CALLED_BACK, now=self.now
                )
        except SparekeyError:
            assert self.model.closed(self.now) or not token.enabled or (token.with_pin and not token.has_pin)
            return
        codes = [code.reveal() for code in given.codes]
        self.given[token.serial] = tuple(codes)
        self.model.end_access(token)  # the new one takes its place
        token.access = Access(one_time, if_available.value, given.expires_at or 0, [*codes])
        for _ in range(2):
            self._types_online(token, codes[0], self._pin(token, right=True), device=days == 1)

    @rule(number=which)
    def ends_online_access(self, number: int) -> None:
        token = self.model.tokens[number]
        if token.access is not None:
            online_emergency.end(self.server, ROOT, token.serial, now=self.now)
            self.model.end_access(token)

    @rule(number=which, keep_pin=flags)
    def replaces_a_token(self, number: int, keep_pin: bool) -> None:
        old = self.model.tokens[number]
        stocked = a_stocked_token(
            self.server, type_name="hotp" if old.events else "totp", digits=8, pin=old.with_pin, now=self.now
        )
        replace(self.server, ROOT, old.serial, stocked.serial, keep_pin=keep_pin, now=self.now)
        unused = -1 if old.events else 0
        new = Token(stocked.serial, old.events, old.with_pin, last_step=unused, replay_step=unused)
        if keep_pin:
            new.pins, new.has_pin, new.must_change = [*old.pins], old.has_pin, old.must_change
        self.model.end_challenges(old)
        self.model.tokens[number] = new
        self.otps[new.serial] = stocked.otp

    @rule(number=which)
    def takes_a_token_away_and_gives_it_back(self, number: int) -> None:
        token = self.model.tokens[number]
        if token.lost:
            return
        unassign(self.server, ROOT, token.serial, now=self.now)
        assign(self.server, ROOT, token.serial, self.login, now=self.now)
        self.model.end_challenges(token)
        token.pins, token.has_pin, token.must_change = [], False, False
        token.enabled, token.offline_code_online, token.access = True, False, None

    @rule(number=which, ahead=st.integers(-1_500, 1_500))
    def synchronises(self, number: int, ahead: int) -> None:
        token = self.model.tokens[number]
        step = max(0, token.last_step + ahead if token.events else self.now // 30 + ahead)
        otp = self.otps[token.serial]
        codes = Secret(otp.code(step)), Secret(otp.code(step + 1))
        expected = self.model.resync(token, step, self.now)
        done = resync(self.server, ROOT, token.serial, *codes, now=self.now)
        assert (done.refused is None) is (expected == "granted")

    @rule(seconds=st.sampled_from(WAITS))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    # Invariants

    @invariant()
    def the_server_agrees_with_the_model_now(self) -> None:
        account = account_row(self.server, self.login)
        seen = (account.enabled, account.failures, account.first_failure_at, account.locked_at)
        model = self.model
        assert seen == (model.enabled, model.failures, model.first_failure_at, model.locked_at)
        for token in model.tokens:
            row = token_row(self.server, token.serial)
            assert (row.enabled, row.lost, row.last_step) == (token.enabled, token.lost, token.last_step)
            assert (row.drift, row.pin_sealed is not None) == (token.drift, token.has_pin)
            assert (row.pin_must_change, row.offline_code_online) == (token.must_change, token.offline_code_online)

    def _from(self, number: int) -> list[Token]:
        """The tokens in turn, from this one on."""
        tokens = self.model.tokens
        return [tokens[(number + each) % len(tokens)] for each in range(len(tokens))]

    def _step(self, token: Token, ahead: int, far: int) -> int:
        if token.events:
            return max(0, token.last_step + ahead + far)
        return self.now // 30 + token.drift + (ahead % 5 - 2 if ahead else 0)

    def _pin(self, token: Token, *, right: bool) -> str:
        """Return the text that is typed before the code."""
        needed = token.pins[0] if token.with_pin and token.has_pin else ""
        if right:
            return needed
        return "zzzz9" if token.with_pin else ""

    def _type(self, text: str, device: bool) -> SignInResult | DeviceSignIn:
        if device:
            return self._on_device(text)
        return sign_in(self.server, REST, self.login, Secret(text), self.now)

    def _answer(self, waiting: Waiting, text: str, device: bool) -> SignInResult | DeviceSignIn:
        if device:
            return self._on_device(text, waiting.name)
        return answer_challenge(self.server, REST, self.login, waiting.name, Secret(text), self.now)

    def _on_device(self, text: str, reply_to: Secret[str] | None = None) -> DeviceSignIn:
        row = self.device.row
        result = sign_in_on_device(self.server, row, self.login, Secret(text), self.check, self.now, reply_to)
        self.check = result.key.check or self.check
        return result

    def _asks_elsewhere(self, waiting: Waiting, wanted: bool) -> bool:
        """Try to answer as another caller: refused, and the challenge stays."""
        if wanted:
            verdict = self._answer(waiting, "00000000", not waiting.on_device)
            assert not isinstance(verdict.outcome, Granted | Asked)
        return wanted

    def _check(
        self, token: Token, verdict: SignInResult | DeviceSignIn, expected: tuple[str, Challenge | None], device: bool
    ) -> None:
        said, challenge = expected
        match verdict.outcome:
            case Granted() as outcome:
                assert said == "granted", outcome
                if outcome.step is not None:
                    assert (token.serial, outcome.step) not in self.successes
                    self.successes.add((token.serial, outcome.step))
            case Asked() as outcome:
                assert (said, token_row(self.server, token.serial).id) == (outcome.ask.value, outcome.granted.token_id)
                assert challenge is not None
                assert verdict.reply_to is not None
                self.waiting.append(Waiting(challenge, verdict.reply_to, device))
            case outcome:
                assert said == "denied", outcome

    def _waiting(self, number: int, *asks: str) -> Waiting | None:
        found = [each for each in self.waiting if each.of_model.ask in asks]
        return found[-1 - number % len(found)] if found else None

    def _offline_code(self, token: Token) -> str | None:
        """Return the newest code of the user's device that still works."""
        token_id = token_row(self.server, token.serial).id
        with self.server.database.read() as connection:
            rows = stored.codes_on_devices(connection, self.account_id)
        codes = [code_state(self.server.vault, row) for row in rows if row.token_id == token_id]
        return next((code.code.reveal() for code in reversed(codes) if code.not_after > self.now), None)


def test_the_server_agrees_with_the_model(shared_server: Instance, count: Count) -> None:
    edit_policy(shared_server, {"allow_tokens_without_pin": "on", "protection_level": "balanced"})
    edit_policy(shared_server, {"unlock_after_minutes": "10"}, kind=PolicyKind.LOCKOUT)

    class Machine(SignIns):
        server = shared_server

    runs = settings(settings.default, max_examples=count(small=8, full=250), stateful_step_count=STEPS, deadline=None)
    run_state_machine_as_test(Machine, settings=runs)
