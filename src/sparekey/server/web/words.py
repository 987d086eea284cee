"""How pages write things for tired people: moments, spans of time, counts, what is on and off."""

from datetime import UTC, datetime, tzinfo
from typing import Final

from sparekey.core.plurals import counted

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SPANS: Final = ((2 * DAY, DAY, "day"), (2 * HOUR, HOUR, "hour"), (2 * MINUTE, MINUTE, "minute"))


def moment(at: int, zone: tzinfo, *, weekday: bool = False) -> str:
    """`27 Nov 2026, 05:14`, in that zone: the frame of the page says which one it is."""
    local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    before = f"{_DAYS[local.weekday()]} " if weekday else ""
    return f"{before}{local.day} {_MONTHS[local.month - 1]} {local.year}, {local:%H:%M}"


def machine_time(at: int) -> str:
    """RFC 3339, for programs that read the page."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_field(at: int | None, zone: tzinfo) -> str:
    """For a field of a form in which a day is chosen; "": none."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).astimezone(zone).strftime("%Y-%m-%d")


def distance(at: int, now: int) -> str:
    """`in 7 days`, `3 hours ago`, `now`: two of the largest unit at least."""
    seconds = abs(at - now)
    for least, unit, name in _SPANS:
        if seconds >= least:
            number = seconds // unit
            return f"in {number} {name}s" if at > now else f"{number} {name}s ago"
    if seconds >= MINUTE:
        return "in a minute" if at > now else "a minute ago"
    return "now"


def sentence(text: str) -> str:
    """With a capital letter in front and a full stop behind: as errors are not written."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def zone_name(zone: tzinfo) -> str:
    """`Europe/Berlin`, or `UTC`."""
    return str(getattr(zone, "key", "UTC"))


def token_type(kind: str) -> str:
    """What sort of token it is, for people who never read a standard."""
    return _TYPES.get(kind, kind)


def code_of_token(digits: int, interval: int) -> str:
    """What the token shows. `interval` in seconds; 0: it is event-based."""
    return f"{digits} digits, a new code {f'every {interval} seconds' if interval else 'at each press'}"


def drift_of_clock(drift: int, interval: int) -> str:
    """How far a token's clock is off; "": it has none."""
    if not interval:
        return ""
    if drift == 0:
        return "right"
    seconds = abs(drift) * interval
    off = counted(seconds, "second") if seconds < 2 * MINUTE else f"{seconds / MINUTE:.3g} minutes"
    return f"{off} {'ahead' if drift > 0 else 'behind'}"


_TYPES: Final = {"totp": "Time-based", "hotp": "Event-based", "securid": "Time-based, SecurID type"}
