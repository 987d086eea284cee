"""Texts that all pages share: times, spans of time, and the properties of tokens."""

from datetime import UTC, datetime, tzinfo
from typing import Final

from sparekey.core.plurals import counted
from sparekey.durations import DAY_SECONDS

MINUTE: Final = 60
HOUR: Final = 3_600
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SPANS: Final = ((2 * DAY_SECONDS, DAY_SECONDS, "day"), (2 * HOUR, HOUR, "hour"), (2 * MINUTE, MINUTE, "minute"))


def moment(at: int, zone: tzinfo, *, weekday: bool = False) -> str:
    """Return a time as text in that zone: `27 Nov 2026, 05:14`."""
    local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    before = f"{_DAYS[local.weekday()]} " if weekday else ""
    return f"{before}{local.day} {_MONTHS[local.month - 1]} {local.year}, {local:%H:%M}"


def machine_time(at: int) -> str:
    """Return a time by RFC 3339, for programs that read the page."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_field(at: int | None, zone: tzinfo) -> str:
    """Return a day as the value of a form field; "" for None."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).astimezone(zone).strftime("%Y-%m-%d")


def distance(at: int, now: int) -> str:
    """Return a span as text in the largest unit of which it has at least two: `in 7 days`, `3 hours ago`, `now`."""
    seconds = abs(at - now)
    for least, unit, name in _SPANS:
        if seconds >= least:
            number = seconds // unit
            return f"in {number} {name}s" if at > now else f"{number} {name}s ago"
    if seconds >= MINUTE:
        return "in a minute" if at > now else "a minute ago"
    return "now"


def sentence(text: str) -> str:
    """Return the text with a capital first letter and a full stop, which errors do not have."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def zone_name(zone: tzinfo) -> str:
    """Return the name of a zone: `Europe/Berlin`, or `UTC`."""
    return str(getattr(zone, "key", "UTC"))


def token_type(kind: str) -> str:
    """Return the type of a token as text."""
    return _TYPES.get(kind, kind)


def code_of_token(digits: int, interval: int) -> str:
    """Describe the codes of a token. `interval` in seconds; 0 for an event-based token."""
    if interval:
        return f"{digits} digits, a new code every {interval} seconds"
    return f"{digits} digits, a new code at each press of the button"


def drift_of_clock(drift: int, interval: int) -> str:
    """Describe how far a token's clock is off; "" for a token without a clock."""
    if not interval:
        return ""
    if drift == 0:
        return "accurate"
    seconds = abs(drift) * interval
    off = counted(seconds, "second") if seconds < 2 * MINUTE else f"{seconds / MINUTE:.3g} minutes"
    return f"{off} {'fast' if drift > 0 else 'slow'}"


_TYPES: Final = {"totp": "Time-based", "hotp": "Event-based", "securid": "Time-based, SecurID type"}
