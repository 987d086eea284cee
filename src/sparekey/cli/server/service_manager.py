"""How the server of a data directory is started: by the service manager where that runs it, else by its command."""

import re
from pathlib import Path
from typing import Final

_UNIT: Final = "sparekey-server.service"
_PLACES: Final = ("etc/systemd/system", "usr/lib/systemd/system")  # the first that has it counts


def unit_for(directory: Path, root: Path = Path("/")) -> str:
    """The unit that serves this data directory on a computer that systemd has started; "": there is none."""
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
