"""Numbers of things in a sentence."""

from sparekey.core.plurals import counted, rough_time


def test_numbers_choose_singular_or_plural() -> None:
    assert [counted(count, "token") for count in (0, 1, 2)] == ["0 tokens", "1 token", "2 tokens"]
    assert [counted(count, "batch", "batches") for count in (1, 2)] == ["1 batch", "2 batches"]
    assert [counted(count, "interval") for count in (-1, -2)] == ["-1 interval", "-2 intervals"]


def test_a_duration_uses_its_largest_unit() -> None:
    spans = (0.2, 1, 59, 90, 1_176, 9_434, 86_400, 136 * 86_400, 94_339_623, 400 * 365 * 86_400, 4.4e6 * 365 * 86_400)
    assert [rough_time(seconds) for seconds in spans] == [
        "less than a second",
        "1 second",
        "59 seconds",
        "1.5 minutes",
        "20 minutes",
        "2.6 hours",
        "1 day",
        "136 days",
        "3 years",
        "400 years",
        "4,400,000 years",
    ]
