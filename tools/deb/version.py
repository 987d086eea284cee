"""The version of the Debian packages: `python -m tools.deb.version` prints it.

Rules: what was released earlier sorts lower, by Debian's rules too; the release of Debian that a package is for stands
in it, so that the same Sparekey for the next release is an upgrade.
"""

import platform
import re

from sparekey import __version__


def debian_version(version: str, release: str) -> str:
    """`version` as in pyproject.toml (PEP 440: 0.2.0rc1), `release` the number of Debian's: "0.2.0~rc1+deb13"."""
    sorted_low = re.sub(r"(a|b|rc)(\d+)", r"~\1\2", version).replace(".dev", "~~dev")
    return f"{sorted_low}+deb{release}"


if __name__ == "__main__":
    print(debian_version(__version__, platform.freedesktop_os_release()["VERSION_ID"]))
