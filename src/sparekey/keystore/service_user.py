"""The operating system user that runs a server and owns its data directory.

Rules: a command on a data directory runs as the directory's owner, and the owner of no file in it is changed, because
the server could not read it any more. A service account has no shell, so root types its commands with a prefix; other
users type them unchanged.
"""

import os
import pwd
from pathlib import Path
from typing import Final

_NO_SHELLS: Final = ("nologin", "false")


def as_service(directory: Path) -> str:
    """Return the prefix, with a space behind, that root types before a command for a data directory.

    It is "" unless this process is the service that owns the directory.
    """
    uid = os.geteuid()
    try:
        ours = directory.stat().st_uid == uid
        shell = Path(pwd.getpwuid(uid).pw_shell).name
    except (OSError, KeyError):
        return ""
    return _as_user(uid) if uid and ours and shell in _NO_SHELLS else ""


def do_about_owner(path: Path, directory: Path, command: str = "...") -> str:
    """Return the remedy for a `path` in a data directory that belongs to another user than that of this process.

    The remedy is to run `command` as the directory's owner, or, if this process runs as the owner, to change the owner
    of the file back.
    """
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
