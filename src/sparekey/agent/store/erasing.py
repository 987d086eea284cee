"""The records that must not stay on disk, computed from the state alone. The store applies this at every commit.

- Records up to the last used one of their token are erased, wherever that one was used. So are expired days.
- By age, records before the window around the mark are erased. With a clock that cannot be trusted, none are.
- Emergency units can be used again and again: they stay until they expire.
- A piece behind a closed PIN lock is erased as a whole, within the hour after it has expired. If a sign-in was cut off
  before it could erase, the piece is erased when the agent starts.
"""

from sparekey.agent.ground.device_time import TrustedTime
from sparekey.agent.ground.state import State, TokenUse, UnitEntry, UserState
from sparekey.agent.store.pin_lock import OpenedLock, cut_at, within_reach
from sparekey.durations import DAY_SECONDS


def decide_erasing(state: State, trusted: TrustedTime, opened: OpenedLock | None = None) -> dict[str, int]:
    """Return, for each unit by its file name, the number of the last record that must not be on disk. For a unit that
    must go completely, this is its last record."""
    return {
        entry.file: within_reach(entry, _gone_through(entry, user, trusted), opened)
        for user in state.users
        for entry in user.units
    }


def _gone_through(entry: UnitEntry, user: UserState, trusted: TrustedTime) -> int:
    if entry.not_after < trusted.for_erasing:
        return entry.last
    if entry.is_emergency:
        return entry.first - 1
    use = user.token_use(entry.token)
    through = max(use.last_used, entry.given_up_through, _past(entry, use, trusted))
    return max(entry.first - 1, min(entry.last, through))


def _past(entry: UnitEntry, use: TokenUse, trusted: TrustedTime) -> int:
    """Return the number of the last record that has expired by time alone."""
    if not entry.interval or trusted.suspect:
        return entry.first - 1
    return trusted.mark // entry.interval + entry.drift + min(use.learnt_shift, 0) - entry.window - 1


def after_cut_off(state: State) -> State:
    """Return the state at the start of the agent.

    A sign-in that the server accepted may have been cut off before it erased behind the PIN lock. The piece with its
    record then goes as a whole, because it cannot be opened without the PIN.
    """
    accepted = [(user.user, use) for user in state.users for use in user.tokens]
    for user, use in accepted:
        state = state.with_user(cut_at(state.get_user(user), use.token, use.accepted_here))
    return state


def days_left(user: UserState, time: int) -> int:
    """Return the whole days until the last record of the current units expires."""
    return max((days_end(user) - time) // DAY_SECONDS, 0)


def days_end(user: UserState) -> int:
    """Return the unix time at which the last record of the current units expires; an events unit expires as a whole. 0
    if there is none."""
    ends = [
        (entry.last - entry.drift + 1) * entry.interval if entry.interval else entry.not_after
        for entry in user.current_units
        if not entry.is_emergency and entry.erased_through < entry.last
    ]
    return max(ends, default=0)


def emergency_ends(user: UserState) -> int:
    """Return the unix time at which the last emergency code expires; 0 if there is none."""
    return max((entry.not_after for entry in user.current_units if entry.is_emergency), default=0)
