"""A quick Argon2id for tests in one process: the real function with 8 KiB and one pass.

The real costs are what an attacker pays, and took 40 % of the processor time of all tests. They stay where they are the
subject (vectors, sealed units, PIN verifiers) and wherever two processes share a hash (journeys, agents, browsers).

Rules:
- The cost stays an input of the hash: a unit that is opened with other parameters than it was sealed with stays shut.
- A test file that needs the real costs in these directories has the mark `real_argon2`.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.kdf import argon2

import sparekey.argon2id

_CLASS: Final = argon2.Argon2id.__name__
_IN_ONE_PROCESS: Final = ("agent", "app", "cli/server", "properties", "server")


class QuickArgon2id:
    """A stand-in for cryptography's Argon2id."""

    def __init__(self, *, salt: bytes, length: int, iterations: int, lanes: int, memory_cost: int) -> None:
        cost = f"{iterations} {lanes} {memory_cost} ".encode()
        # the real class refuses the same wrong values
        argon2.Argon2id(salt=salt, length=length, iterations=iterations, lanes=lanes, memory_cost=memory_cost)
        salted = hashlib.sha256(cost + salt).digest()
        self._quick = argon2.Argon2id(salt=salted, length=length, iterations=1, lanes=1, memory_cost=8)

    def derive(self, key_material: bytes) -> bytes:
        return self._quick.derive(key_material)


def choose_argon2(path: PurePath, *, has_mark: bool) -> None:
    """Install the quick or the real function for a test, by the path of its file below `tests`."""
    is_quick = any(path.is_relative_to(place) for place in _IN_ONE_PROCESS) and not has_mark
    setattr(sparekey.argon2id, _CLASS, QuickArgon2id if is_quick else argon2.Argon2id)


class Hash(NamedTuple):
    """The cost of one hash. Its time depends on nothing else."""

    memory_kib: int
    passes: int
    lanes: int


@contextmanager
def recorded_hashes() -> Iterator[list[Hash]]:
    """Record the cost of every hash until the end of the block. It computes what the quick function computes."""
    hashes: list[Hash] = []

    class Recording(QuickArgon2id):
        def __init__(self, *, salt: bytes, length: int, iterations: int, lanes: int, memory_cost: int) -> None:
            super().__init__(salt=salt, length=length, iterations=iterations, lanes=lanes, memory_cost=memory_cost)
            hashes.append(Hash(memory_cost, iterations, lanes))  # threads may append at once

    before = present_argon2()
    setattr(sparekey.argon2id, _CLASS, Recording)
    try:
        yield hashes
    finally:
        setattr(sparekey.argon2id, _CLASS, before)


def present_argon2() -> type:
    """Return the class that hashes now."""
    found: type = getattr(sparekey.argon2id, _CLASS)
    return found
