"""What a kept secret may be for, and who says so. No I/O.

- `os-password`, the password that the operating system has for whoever signs in: policy says so, user by user. What was
  kept goes when policy takes it back. It is the account's that signed in, not the user's: of two accounts that one user
  has here, root say, none is handed the other's (`kept_as`).
- Everything else, a disk key say: this computer's own configuration names it, and root alone keeps and opens it, for
  it is the computer's and not the user's.
- What nobody has named is refused.
"""

import hashlib
import re
from collections.abc import Collection
from typing import Final

from sparekey.agent.ground.state import WrappedSecret
from sparekey.wire.agent_api import DevicePolicy

OS_PASSWORD: Final = "os-password"
LONGEST: Final = 64  # bytes, also of the name that something is kept as
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class BadPurpose(ValueError):
    """Not the name of a purpose."""


def verify_name(purpose: str) -> None:
    """Raises `BadPurpose` with what a name is: it is part of what the key is derived from, so it has one spelling."""
    if not _NAME.fullmatch(purpose):
        raise BadPurpose("a purpose is 1 to 64 small letters, digits, dots, dashes and underscores, like disk")


def kept_as(purpose: str, account: str) -> str:
    """The name in the store of what this account of this computer keeps under this purpose: no name of a purpose has
    its characters, and no two accounts have one."""
    if purpose != OS_PASSWORD:
        return purpose
    name = f"{OS_PASSWORD}:{account}"
    if len(name.encode()) <= LONGEST:
        return name
    return f"{OS_PASSWORD}#{hashlib.sha256(account.encode()).hexdigest()[:48]}"


def decide_obstacle(purpose: str, policy: DevicePolicy, configured: Collection[str], *, by_root: bool) -> str:
    """Why nothing is kept or opened under this purpose, in words; "": it is. `configured`: the names that this
    computer's configuration allows; the password is none of its business."""
    if purpose == OS_PASSWORD:
        return "" if policy.os_password else "policy does not let devices keep this user's operating-system password"
    if purpose not in configured:
        return f"this computer's configuration does not name {_quoted(purpose)} as a purpose"
    return "" if by_root else "only root keeps and opens secrets of this computer"


def still_allowed(secrets: list[WrappedSecret], policy: DevicePolicy) -> list[WrappedSecret]:
    """Those that this policy leaves. A password that is no account's, as earlier versions kept it, goes in any case."""
    return [each for each in secrets if _is_allowed(each.purpose, policy)]


def _is_allowed(kept: str, policy: DevicePolicy) -> bool:
    if kept == OS_PASSWORD:
        return False
    return policy.os_password or not kept.startswith((f"{OS_PASSWORD}:", f"{OS_PASSWORD}#"))


def _quoted(purpose: str) -> str:
    """A name may come from anybody who reaches the socket."""
    return repr(purpose) if _NAME.fullmatch(purpose) else "that"
