"""The login shims, built from the tree that the test runs in.

Two test processes may ask at the same time: one builds, the other waits and finds it done.
"""

import fcntl
import subprocess
from functools import cache
from pathlib import Path

NATIVE = Path(__file__).resolve().parents[2] / "native"
BUILD = NATIVE / "build"


@cache
def pam_module() -> Path:
    """The absolute path of pam_sparekey.so, for a PAM file."""
    return _built("pam_sparekey.so")


@cache
def check(name: str) -> Path:
    """A program of native/tests, or the module under sanitizers: `asan/pam_sparekey.so`."""
    return _built(name)


def _built(name: str) -> Path:
    BUILD.mkdir(exist_ok=True)
    with (BUILD / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        line = ["make", "-C", str(NATIVE), "-s", f"build/{name}"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        # To `make faults` a tree that does not build is broken: no test has run on it.
        raise ImportError(f"native/ does not build:\n{done.stdout}{done.stderr}")
    return BUILD / name
