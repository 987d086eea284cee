"""The only module that reads the time; everything else takes `now` as an argument (architecture, rule 4)."""

import time


def now() -> int:
    """Wall clock, unix seconds, UTC."""
    return int(time.time())  # noqa: TID251 -- this is the one place


def now_precise() -> float:
    """Wall clock, unix seconds with fraction, for the stamps of audit rows."""
    return time.time()  # noqa: TID251 -- this is the one place


def monotonic() -> float:
    """Seconds that only grow while this process runs; for time-outs, never for deciding who may sign in."""
    return time.monotonic()


def since_boot() -> int:
    """Seconds since this boot, suspend counted (Linux); what a device judges elapsed time by."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))
