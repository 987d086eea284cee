"""Decides about a sign-in at the server: one pure decision behind every interface (architecture, rules 1 and 7).

Rules:
- The guess is tested before the state of the account, and every token and every candidate step is compared (S04).
- Slow hashes depend on the text alone: one for each PIN that it may begin with, for an unknown user, a user of four
  tokens and a locked account alike, so that an attacker cannot distinguish them (S07, ADR 31).
- A correct code of a step that was already accepted is *already used*, and refused (S01, S02).
- Nothing weaker replaces a token that is lost, disabled or expired (S05).
- The decision changes nothing. `storage.sign_in.statements.commit` saves it, by conditional writes.
"""

import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sparekey.core.emergency.online import OnlineEmergency
from sparekey.core.policy.lockout import FailureCount, LockoutPolicy
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.reasons import ChallengeKind, Method, Reason
from sparekey.core.sign_in.outcome import Asked, Denied, Granted, Outcome
from sparekey.core.sign_in.pins import DECOY, PinVerifier, rule_of
from sparekey.core.sign_in.typed_text import TypedText
from sparekey.core.tokens import Hotp, OtpToken
from sparekey.core.tokens.hotp import RESYNC
from sparekey.durations import DAY_SECONDS
from sparekey.passcode import Candidate, Reading, emergency_tokencode, online_emergency, tokencode
from sparekey.secret import Secret

WINDOW: Final = 1  # steps to each side of the expected one that are sealed with the window of a day (S04)

NEXT_TOKENCODE_TEXT: Final = "Wait until the tokencode changes, then enter the next one, without the PIN."


@dataclass(frozen=True)
class TokenState:
    """One token of the account, as in the snapshot."""

    token_id: str
    otp: OtpToken
    drift: int
    last_step: int
    enabled: bool
    lost: bool
    expires_at: int | None
    with_pin: bool
    pin: PinVerifier | None
    offline_code_online: bool
    pin_must_change: bool = False
    pin_set_at: int | None = None
    emergency: OnlineEmergency | None = None
    too_little: bool = False  # one factor, at an interface that needs two
    reported: range = range(0)  # the steps that devices used up by their reports

    @property
    def digits(self) -> int:
        """The length of its tokencode."""
        return self.otp.digits

    @property
    def in_new_pin_mode(self) -> bool:
        """True if the token needs a PIN and has none: the tokencode alone leads to the challenge for a new PIN."""
        return self.with_pin and self.pin is None

    def needs_new_pin(self, now: int, policy: TokenPolicy) -> bool:
        """Return True if the next sign-in must set or change the PIN."""
        if not self.with_pin:
            return False
        lifetime = policy.pin_lifetime * DAY_SECONDS
        too_old = bool(lifetime) and self.pin_set_at is not None and now >= self.pin_set_at + lifetime
        return self.pin is None or self.pin_must_change or too_old

    def unusable(self, now: int) -> Reason | None:
        """Return the reason why the tokencode or PIN cannot be used now, or None. A lost token is handled elsewhere."""
        if self.too_little:
            return Reason.ONE_FACTOR
        if not self.enabled:
            return Reason.TOKEN_DISABLED
        if self.expires_at is not None and now >= self.expires_at:
            return Reason.TOKEN_EXPIRED
        if self.with_pin and self.pin is None:
            return Reason.NO_PIN
        return None

    def out_of_use(self, now: int) -> Reason | None:
        """Return the reason to refuse tokencodes of a token that is itself in order, or None."""
        if self.lost:
            return Reason.TOKEN_LOST
        if self.emergency is not None and not self.emergency.allows_token(now):
            return Reason.TOKEN_IN_EMERGENCY
        return None


@dataclass(frozen=True)
class CodeState:
    """One version of a token's offline emergency tokencode that a device may still hold."""

    code_id: str
    token_id: str
    code: Secret[str]
    not_after: int


