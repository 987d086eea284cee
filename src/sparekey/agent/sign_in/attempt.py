"""The pure part of an offline attempt: which units to try, how a failure counts, and the changes of a success.

- A plan is complete before anything is hashed, so that the attempt can be counted first (S25).
- At the limit of failures, tokencodes are refused without hashing. Emergency codes are never blocked, they only wait.
- Remote users can try emergency codes only until the number of failures after which users must wait. So an attacker on
  the network cannot make the user at the computer wait.
- A passcode with a misread group of letters is refused with the number of the group. It is not counted, because no
  guess was tested.
- A success at step i erases every record up to i: the new state names it here, the store erases it at the commit
  (`erasing`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sparekey.agent.ground.device_time import ClockReading, TrustedTime, at_hit
from sparekey.agent.ground.outcome import Refusal, RefusalReason
from sparekey.agent.ground.ports import Distance
from sparekey.agent.ground.state import State, UnitEntry, UserState
from sparekey.passcode import Reading, Shape, emergency_passcode, emergency_tokencode, split, tokencode
from sparekey.sealed import Header, Moment
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind

FREE_EMERGENCY_FAILURES = 5  # after these, each emergency code waits, and remote ones are refused
LONGEST_WAIT = 900  # seconds
SHIFT_LIMIT = 4  # intervals
SHORTEST_CODE = 6  # digits


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of one attempt: when it is made, and over which path."""

    trusted: TrustedTime
    reading: ClockReading
    distance: Distance
    emergency_only: bool = False  # a trial of the emergency path: tokencodes are left out
    remote: bool = False  # the user comes over a network

    @property
    def is_server_down(self) -> bool:
        """Return True if there is a network but no server. The user's policy decides what works then."""
        return self.distance is not Distance.OFFLINE


@dataclass(frozen=True)
class Try:
    """One unit to try at its moment, with the numbers of the records that may match now."""

    entry: UnitEntry
    moment: Moment
    numbers: range


@dataclass(frozen=True)
class Plan:
    """The units to try, in this order, after the attempt is counted."""

    user: str
    tries: tuple[Try, ...]
    reading: Reading

    @property
    def counts_tokencode(self) -> bool:
        """Return True if a failure counts towards the limit of tokencodes."""
        return any(not planned.entry.is_emergency for planned in self.tries)

    @property
    def counts_emergency(self) -> bool:
        """Return True if a failure counts towards the wait of emergency codes."""
        return any(planned.entry.is_emergency for planned in self.tries)


@dataclass(frozen=True)
class _Candidates:
    """The units whose passcodes have the shape of the typed text. Time, blocks and waits are not considered yet."""

    reading: Reading
    emergency: Sequence[Try]
    tokencode: Sequence[Try]


def decide_attempt(user: UserState, passcode: Secret[str], conditions: Conditions) -> Plan | Refusal:
    """Return the units to try, or the reason to try none.

    1. The policy can forbid all offline sign-ins while the server is down.
    2. A unit is a candidate if the passcode has the shape of its codes.
    3. Candidates that may open now are tried: emergency units first, unless the user must wait; then the others,
       unless tokencodes are blocked.
    4. Otherwise the refusal gives the reason, of the emergency code if the passcode fits both kinds.
    """
    units = [entry for entry in user.current_units if entry.is_emergency or not conditions.emergency_only]
    if conditions.is_server_down and user.policy.server_down == "off":
        return Refusal(RefusalReason.SERVER_DOWN)
    if not units:
        return Refusal(RefusalReason.NO_DATA)
    candidates = _find_candidates(user, units, passcode, conditions)
    tries = [*_emergency_tries(user, candidates, conditions), *_tokencode_tries(user, candidates, conditions)]
    if tries:
        return Plan(user.user, tuple(tries), candidates.reading)
    if not conditions.emergency_only and _has_run_out(units, candidates, passcode):
        return Refusal(RefusalReason.RUN_OUT)
    return _refusal(user, candidates, conditions)


