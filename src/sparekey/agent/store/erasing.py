"""What may stay on disk, as a function of the state alone: the store applies it at every commit.

- Records up to the last used one of their token, wherever it was used, go; so do days that are past.
- By time, records before the window around the mark go; with a clock that cannot be trusted, nothing does.
- Emergency units are reusable: they stay until their end.
- A piece behind a PIN lock that is not open goes whole or not yet: in the hour after it is past at the latest, and at
  the agent's start if a sign-in here was cut off before it came to it.
"""

from sparekey.agent.ground.device_time import TrustedTime
from sparekey.agent.ground.state import State, TokenUse, UnitEntry, UserState
from sparekey.agent.store.pin_lock import OpenedLock, cut_at, within_reach

DAY_SECONDS = 86400


def decide_erasing(state: State, trusted: TrustedTime, opened: OpenedLock | None = None) -> dict[str, int]:
    """For each unit (by file name) the number of the last record that must not be on disk; units that must go
    altogether have their very last record named."""
    return {
        entry.file: within_reach(entry, _gone_through(entry, user, trusted), opened)
        for user in state.users
        for entry in user.units
    }


def after_cut_off(state: State) -> State:
    """The state at agent start: a sign-in that the server accepted here may have been cut off before it reached behind
    the PIN lock. The piece with its record goes whole, as nobody is there who could open it."""
    accepted = [(user.user, use) for user in state.users for use in user.tokens]
    for user, use in accepted:
        state = state.with_user(cut_at(state.get_user(user), use.token, use.accepted_here))
    return state


def _gone_through(entry: UnitEntry, user: UserState, trusted: TrustedTime) -> int:
    if entry.not_after < trusted.for_erasing:
        return entry.last
    if entry.is_emergency:
        return entry.first - 1
    use = user.token_use(entry.token)
    through = max(use.last_used, entry.given_up_through, _past(entry, use, trusted))
    return max(entry.first - 1, min(entry.last, through))


def _past(entry: UnitEntry, use: TokenUse, trusted: TrustedTime) -> int:
    """The last record that time alone has made useless."""
    if not entry.interval or trusted.suspect:
        return entry.first - 1
    return trusted.mark // entry.interval + entry.drift + min(use.learnt_shift, 0) - entry.window - 1


def days_left(user: UserState, time: int) -> int:
    """Whole days until the end of the last record that may open."""
    return max((days_end(user) - time) // DAY_SECONDS, 0)


def days_end(user: UserState) -> int:
    """When the last record that may open ends, a pack's all at once; 0: none is held."""
    ends = [
        (entry.last - entry.drift + 1) * entry.interval if entry.interval else entry.not_after
        for entry in user.current_units
        if not entry.is_emergency and entry.erased_through < entry.last
    ]
    return max(ends, default=0)


def emergency_ends(user: UserState) -> int:
    """When the emergency code that lasts longest ends; 0: none is held."""
    return max((entry.not_after for entry in user.current_units if entry.is_emergency), default=0)
