"""Limits of one operator's changes within an hour: users changed, and names of unseen objects learnt. Pure.

An attacker who finds an open session cannot give a fresh second factor (S62). Ten users are the work of an hour; a
hundred are an outage.
"""

from typing import Final

HOUR: Final = 3_600  # seconds that a change counts
FREE_CHANGES: Final = 10  # users that an operator may change in an hour without a fresh second factor
NAMES_OF_AN_ALARM: Final = 10  # each time an operator has learnt so many more names in an hour


def needs_second_factor(before: int, more: int, *, fresh: bool) -> bool:
    """Return True if `more` users after `before` may be changed only with a fresh second factor."""
    return not fresh and before + more > FREE_CHANGES


def is_alarming(before: int, more: int) -> bool:
    """Return True if `more` names after `before` complete another set."""
    return (before + more) // NAMES_OF_AN_ALARM > before // NAMES_OF_AN_ALARM
