"""Decides about a sign-in at the server: one pure decision behind every interface (architecture, rules 1 and 7).

Rules:
- The guess is tested before the state of the account, and every token and every candidate step is evaluated. The work
  is the same for an unknown user, a locked account and a wrong passcode, so that an attacker cannot distinguish them
  (S04, S07).
- A correct code of a step that was already accepted is *already used*, and refused (S01, S02).
- Nothing weaker replaces a token that is lost, disabled or expired (S05).
- The decision changes nothing. `storage.sign_in.statements.commit` saves it, by conditional writes.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from sparekey.core.emergency.online import OnlineEmergency
from sparekey.core.policy.lockout import FailureCount, LockoutPolicy
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.reasons import ChallengeKind, Method, Reason
from sparekey.core.sign_in.outcome import Asked, Denied, Granted, Outcome
from sparekey.core.sign_in.pins import DECOY, PinVerifier, rule_of
from sparekey.core.tokens import DIGITS, OtpToken
from sparekey.durations import DAY_SECONDS
from sparekey.passcode import (
    Candidate,
    Reading,
    Shape,
    emergency_passcode,
    emergency_tokencode,
    online_emergency,
    split,
    tokencode,
)
from sparekey.secret import Secret

WINDOW: Final = 1  # steps to each side of the expected one that are sealed with the window of a day (S04)

# Every shape a server interface knows, in the order in which they are tried; the same for each user, known or not.
SHAPES: Final[tuple[Shape, ...]] = (
    *(tokencode(digits, with_pin=with_pin) for digits in DIGITS for with_pin in (True, False)),
    emergency_tokencode(with_pin=True),
    emergency_tokencode(with_pin=False),
    emergency_passcode(),
)

# Only for an account that has online emergency access: eight characters of anything would hide a misread group.
ONLINE_SHAPES: Final[tuple[Shape, ...]] = (*SHAPES, online_emergency(with_pin=True), online_emergency(with_pin=False))

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
    """The account, as in the snapshot."""

    account_id: str
    login: str
    enabled: bool
    expires_at: int | None
    failures: FailureCount
    lockout: LockoutPolicy = field(default_factory=LockoutPolicy)
    token_policy: TokenPolicy = field(default_factory=TokenPolicy)

    def locked(self, now: int) -> bool:
        """Return True if too many failures lock the account now."""
        return self.failures.locked(now, self.lockout)

    @property
    def in_next_tokencode_mode(self) -> bool:
        """True if, after several wrong passcodes in a row, a correct one needs the next tokencode, too."""
        return 0 < self.token_policy.next_tokencode_after <= self.failures.failures

    def closed(self, now: int) -> Reason | None:
        """Return the reason why the account cannot be used now, or None."""
        if not self.enabled:
            return Reason.ACCOUNT_DISABLED
        if self.expires_at is not None and now >= self.expires_at:
            return Reason.ACCOUNT_EXPIRED
        return Reason.LOCKED if self.locked(now) else None


@dataclass(frozen=True)
class Snapshot:
    """The data about one login at one moment. `account` is None for an unknown login."""

    account: AccountState | None
    tokens: tuple[TokenState, ...] = ()
    codes: tuple[CodeState, ...] = ()
    absence: Reason = Reason.UNKNOWN_USER  # why there is no account


def read_typed(typed: Secret[str], *, online_emergency: bool = False) -> Reading:
    """Read the typed text, in the same way for every interface. `online_emergency`: the user has such access.

    Safe because the misread groups, which the answer names, are the same for users with and without access (S07).
    """
    reading = split(typed.reveal(), SHAPES)
    if not online_emergency:
        return reading
    return replace(split(typed.reveal(), ONLINE_SHAPES), misread=reading.misread)


def decide(reading: Reading, snapshot: Snapshot, now: int) -> Outcome:
    """Decide one attempt; `now` in unix seconds."""
    if not reading.candidates:
        return _unreadable(reading, snapshot)
    outcome = _decide_readable(reading, snapshot, now)
    return replace(outcome, misread=reading.misread) if isinstance(outcome, Denied) else outcome


def _unreadable(reading: Reading, snapshot: Snapshot) -> Denied:
    """Return the denial of a text without a fitting shape. It is not counted, because no guess was tested."""
    account_id = snapshot.account.account_id if snapshot.account else None
    if reading.misread:
        return Denied(Reason.MISREAD, account_id, misread=reading.misread)
    return Denied(Reason.NOT_A_PASSCODE, account_id)


def _decide_readable(reading: Reading, snapshot: Snapshot, now: int) -> Outcome:
    guess = _decide_guess(reading, snapshot, now)
    if snapshot.account is None:
        return Denied(snapshot.absence)
    closed = snapshot.account.closed(now)
    if closed is not None:
        return Denied(closed, snapshot.account.account_id)
    return guess


def _decide_guess(reading: Reading, snapshot: Snapshot, now: int) -> Outcome:
    account = snapshot.account
    decisions: list[_Decision] = []
    if account is not None:
        for token in snapshot.tokens:
            decisions += _decisions(reading, account, token, snapshot, now)
    if not decisions:
        # The same work as for a token with a PIN, because no token was tested or the login is unknown.
        DECOY.matches(reading.candidates[0].pin.reveal())
    reason = Reason.WRONG_PASSCODE if snapshot.tokens else Reason.NO_TOKEN
    return _best(decisions, Denied(reason, account.account_id if account else None, counted=True))


@dataclass(frozen=True)
class _Decision:
    """The outcome for one token. A guess can be right for this token and still be refused."""

    outcome: Outcome
    right: bool


def _decisions(
    reading: Reading, account: AccountState, token: TokenState, snapshot: Snapshot, now: int
) -> Iterator[_Decision]:
    """Test the text for this token: at most one decision for its tokencode and one for its emergency tokencode."""
    code = reading.of(tokencode(token.otp.digits, with_pin=token.with_pin))
    if code is not None:
        yield _decide_tokencode(code, account, token, now)
    if token.in_new_pin_mode:
        alone = reading.of(tokencode(token.otp.digits, with_pin=False))
        if alone is not None:
            yield _decide_tokencode(alone, account, token, now)
    emergency = reading.of(emergency_tokencode(with_pin=token.with_pin))
    if emergency is not None:
        yield _decide_emergency_tokencode(emergency, account, token, snapshot.codes, now)
    temporary = reading.of(online_emergency(with_pin=token.with_pin))
    if temporary is not None:
        yield _decide_online_emergency(temporary, account, token, now)


def _decide_tokencode(typed: Candidate, account: AccountState, token: TokenState, now: int) -> _Decision:
    step = _matching_step(typed.code.reveal(), token, now, account.token_policy.code_window)
    pin_right = _pin_right(typed, token)
    refused = _tokencode_refused(typed, token, now)
    right = step is not None and pin_right
    if step is None or not pin_right or refused is not None:
        reason = refused if refused is not None else Reason.WRONG_PASSCODE
        return _Decision(Denied(reason, account.account_id, token.token_id, counted=True), right)
    if step <= token.last_step:
        used = Reason.ALREADY_USED
        return _Decision(Denied(used, account.account_id, token.token_id, counted=True, replay_step=step), right)
    return _Decision(after_right_tokencode(account, token, step, now), right)


def _matching_step(code: str, token: TokenState, now: int, window: int) -> int | None:
    """Return the latest candidate step that shows `code`, or None. All are compared, each in constant time (S04).

    The latest step counts, so that a success uses up every step with the same code. A step far ahead counts only if no
    near step shows the code: among so many steps, some show the same code by chance.
    """
    match = None
    for step in token.otp.candidates(now, token.drift, token.last_step, window):
        same = hmac.compare_digest(token.otp.code(step).encode(), code.encode())
        if same and (match is None or not token.otp.needs_next(step, token.last_step)):
            match = step
    return match


def _pin_right(typed: Candidate, token: TokenState) -> bool:
    """Return True if the PIN is correct. Costs one Argon2id for a token with a PIN, however wrong the code is."""
    if not typed.shape.with_pin:
        return not token.with_pin or token.in_new_pin_mode
    return (token.pin or DECOY).matches(typed.pin.reveal())


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


def _decide_emergency_tokencode(
    typed: Candidate, account: AccountState, token: TokenState, codes: tuple[CodeState, ...], now: int
) -> _Decision:
    found = None
    for code in codes:
        same = hmac.compare_digest(code.code.reveal().encode(), typed.code.reveal().encode())
        if same and code.token_id == token.token_id:
            found = code
    pin_right = _pin_right(typed, token)
    refused = token.unusable(now) or (None if token.offline_code_online else Reason.OFFLINE_CODE_NOT_ALLOWED_ONLINE)
    if refused is None and found is not None and now >= found.not_after:
        refused = Reason.EMERGENCY_CODE_EXPIRED
    method, code_id = Method.EMERGENCY_TOKENCODE, found.code_id if found is not None else None
    granted = Granted(account.account_id, account.login, method, token.token_id, code_id=code_id)
    return _decide_emergency(granted, account, token, refused, now, right=code_id is not None and pin_right)


def _decide_online_emergency(typed: Candidate, account: AccountState, token: TokenState, now: int) -> _Decision:
    """Test a temporary fixed or one-time tokencode. It replaces the tokencode even of a lost token."""
    found = None
    for code_id, code in token.emergency.codes if token.emergency else ():
        if hmac.compare_digest(code.reveal().encode(), typed.code.reveal().encode()):
            found = code_id
    pin_right = _pin_right(typed, token)
    refused = token.unusable(now)
    if refused is None and token.emergency is not None and token.emergency.ended(now):
        refused = Reason.EMERGENCY_ENDED
    granted = Granted(account.account_id, account.login, Method.ONLINE_EMERGENCY, token.token_id, code_id=found)
    return _decide_emergency(granted, account, token, refused, now, right=found is not None and pin_right)


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
        case _Decision(Denied(Reason.ALREADY_USED)):
            return 3
        case _Decision(right=True):
            return 2
        case _Decision(Denied(Reason.WRONG_PASSCODE)):
            return 1
        case _:
            return 0
