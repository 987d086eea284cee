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


def _built(*names: str) -> Path:
    BUILD.mkdir(exist_ok=True)
    with (BUILD / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        targets = [f"build/{name}" for name in names]
        done = subprocess.run(["make", "-C", str(NATIVE), "-s", *targets], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return BUILD / names[0]
