"""Finds the systemd unit that runs the server of a data directory, if there is one."""

import re
from pathlib import Path
from typing import Final

_UNIT: Final = "sparekey-server.service"
_PLACES: Final = ("etc/systemd/system", "usr/lib/systemd/system")  # the first place with the unit counts


def unit_for(directory: Path, root: Path = Path("/")) -> str:
    """Return the name of the unit that serves this data directory; "": no such unit, or systemd is not running."""
    if not (root / "run/systemd/system").is_dir():
        return ""
    for place in _PLACES:
        try:
            text = (root / place / _UNIT).read_text(encoding="utf-8")
        except OSError:
            continue
        served = re.search(r"^ExecStart=.* --data (\S+) serve", text, re.MULTILINE)
        return _UNIT.removesuffix(".service") if served and Path(served[1]) == directory.resolve() else ""
    return ""