def _find_candidates(
    user: UserState, units: Sequence[UnitEntry], passcode: Secret[str], conditions: Conditions
) -> _Candidates:
    reading = split(passcode.reveal(), map(shape_of, units))
    tries = [try_of(entry, user, conditions.trusted) for entry in units if reading.of(shape_of(entry)) is not None]
    return _Candidates(
        reading,
        emergency=[candidate for candidate in tries if candidate.entry.is_emergency],
        tokencode=[candidate for candidate in tries if not candidate.entry.is_emergency],
    )


def shape_of(entry: UnitEntry) -> Shape:
    """Return the shape of the passcodes that open this unit."""
    if entry.kind == UnitKind.EMERGENCY_PASSCODE:
        return emergency_passcode()
    if entry.kind == UnitKind.EMERGENCY_TOKENCODE:
        return emergency_tokencode(with_pin=entry.with_pin)
    return tokencode(entry.digits, with_pin=entry.with_pin)


def try_of(entry: UnitEntry, user: UserState, trusted: TrustedTime) -> Try:
    """Return the unit with the moment to open it at. Day units are opened at the time; units without an interval are
    also bound by the mark."""
    use = user.token_use(entry.token)
    if entry.is_emergency:
        return Try(entry, Moment(trusted.for_emergency), range(1))
    last_used = use.last_used if use.last_used >= 0 else None
    if not entry.interval:
        following = max(use.last_used + 1, entry.first)
        moment = Moment(trusted.for_emergency, next_counter=following, last_used=last_used)
        return Try(entry, moment, range(following, following + entry.window + 1))
    centre = trusted.time // entry.interval + entry.drift + use.learnt_shift
    moment = Moment(trusted.time, learnt_shift=use.learnt_shift, last_used=last_used)
    return Try(entry, moment, range(centre - entry.window, centre + entry.window + 1))


def _emergency_tries(user: UserState, candidates: _Candidates, conditions: Conditions) -> Sequence[Try]:
    if conditions.remote:
        is_allowed = user.emergency_failures < FREE_EMERGENCY_FAILURES
    else:
        is_allowed = emergency_wait(user, conditions.reading) == 0
    if not is_allowed:
        return []
    return [candidate for candidate in candidates.emergency if _may_open_now(candidate)]


def emergency_wait(user: UserState, reading: ClockReading) -> int:
    """Return the seconds until the next emergency code may be tried, 0 for now.

    The wait is 1 second after `FREE_EMERGENCY_FAILURES`, doubles with each further failure and ends at `LONGEST_WAIT`.
    After a restart it is counted from the start of the computer.
    """
    beyond = user.emergency_failures - FREE_EMERGENCY_FAILURES
    if beyond < 0:
        return 0
    same_boot = user.emergency_failed_boot == reading.boot
    waited = reading.monotonic - (user.emergency_failed_monotonic if same_boot else 0)
    # The exponent is capped only to keep the number small: 2^10 is past the longest wait.
    return max(int(min(2 ** min(beyond, 10), LONGEST_WAIT)) - max(waited, 0), 0)


def _may_open_now(candidate: Try) -> bool:
    """Return True if the unit holds a record for its moment. `sealed` decides again, by the signed header."""
    entry, numbers = candidate.entry, candidate.numbers
    in_unit = numbers.start <= entry.last and numbers.stop > entry.first
    return in_unit and candidate.moment.time <= entry.not_after


def _tokencode_tries(user: UserState, candidates: _Candidates, conditions: Conditions) -> Sequence[Try]:
    if _find_tokencode_block(user, conditions) is not None:
        return []
    tries = [candidate for candidate in candidates.tokencode if _may_open_now(candidate)]
    return sorted(tries, key=lambda candidate: _order(candidate, user))


def _find_tokencode_block(user: UserState, conditions: Conditions) -> RefusalReason | None:
    """Return the reason why no tokencode is tried for this user now."""
    if conditions.is_server_down and user.policy.server_down != "on":
        return RefusalReason.SERVER_DOWN
    if conditions.trusted.clock_wrong:
        return RefusalReason.CLOCK
    if user.tokencodes_blocked:
        return RefusalReason.LOCKED
    return RefusalReason.EMERGENCY_CODE_NEEDED if user.failures >= user.policy.offline_failures else None


