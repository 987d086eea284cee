"""An offline attempt as far as it is judged without touching: what is tried, what is counted, what success changes.

- The answer to "what is tried" is known before anything is hashed, so that it can be counted first (S25).
- At the limit of failures tokencodes are refused unhashed; emergency codes never are, they wait. Over a network only
  those are tried that need no wait, so that strangers bring none about for whoever sits at the computer.
- A misread group is named and nothing is counted: no guess was tested.
- Success at i erases: the state says so here, the store makes it so at the commit (see `erasing`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sparekey.agent.ground.device_time import ClockReading, Judged, at_hit
from sparekey.agent.ground.outcome import Reason, Refusal
from sparekey.agent.ground.ports import Distance
from sparekey.agent.ground.state import State, UnitEntry, UserState
from sparekey.passcode import Reading, Shape, emergency_passcode, emergency_tokencode, split, tokencode
from sparekey.sealed import Header, Moment, UnitKind
from sparekey.secret import Secret

DAY_SECONDS = 86400
FREE_EMERGENCY_FAILURES = 5
LONGEST_WAIT = 900  # seconds
SHIFT_LIMIT = 4  # intervals
SHORTEST_CODE = 6  # digits


@dataclass(frozen=True)
class Try:
    """One unit to be tried at its moment, and the numbers of the records that count now."""

    entry: UnitEntry
    moment: Moment
    numbers: range


@dataclass(frozen=True)
class Plan:
    """What is tried, in this order, once it has been counted."""

    user: str
    tries: tuple[Try, ...]
    reading: Reading

    @property
    def counts_tokencode(self) -> bool:
        return any(not each.entry.is_emergency for each in self.tries)

    @property
    def counts_emergency(self) -> bool:
        return any(each.entry.is_emergency for each in self.tries)


def decide_attempt(
    user: UserState,
    typed: Secret[str],
    judged: Judged,
    reading: ClockReading,
    distance: Distance,
    *,
    emergency_only: bool = False,
    from_afar: bool = False,
) -> Plan | Refusal:
    """What of the user's units the typed text fits and may be tried on now, or why nothing is tried; `from_afar`: by
    whoever comes over a network."""
    units = [entry for entry in user.current_units if entry.is_emergency or not emergency_only]
    down = distance is not Distance.OFFLINE
    if down and user.policy.server_down == "off":
        return Refusal(Reason.SERVER_DOWN)
    if not units:
        return Refusal(Reason.NO_DATA)
    read = split(typed.reveal(), map(shape_of, units))
    fitting = [try_of(entry, user, judged) for entry in units if read.of(shape_of(entry)) is not None]
    tokencodes = [each for each in fitting if not each.entry.is_emergency]
    emergencies = [each for each in fitting if each.entry.is_emergency]
    blocked = _tokencode_block(user, judged, down)
    wait = emergency_wait(user, reading)
    are_free = user.emergency_failures < FREE_EMERGENCY_FAILURES
    may_try_codes = are_free if from_afar else wait == 0
    tries = [each for each in emergencies if may_try_codes and _is_near(each)]
    if blocked is None:
        tries += sorted((each for each in tokencodes if _is_near(each)), key=lambda each: _order(each, user))
    if tries:
        return Plan(user.user, tuple(tries), read)
    if not emergency_only and all(entry.is_emergency for entry in units) and not emergencies and _is_code(typed):
        return Refusal(Reason.RUN_OUT)  # it would have been tried a day, or some codes, ago
    return _refusal(read, tokencodes, emergencies, blocked, wait)


def _refusal(
    read: Reading, tokencodes: Sequence[Try], emergencies: Sequence[Try], blocked: Reason | None, wait: int
) -> Refusal:
    """Why nothing is tried; where a text fits both kinds, what is said is about the emergency code."""
    if read.misread:
        return Refusal(Reason.MISREAD, misread=read.misread)
    if any(_is_near(each) for each in emergencies):
        return Refusal(Reason.WAIT, wait=wait)
    if tokencodes:
        return Refusal(blocked or Reason.RUN_OUT)
    return Refusal(Reason.EMERGENCY_EXPIRED if emergencies else Reason.WRONG_PASSCODE)


def _is_code(typed: Secret[str]) -> bool:
    """Whether somebody has typed a tokencode, as far as that can be told without its unit."""
    last = typed.reveal().rstrip(" \r\n")[-SHORTEST_CODE:]
    return len(last) == SHORTEST_CODE and last.isascii() and last.isdecimal()


def _tokencode_block(user: UserState, judged: Judged, down: bool) -> Reason | None:
    if down and user.policy.server_down != "on":
        return Reason.SERVER_DOWN
    if judged.clock_wrong:
        return Reason.CLOCK
    if user.tokencodes_blocked:
        return Reason.LOCKED
    return Reason.EMERGENCY_CODE_NEEDED if user.failures >= user.policy.offline_failures else None


def emergency_wait(user: UserState, reading: ClockReading) -> int:
    """Seconds until the next emergency code is tried; the time since boot counts where the failure was in another."""
    beyond = user.emergency_failures - FREE_EMERGENCY_FAILURES
    if beyond < 0:
        return 0
    same_boot = user.emergency_failed_boot == reading.boot
    waited = reading.monotonic - (user.emergency_failed_monotonic if same_boot else 0)
    # The exponent is capped only to keep the number small: 2^10 is past the longest wait.
    return max(int(min(2 ** min(beyond, 10), LONGEST_WAIT)) - max(waited, 0), 0)


def shape_of(entry: UnitEntry) -> Shape:
    """What is typed to open this unit."""
    if entry.kind == UnitKind.EMERGENCY_PASSCODE:
        return emergency_passcode()
    if entry.kind == UnitKind.EMERGENCY_TOKENCODE:
        return emergency_tokencode(with_pin=entry.with_pin)
    return tokencode(entry.digits, with_pin=entry.with_pin)


def try_of(entry: UnitEntry, user: UserState, judged: Judged) -> Try:
    """The unit at its moment; days are judged by time, what has no interval by the mark too."""
    use = user.token_use(entry.token)
    if entry.is_emergency:
        return Try(entry, Moment(judged.for_emergency), range(1))
    last_used = use.last_used if use.last_used >= 0 else None
    if not entry.interval:
        following = max(use.last_used + 1, entry.first)
        moment = Moment(judged.for_emergency, next_counter=following, last_used=last_used)
        return Try(entry, moment, range(following, following + entry.window + 1))
    centre = judged.time // entry.interval + entry.drift + use.learnt_shift
    moment = Moment(judged.time, learnt_shift=use.learnt_shift, last_used=last_used)
    return Try(entry, moment, range(centre - entry.window, centre + entry.window + 1))


def _is_near(each: Try) -> bool:
    """Whether the unit holds a record for its moment; `sealed` judges this again by the signed header."""
    in_unit = each.numbers.start <= each.entry.last and each.numbers.stop > each.entry.first
    return in_unit and each.moment.time <= each.entry.not_after


def _order(each: Try, user: UserState) -> tuple[int, int]:
    """The token used last first; of two days of one token the nearer."""
    use = user.token_use(each.entry.token)
    middle = (each.numbers.start + each.numbers.stop) // 2
    return (-use.used_at, 0 if each.entry.first <= middle <= each.entry.last else 1)


def counted(user: UserState, plan: Plan, reading: ClockReading) -> UserState:
    """The failure that this attempt will have been unless it succeeds: on disk before the first hash."""
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


def taken_back(user: UserState, plan: Plan) -> UserState:
    """The counts without this attempt: nothing was compared with what was typed."""
    failures = max(user.failures - int(plan.counts_tokencode), 0)
    emergency = max(user.emergency_failures - int(plan.counts_emergency), 0)
    return replace(user, failures=failures, emergency_failures=emergency)


def uncounted(user: UserState) -> UserState:
    """Any success sets both counts to 0."""
    return replace(user, failures=0, emergency_failures=0, emergency_failed_boot="", emergency_failed_monotonic=0)


def after_success(state: State, header: Header, i: int, judged: Judged, reading: ClockReading) -> State:
    """All that a right passcode changes but the event: counts, last used record, learnt shift, mark."""
    user = uncounted(state.get_user(header.user))
    if header.kind.is_emergency:
        return state.with_user(user)
    use = user.token_use(header.token)
    shift = use.learnt_shift
    time = state.time
    if header.interval:
        shift = _shifted(shift, i - (judged.time // header.interval + header.drift + shift))
        time = at_hit(time, reading, (i - header.drift) * header.interval)
    user = user.with_token(replace(use, last_used=max(use.last_used, i), learnt_shift=shift, used_at=judged.time))
    return replace(state, time=time).with_user(user)


def after_online_success(user: UserState, token: str, step: int, at: int) -> UserState:
    """The server accepted `step` of that token (token "": an emergency passcode)."""
    user = uncounted(user)
    if not token:
        return user
    use = user.token_use(token)
    accepted = max(use.accepted_here, step)
    return user.with_token(replace(use, last_used=max(use.last_used, step), used_at=at, accepted_here=accepted))


def _shifted(shift: int, distance: int) -> int:
    return max(-SHIFT_LIMIT, min(SHIFT_LIMIT, shift + distance))
