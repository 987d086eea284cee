"""Repetitions of a test: a small count in `make test`, the full count in `make soak`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Count:
    """The value of the fixture `count`: `rounds = count(small=20, full=1000)`."""

    is_full: bool

    def __call__(self, small: int, full: int) -> int:
        """`full` under `pytest --full`, else `small`."""
        return full if self.is_full else small