@dataclass(frozen=True)
class AccountState:
    """The account at one group of interfaces, as in the snapshot.

    `failures`: the count of these interfaces. `counts_version`: the version of the counts at all interfaces.
    """

    account_id: str
    login: str
    enabled: bool
    expires_at: int | None
    failures: FailureCount
    lockout: LockoutPolicy = field(default_factory=LockoutPolicy)
    token_policy: TokenPolicy = field(default_factory=TokenPolicy)
    counts_version: int = 0

    def locked(self, now: int) -> bool:
        """Return True if too many failures at these interfaces lock the account now."""
        return self.failures.locked(now, self.lockout)

    @property
    def in_next_tokencode_mode(self) -> bool:
        """True if, after several wrong passcodes in a row, a correct one needs the next tokencode, too."""
        return self.failures.asks_next(self.token_policy.next_tokencode_after)

    def closed(self, now: int) -> Reason | None:
        """Return the reason why no passcode works here now, or None."""
        return self.ended(now) or (Reason.LOCKED if self.locked(now) else None)

    def ended(self, now: int) -> Reason | None:
        """Return the reason why no proof of identity works now, not even one that cannot be guessed, or None."""
        if not self.enabled:
            return Reason.ACCOUNT_DISABLED
        return Reason.ACCOUNT_EXPIRED if self.expires_at is not None and now >= self.expires_at else None


@dataclass(frozen=True)
class Snapshot:
    """The data about one login at one moment. `account` is None for an unknown login."""

    account: AccountState | None
    tokens: tuple[TokenState, ...] = ()
    codes: tuple[CodeState, ...] = ()
    absence: Reason = Reason.UNKNOWN_USER  # why there is no account


def decide(text: TypedText, snapshot: Snapshot, now: int) -> Outcome:
    """Decide one attempt; `now` in unix seconds."""
    guess = _decide_guess(text, snapshot, now)  # first, whatever the text and the account: the work is the same
    reading = text.reading
    if not reading.candidates:
        return _unreadable(reading, snapshot)
    outcome = _after_account(snapshot, guess, now)
    return replace(outcome, misread=reading.misread) if isinstance(outcome, Denied) else outcome


def _unreadable(reading: Reading, snapshot: Snapshot) -> Denied:
    """Return the denial of a text without a fitting shape. It is not counted, because no guess was tested."""
    account_id = snapshot.account.account_id if snapshot.account else None
    if reading.misread:
        return Denied(Reason.MISREAD, account_id, misread=reading.misread)
    return Denied(Reason.NOT_A_PASSCODE, account_id)


def _after_account(snapshot: Snapshot, guess: Outcome, now: int) -> Outcome:
    if snapshot.account is None:
        return Denied(snapshot.absence)
    closed = snapshot.account.closed(now)
    if closed is not None:
        return Denied(closed, snapshot.account.account_id)
    return guess


def _decide_guess(text: TypedText, snapshot: Snapshot, now: int) -> Outcome:
    """Compare the codes of every token, then hash the PINs of the text, then decide for each token."""
    account = snapshot.account
    guesses: list[_Guess] = []
    if account is not None:
        for token in snapshot.tokens:
            guesses += _guesses(text.reading, account, token, snapshot, now)
    right_pins = _right_pins(text.pins, guesses)
    decisions = [guess.decide(_pin_right(guess, right_pins)) for guess in guesses]
    reason = Reason.WRONG_PASSCODE if snapshot.tokens else Reason.NO_TOKEN
    return _best(decisions, Denied(reason, account.account_id if account else None, counted=True))


@dataclass(frozen=True)
class _Decision:
    """The outcome for one token. A guess can be right for this token and still be refused."""

    outcome: Outcome
    right: bool


@dataclass(frozen=True)
class _Guess:
    """The text as a passcode of one token. Its code was compared; its PIN is an argument of `decide`."""

    typed: Candidate
    token: TokenState
    code_right: bool
    decide: Callable[[bool], _Decision]


def _guesses(
    reading: Reading, account: AccountState, token: TokenState, snapshot: Snapshot, now: int
) -> Iterator[_Guess]:
    """Compare the text with the codes of this token: at most one guess for each kind of code."""
    code = reading.of(tokencode(token.otp.digits, with_pin=token.with_pin))
    if code is not None:
        yield _guess_tokencode(code, account, token, now)
    if token.in_new_pin_mode:
        alone = reading.of(tokencode(token.otp.digits, with_pin=False))
        if alone is not None:
            yield _guess_tokencode(alone, account, token, now)
    emergency = reading.of(emergency_tokencode(with_pin=token.with_pin))
    if emergency is not None:
        yield _guess_emergency_tokencode(emergency, account, token, snapshot.codes, now)
    temporary = reading.of(online_emergency(with_pin=token.with_pin))
    if temporary is not None:
        yield _guess_online_emergency(temporary, account, token, now)


