"""The user that a server runs as, who owns its data directory and all that is in it.

Rules: what acts on a data directory runs as the directory's owner, and nothing in it is given to anybody else: the
server could not read it any more. A service's account has no shell, so its commands are root's to type; anybody else
types them as they stand.
"""

import os
import pwd
from pathlib import Path
from typing import Final

_NO_SHELLS: Final = ("nologin", "false")


def as_service(directory: Path) -> str:
    """What root types before a command for a data directory, with a space behind, where this process is the service
    that owns it; else ""."""
    uid = os.geteuid()
    try:
        ours = directory.stat().st_uid == uid
        shell = Path(pwd.getpwuid(uid).pw_shell).name
    except (OSError, KeyError):
        return ""
    return _as_user(uid) if uid and ours and shell in _NO_SHELLS else ""


def do_about_owner(path: Path, directory: Path, command: str = "...") -> str:
    """What to do about `path`, of a data directory, that belongs to another user than the one who runs this: give
    `command` as the directory's owner; or, where that is who runs this, take the file back."""
    owner = directory.stat().st_uid
    if owner == os.geteuid():
        return f"give it back to the directory's owner, as root: chown {owner} {path}"
    as_owner = _as_user(owner)
    return f"run: {as_owner}sparekey --data {directory} {command}" if as_owner else f"run as its owner, user {owner}"


def _as_user(uid: int) -> str:
    try:
        return f"runuser -u {pwd.getpwuid(uid).pw_name} -- "
    except KeyError:
        return ""
