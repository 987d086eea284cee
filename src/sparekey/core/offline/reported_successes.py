"""Decides how far the server believes a device that reports an offline success (S49).

A device that a user used once can report any success with that user's token. An honest report is older than the
server's own clock, comes with the first contact after it, and is one of few. Rules:
- A tokencode that the token cannot show yet was not used. The report counts up to now.
- Codes of the past use up nothing that still works, so the server always believes them. Only codes that the server
  would still accept are limited, for each device and user in each hour.
- An honest device stays below every limit, whatever its clock says, because the code comes from the clock of the token.
  So a code that was really used stays used (S23).
- A report in doubt raises an alarm, and its event is kept.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sparekey.core.offline.event_packs import LOOK_AHEAD
from sparekey.core.sign_in.authenticate import WINDOW
from sparekey.core.tokens.hotp import RESYNC

LEARNT_SHIFT: Final = 4  # steps by which a device follows a drifting token between two contacts (spec, "Shift")
HOUR: Final = 3_600
# One device may use up 24 codes of time-based tokens, or 60 of event-based ones, for one user in each hour: six uploads
# of a whole window just after a success, or a whole pack and some counters of the next one.
MOST_COST: Final = 120
CODE_COST: Final = 5
COUNTER_COST: Final = 2
MOST_COUNTERS: Final = RESYNC  # that devices may use up since the last success at the server
SHORT_OUTAGE: Final = 300  # seconds between two contacts: the outage between them was a moment of bad network
MOST_SHORT_OUTAGES: Final = 6  # an hour in which the user signed in; with more, the device was in contact all along
CONTACT_SECONDS: Final = 120  # a success during a contact can miss its upload and come with the next one


class Doubt(StrEnum):
    """The reason why a report cannot be true, or is not believed."""

    AHEAD = "ahead"  # a code that the token did not show yet
    LATE = "late"  # a contact after the success did not bring it
    IN_CONTACT = "in-contact"  # again and again within moments between two contacts
    TOO_MANY = "too-many"  # more codes than one device may use up


@dataclass(frozen=True)
class ReportedToken:
    """The facts about a token that a report is compared with.

    `used_from`, `used_to`: devices used up the steps after the first one, up to the second one. `window`: steps to each
    side that the server accepts. `last_given`: the last counter that the device was given; 0 for a time-based token.
    """

    interval: int  # seconds; 0: it counts events
    drift: int
    last_step: int
    used_from: int = 0
    used_to: int = 0
    window: int = WINDOW
    last_given: int = 0


@dataclass(frozen=True)
class Contacts:
    """The contacts of the device before this report, in unix seconds of the server.

    `last_sync`: the last one that ended with a sync, before which a device uploads every event. `last`: the last of any
    kind, such as an upload alone.
    """

    last_sync: int
    last: int


@dataclass(frozen=True)
class Past:
    """The last hour of one user on one device: the cost of codes used up, and short outages with a success."""

    cost: int = 0
    short_outages: int = 0


@dataclass(frozen=True)
class Belief:
    """The effect of a report. `used_to`: the new last step. `codes`: those used up that would still have worked.

    `short_outage`: the success falls between two contacts that follow each other closely.
    """

    used_to: int
    codes: int
    cost: int
    short_outage: bool
    doubts: frozenset[Doubt]


def believe(step: int, at: int, token: ReportedToken, contacts: Contacts, past: Past, now: int) -> Belief:
    """Decide on a report that `step` signed its user in; `at`: when, as the device says, `now`: when the server hears.

    `past` includes what earlier reports of the same upload used up.
    """
    used_to, codes, cost, doubts = (
        _believe_time(step, token, past, now) if token.interval else _believe_counter(step, token, past)
    )
    latest = _latest_second(step, at, token)
    if token.interval and latest < contacts.last_sync:
        doubts.add(Doubt.LATE)
    # An upload in several parts brings successes from before its first part. They were not between two contacts.
    short = now - contacts.last <= SHORT_OUTAGE and latest >= contacts.last
    if short and past.short_outages >= MOST_SHORT_OUTAGES:
        doubts.add(Doubt.IN_CONTACT)
    return Belief(used_to, codes, cost, short, frozenset(doubts))


def _latest_second(step: int, at: int, token: ReportedToken) -> int:
    """Return the last second at which the success can have happened.

    A tokencode of a time-based token tells the time itself, within the steps that a device accepts. Only an event-based
    token leaves the clock of the device, which proves nothing.
    """
    if not token.interval:
        return at + CONTACT_SECONDS
    return (step - token.drift + 1 + WINDOW + LEARNT_SHIFT) * token.interval + CONTACT_SECONDS


def _believe_time(step: int, token: ReportedToken, past: Past, now: int) -> tuple[int, int, int, set[Doubt]]:
    current = now // token.interval + token.drift
    is_ahead = step > current + WINDOW
    wanted = current if is_ahead else step
    free = max(token.last_step, current - token.window - 1)  # the server accepts no code up to this one
    allowed = free + max(MOST_COST - past.cost, 0) // CODE_COST
    used_to = max(token.last_step, min(wanted, allowed))
    codes = max(used_to - free, 0)
    return used_to, codes, codes * CODE_COST, _doubts(is_ahead, wanted > allowed)


def _believe_counter(step: int, token: ReportedToken, past: Past) -> tuple[int, int, int, set[Doubt]]:
    is_ahead = step > min(token.last_step + 1 + LOOK_AHEAD, token.last_given)
    wanted = max(token.last_step, min(step, token.last_given))
    by_devices = token.last_step - token.used_from if token.used_to == token.last_step else 0
    in_hour = max(MOST_COST - past.cost, 0) // COUNTER_COST
    allowed = token.last_step + min(in_hour, max(MOST_COUNTERS - by_devices, 0))
    used_to = min(wanted, allowed)
    codes = used_to - token.last_step
    return used_to, codes, codes * COUNTER_COST, _doubts(is_ahead and step > token.last_step, wanted > allowed)


def _doubts(is_ahead: bool, is_too_many: bool) -> set[Doubt]:
    found = {Doubt.AHEAD} if is_ahead else set()
    return found | {Doubt.TOO_MANY} if is_too_many else found