def _right_pins(pins: Sequence[Secret[str]], guesses: Sequence[_Guess]) -> frozenset[tuple[str, int]]:
    """Hash each of `pins` once, for any user or none. Return the right ones, as token and length of the PIN.

    A PIN is tested for the token that shows the code after it, else with a decoy: before a wrong code no PIN counts.
    Only two right codes at once cost another hash (two tokens that show the same code by chance, or a token of a type
    that is new to the installation), so that a text without the right code costs the same for everyone (S07).
    """
    meant = [guess for guess in guesses if guess.code_right and guess.typed.shape.with_pin]
    typed = {len(pin): pin for pin in (*pins, *(guess.typed.pin for guess in meant))}
    right = set()
    for length, pin in typed.items():
        verifiers = {
            guess.token.token_id: guess.token.pin
            for guess in meant
            if guess.token.pin is not None and len(guess.typed.pin) == length
        }
        for token_id, verifier in (verifiers or {"": DECOY}).items():
            if verifier.matches(pin.reveal()):
                right.add((token_id, length))
    return frozenset(right)


def _pin_right(guess: _Guess, right_pins: frozenset[tuple[str, int]]) -> bool:
    """Return True if the PIN is correct, or if the token needs none before this code."""
    if not guess.typed.shape.with_pin:
        return not guess.token.with_pin or guess.token.in_new_pin_mode
    return (guess.token.token_id, len(guess.typed.pin)) in right_pins


def _guess_tokencode(typed: Candidate, account: AccountState, token: TokenState, now: int) -> _Guess:
    step = _matching_step(typed.code.reveal(), token, now, account.token_policy.code_window)
    return _Guess(
        typed,
        token,
        step is not None,
        lambda pin_right: _decide_tokencode(typed, account, token, step, now, pin_right=pin_right),
    )


def _decide_tokencode(
    typed: Candidate, account: AccountState, token: TokenState, step: int | None, now: int, *, pin_right: bool
) -> _Decision:
    refused = _tokencode_refused(typed, token, now)
    right = step is not None and pin_right
    if step is None or not pin_right or refused is not None:
        reason = refused if refused is not None else Reason.WRONG_PASSCODE
        return _Decision(Denied(reason, account.account_id, token.token_id, counted=True), right)
    if step <= token.last_step:
        return _Decision(already_used(account, token, step), right)
    return _Decision(after_right_tokencode(account, token, step, now), right)


def already_used(account: AccountState, token: TokenState, step: int) -> Denied:
    """Return the denial of a right tokencode of a used step.

    It does not count if a device reported the step: a device that lies must lock no user (S49). Safe because only the
    right PIN and tokencode get here, and no guess at either is free.
    """
    if step in token.reported:
        return Denied(Reason.USED_ON_DEVICE, account.account_id, token.token_id)
    return Denied(Reason.ALREADY_USED, account.account_id, token.token_id, counted=True, replay_step=step)


def _matching_step(code: str, token: TokenState, now: int, window: int) -> int | None:
    """Return the latest candidate step that shows `code`, or None. All are compared, each in constant time (S04).

    The latest step counts, so that a success uses up every step with the same code. A step far ahead counts only if no
    near step shows the code: among so many steps, some show the same code by chance.
    """
    match = None
    for step in (*_reported_counters(token), *token.otp.candidates(now, token.drift, token.last_step, window)):
        same = hmac.compare_digest(token.otp.code(step).encode(), code.encode())
        if same and (match is None or not token.otp.needs_next(step, token.last_step)):
            match = step
    return match


def _reported_counters(token: TokenState) -> Sequence[int]:
    """Return the counters that devices used up. A user whose token shows one of them made no mistake.

    The used codes of a time-based token are in its window anyway.
    """
    if not isinstance(token.otp, Hotp):
        return range(0)
    # Safe even if the range was forged in the database: only used counters, and only so many.
    return range(max(token.reported.start, token.last_step - RESYNC), min(token.reported.stop, token.last_step))


def _tokencode_refused(typed: Candidate, token: TokenState, now: int) -> Reason | None:
    """Return the reason to refuse any tokencode of this token now, or None."""
    unusable = token.unusable(now)
    if unusable is Reason.NO_PIN and not typed.shape.with_pin:
        unusable = None  # new-PIN mode
    return unusable or token.out_of_use(now)


