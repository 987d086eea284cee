"""The user that a server runs as: how root types a command for it.

Rules: what acts on a data directory runs as the directory's owner. A service's account has no shell, so its commands
are root's to type; anybody else types them as they stand.
"""

import os
import pwd
from pathlib import Path
from typing import Final

_NO_SHELLS: Final = ("nologin", "false")


def as_user(uid: int) -> str:
    """What root types before a command that is for this user to run, with a space behind; "" where it has no name."""
    try:
        return f"runuser -u {pwd.getpwuid(uid).pw_name} -- "
    except KeyError:
        return ""


def as_service(directory: Path) -> str:
    """The same before a command for a data directory, where this process is the service that owns it; else ""."""
    uid = os.geteuid()
    try:
        ours = directory.stat().st_uid == uid
        shell = Path(pwd.getpwuid(uid).pw_shell).name
    except (OSError, KeyError):
        return ""
    return as_user(uid) if uid and ours and shell in _NO_SHELLS else ""
