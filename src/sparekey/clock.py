"""The only module that reads the time. All other code takes `now` as an argument (architecture, rule 4)."""

import time


def now() -> int:
    """Return the wall clock in unix seconds, UTC."""
    return int(time.time())  # noqa: TID251 -- this is the one place


def now_precise() -> float:
    """Return the wall clock in unix seconds with a fraction, for the timestamps of the audit log."""
    return time.time()  # noqa: TID251 -- this is the one place


def monotonic() -> float:
    """Return seconds that only grow while this process runs. Use them for timeouts, never to decide who may sign in."""
    return time.monotonic()


def since_boot() -> int:
    """Return the seconds since this boot, including suspend (Linux). A device measures elapsed time by them."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))
