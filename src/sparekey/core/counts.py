"""How many of something, and which, in a sentence."""

from collections.abc import Sequence


def counted(count: int, one: str, many: str = "") -> str:
    """`1 token`, `2 tokens`; `many`: where it is not the one with an s."""
    return f"{count} {one if count in (1, -1) else many or f'{one}s'}"


def misread_words(groups: Sequence[int]) -> str:
    """Which groups of an emergency code were misread, at least one: `Group 2 of the code was misread`, `Groups 1 and 2
    of the code were misread`."""
    *before, last = map(str, groups)
    if not before:
        return f"Group {last} of the code was misread"
    return f"Groups {', '.join(before)} and {last} of the code were misread"


_UNITS = ((365 * 86_400, "year"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def rough_time(seconds: float) -> str:
    """A span as people say it: `3 years`, `2.6 hours`, `20 minutes`; under a second: `less than a second`."""
    for size, name in _UNITS:
        number = seconds / size
        if number >= 1:
            shown = (
                f"{number:,.1f}" if number < 9.95 else f"{float(f'{number:.2g}') if number >= 1_000 else number:,.0f}"
            )
            shown = shown.removesuffix(".0")
            return f"{shown} {name}" if shown == "1" else f"{shown} {name}s"
    return "less than a second"
