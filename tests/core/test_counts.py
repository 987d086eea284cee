"""How many of something, in a sentence."""

from sparekey.core.counts import counted


def test_one_is_one_and_others_are_many() -> None:
    assert [counted(count, "token") for count in (0, 1, 2)] == ["0 tokens", "1 token", "2 tokens"]
    assert [counted(count, "batch", "batches") for count in (1, 2)] == ["1 batch", "2 batches"]
    assert [counted(count, "interval") for count in (-1, -2)] == ["-1 interval", "-2 intervals"]