def _order(candidate: Try, user: UserState) -> tuple[int, int]:
    """Return the sort key: the token used last comes first, and of its days the one with the middle of the window."""
    entry, numbers = candidate.entry, candidate.numbers
    middle = (numbers.start + numbers.stop) // 2
    return (-user.token_use(entry.token).used_at, 0 if entry.first <= middle <= entry.last else 1)


def _has_run_out(units: Sequence[UnitEntry], candidates: _Candidates, passcode: Secret[str]) -> bool:
    """Return True if the text looks like a tokencode, and only emergency units are left.

    The tokencode would have been tried before the days or events ran out.
    """
    has_tokencodes = any(not entry.is_emergency for entry in units)
    return not has_tokencodes and not candidates.emergency and _looks_like_tokencode(passcode)


def _looks_like_tokencode(passcode: Secret[str]) -> bool:
    """Return True if the text ends in digits like a tokencode; the exact length is known from a unit only."""
    last = passcode.reveal().rstrip(" \r\n")[-SHORTEST_CODE:]
    return len(last) == SHORTEST_CODE and last.isascii() and last.isdecimal()


def _refusal(user: UserState, candidates: _Candidates, conditions: Conditions) -> Refusal:
    """Return the reason why no candidate is tried."""
    if candidates.reading.misread:
        return Refusal(RefusalReason.MISREAD, misread=candidates.reading.misread)
    if any(_may_open_now(candidate) for candidate in candidates.emergency):
        return Refusal(RefusalReason.WAIT, wait=emergency_wait(user, conditions.reading))
    if candidates.tokencode:
        return Refusal(_find_tokencode_block(user, conditions) or RefusalReason.RUN_OUT)
    return Refusal(RefusalReason.EMERGENCY_EXPIRED if candidates.emergency else RefusalReason.WRONG_PASSCODE)


def with_failure(user: UserState, plan: Plan, reading: ClockReading) -> UserState:
    """Return the user with one more failure. It is committed before the first hash, and a success takes it back."""
    if plan.counts_tokencode:
        user = replace(user, failures=user.failures + 1)
    if plan.counts_emergency:
        user = replace(
            user,
            emergency_failures=user.emergency_failures + 1,
            emergency_failed_boot=reading.boot,
            emergency_failed_monotonic=reading.monotonic,
        )
    return user


def without_failure(user: UserState, plan: Plan) -> UserState:
    """Return the user without the failure of this attempt, for an attempt that compared nothing with the passcode."""
    failures = max(user.failures - int(plan.counts_tokencode), 0)
    emergency = max(user.emergency_failures - int(plan.counts_emergency), 0)
    return replace(user, failures=failures, emergency_failures=emergency)


def with_counts_reset(user: UserState) -> UserState:
    """Return the user with both counts of failures at 0, as any success leaves them."""
    return replace(user, failures=0, emergency_failures=0, emergency_failed_boot="", emergency_failed_monotonic=0)


def after_success(state: State, header: Header, i: int, trusted: TrustedTime, reading: ClockReading) -> State:
    """Return the state after record `i` of this unit opened: counts, last used record, learnt shift and mark. The
    event of the success is added by the caller."""
    user = with_counts_reset(state.get_user(header.user))
    if header.kind.is_emergency:
        return state.with_user(user)
    use = user.token_use(header.token)
    shift = use.learnt_shift
    time = state.time
    if header.interval:
        shift = _shifted(shift, i - (trusted.time // header.interval + header.drift + shift))
        time = at_hit(time, reading, (i - header.drift) * header.interval)
    user = user.with_token(replace(use, last_used=max(use.last_used, i), learnt_shift=shift, used_at=trusted.time))
    return replace(state, time=time).with_user(user)


def _shifted(shift: int, distance: int) -> int:
    return max(-SHIFT_LIMIT, min(SHIFT_LIMIT, shift + distance))


def after_online_success(user: UserState, token: str, step: int, at: int) -> UserState:
    """Return the user after the server accepted `step` of this token, at unix time `at`. An empty `token` stands for
    an emergency passcode."""
    user = with_counts_reset(user)
    if not token:
        return user
    use = user.token_use(token)
    accepted = max(use.accepted_here, step)
    return user.with_token(replace(use, last_used=max(use.last_used, step), used_at=at, accepted_here=accepted))
