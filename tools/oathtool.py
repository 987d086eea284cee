"""Codes by Debian's `oathtool`: an implementation that is not ours, to check ours against and to play the token.

Rules: the seed goes in on standard input, never as a process argument; the time and the counter are arguments.
"""

import shutil
import subprocess
from typing import Literal

Algorithm = Literal["sha1", "sha256", "sha512"]


def totp(seed_hex: str, *, digits: int, interval: int, algorithm: Algorithm, at: int) -> str:
    """The TOTP code (RFC 6238) of the interval (seconds) that holds `at` (unix seconds).

    Raises FileNotFoundError when oathtool is missing, subprocess.CalledProcessError when it refuses.
    """
    step = f"--time-step-size={interval}s"
    return _oathtool(seed_hex, f"--totp={algorithm}", f"--digits={digits}", step, f"--now=@{at}")


def hotp(seed_hex: str, *, digits: int, counter: int) -> str:
    """The HOTP code (RFC 4226) of `counter`; errors as for `totp`."""
    return _oathtool(seed_hex, "--hotp", f"--digits={digits}", f"--counter={counter}")


def _oathtool(seed_hex: str, *arguments: str) -> str:
    program = shutil.which("oathtool")
    if program is None:
        raise FileNotFoundError("oathtool is missing: install the Debian package `oathtool`")
    done = subprocess.run(
        [program, *arguments, "-"], input=seed_hex, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()