def after_right_tokencode(
    account: AccountState, token: TokenState, step: int, now: int, *, next_given: bool = False
) -> Outcome:
    """Return the outcome of a correct, unused tokencode: a challenge (the next one, or a new PIN), or granted."""
    granted = Granted(
        account.account_id,
        account.login,
        Method.TOKENCODE,
        token.token_id,
        step,
        token.otp.drift_after(now, step),
        ends_emergency=token.emergency is not None,
        asks_after=0 if next_given else account.token_policy.next_tokencode_after,
    )
    if not next_given and (account.in_next_tokencode_mode or token.otp.needs_next(step, token.last_step)):
        return Asked(ChallengeKind.NEXT_TOKENCODE, granted, NEXT_TOKENCODE_TEXT)
    return _after_all_codes(account, token, granted, now)


def _after_all_codes(account: AccountState, token: TokenState, granted: Granted, now: int) -> Outcome:
    """Ask for a new PIN if the PIN must change, whatever code followed the old PIN."""
    if not token.needs_new_pin(now, account.token_policy):
        return granted
    return Asked(ChallengeKind.NEW_PIN, granted, f"Choose a new PIN: {rule_of(account.token_policy)}.", uses_code=True)


def _guess_emergency_tokencode(
    typed: Candidate, account: AccountState, token: TokenState, codes: tuple[CodeState, ...], now: int
) -> _Guess:
    found = None
    for code in codes:
        same = hmac.compare_digest(code.code.reveal().encode(), typed.code.reveal().encode())
        if same and code.token_id == token.token_id:
            found = code
    refused = token.unusable(now) or (None if token.offline_code_online else Reason.OFFLINE_CODE_NOT_ALLOWED_ONLINE)
    if refused is None and found is not None and now >= found.not_after:
        refused = Reason.EMERGENCY_CODE_EXPIRED
    return _guess_emergency(
        typed, account, token, Method.EMERGENCY_TOKENCODE, found.code_id if found is not None else None, refused, now
    )


def _guess_online_emergency(typed: Candidate, account: AccountState, token: TokenState, now: int) -> _Guess:
    """Compare a temporary fixed or one-time tokencode. It replaces the tokencode even of a lost token."""
    found = None
    for code_id, code in token.emergency.codes if token.emergency else ():
        if hmac.compare_digest(code.reveal().encode(), typed.code.reveal().encode()):
            found = code_id
    refused = token.unusable(now)
    if refused is None and token.emergency is not None and token.emergency.ended(now):
        refused = Reason.EMERGENCY_ENDED
    return _guess_emergency(typed, account, token, Method.ONLINE_EMERGENCY, found, refused, now)


def _guess_emergency(
    typed: Candidate,
    account: AccountState,
    token: TokenState,
    method: Method,
    found: str | None,
    refused: Reason | None,
    now: int,
) -> _Guess:
    """`found`: the id of the code that was typed. `refused`: the reason to refuse it even then."""
    code_right = found is not None
    granted = Granted(account.account_id, account.login, method, token.token_id, code_id=found)
    return _Guess(
        typed,
        token,
        code_right,
        lambda pin_right: _decide_emergency(granted, account, token, refused, now, right=code_right and pin_right),
    )


def _decide_emergency(
    granted: Granted, account: AccountState, token: TokenState, refused: Reason | None, now: int, *, right: bool
) -> _Decision:
    """Test a code that replaces the tokencode. A wrong code counts as wrong, even if there is another obstacle."""
    if not right or refused is not None:
        reason = refused if right and refused is not None else Reason.WRONG_PASSCODE
        return _Decision(Denied(reason, account.account_id, token.token_id, counted=True), right)
    return _Decision(_after_all_codes(account, token, granted, now), right)


def _best(decisions: list[_Decision], otherwise: Denied) -> Outcome:
    """Return a success if there is one, else the most telling refusal; `otherwise` if there are no decisions."""
    for decision in decisions:
        if isinstance(decision.outcome, Granted | Asked):
            return decision.outcome
    return max(decisions, key=_how_telling).outcome if decisions else otherwise


def _how_telling(decision: _Decision) -> int:
    """Return a number that is higher the more a refusal tells about the user's action.

    A repeated code ranks highest, because it is counted once per step, while other refusals count each time. A guess
    that is right for one token tells which token the user meant. A wrong guess was probably meant for a usable token.
    """
    match decision:
        case _Decision(Denied(Reason.ALREADY_USED | Reason.USED_ON_DEVICE)):
            return 3
        case _Decision(right=True):
            return 2
        case _Decision(Denied(Reason.WRONG_PASSCODE)):
            return 1
        case _:
            return 0
