"""Numbers with their nouns, and time spans, as text."""

from sparekey.durations import DAY_SECONDS


def counted(count: int, one: str, many: str = "") -> str:
    """Return for example `1 token` or `2 tokens`. `many`: an irregular plural."""
    return f"{count} {one if count in (1, -1) else many or f'{one}s'}"


_UNITS = ((365 * DAY_SECONDS, "year"), (DAY_SECONDS, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def rough_time(seconds: float) -> str:
    """Return a rounded time span: `3 years`, `2.6 hours`, `20 minutes`; under a second: `less than a second`."""
    for size, name in _UNITS:
        number = seconds / size
        if number >= 1:
            shown = (
                f"{number:,.1f}" if number < 9.95 else f"{float(f'{number:.2g}') if number >= 1_000 else number:,.0f}"
            )
            shown = shown.removesuffix(".0")
            return f"{shown} {name}" if shown == "1" else f"{shown} {name}s"
    return "less than a second"
