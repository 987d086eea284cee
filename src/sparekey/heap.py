"""The memory that the allocator keeps for later use: how much of it a long-running process gives back to the system.

Only the GNU C library keeps much, and only it has these functions; elsewhere they do nothing.
"""

import ctypes
import sys
from collections.abc import Callable
from typing import Final

_M_ARENA_MAX: Final = -8  # mallopt(3)


def release_memory() -> None:
    """Return memory to the system: hashing, TLS and building a state leave tens of MiB in the allocator that an idle
    process does not need."""
    _call("malloc_trim", 0)


def keep_memory_together() -> None:
    """Use one heap for all threads, because the GNU C library returns memory completely from that one only. Call this
    before threads start."""
    _call("mallopt", _M_ARENA_MAX, 1)


def _call(name: str, *numbers: int) -> None:
    if sys.platform != "win32":
        function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
        if function is not None:
            function(*numbers)
