"""Stores sessions at servers for the commands that follow a login.

Rules:
- There is one file for each server and user, below the state directory of the caller (XDG_STATE_HOME).
- Only the caller can read it. A file that other users can read, or a link, is not used.
- The file includes the CA that was given at the login.
"""

import contextlib
import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sparekey.core.errors import BadInput
from sparekey.secret import Secret

_LARGEST: Final = 1 << 20


@dataclass(frozen=True)
class KeptSession:
    """The token of a session at a server. `ca`: the CA (PEM) of the server's certificate; "": none was given."""

    url: str
    login: str
    token: Secret[str] = field(repr=False)
    ca: str = ""


def keep_session(session: KeptSession) -> None:
    """Store the session in place of an earlier one."""
    path = _path_of(session.url, session.login)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        json.dump(
            {"server": session.url, "user": session.login, "token": session.token.reveal(), "ca": session.ca}, file
        )
    new.replace(path)


def find_session(url: str, login: str) -> KeptSession | None:
    """Return the stored session, or None. Raises BadInput for a file that other users can read or write."""
    path = _path_of(url, login)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.getuid() or not stat.S_ISREG(status.st_mode):
            raise BadInput(f"other users can read or write {path}", "delete it and log in again")
        text = file.read(_LARGEST)
    try:
        kept = json.loads(text)
        return KeptSession(str(kept["server"]), str(kept["user"]), Secret(str(kept["token"])), str(kept["ca"]))
    except (ValueError, KeyError, TypeError):
        return None


def forget_session(url: str, login: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        _path_of(url, login).unlink()


def _path_of(url: str, login: str) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    name = hashlib.sha256(f"{url.rstrip('/')}\n{login}".encode(errors="surrogatepass")).hexdigest()[:32]
    return Path(state).expanduser() / "sparekey" / "sessions" / f"{name}.json"
