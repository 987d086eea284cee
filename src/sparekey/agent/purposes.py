"""What a kept secret may be for, and who says so. No I/O.

- `os-password`, the password that the operating system has for whoever signs in: policy says so, user by user. What was
  kept goes when policy takes it back.
- Everything else, a disk key say: this computer's own configuration names it, and root alone keeps and opens it, for
  it is the computer's and not the user's.
- What nobody has named is refused.
"""

import re
from collections.abc import Collection
from typing import Final

from sparekey.agent.state import WrappedSecret
from sparekey.wire.agent_api import DevicePolicy

OS_PASSWORD: Final = "os-password"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class BadPurpose(ValueError):
    """Not the name of a purpose."""


def verify_name(purpose: str) -> None:
    """Raises `BadPurpose` with what a name is: it is part of what the key is derived from, so it has one spelling."""
    if not _NAME.fullmatch(purpose):
        raise BadPurpose("a purpose is 1 to 64 small letters, digits, dots, dashes and underscores, like disk")


def decide_obstacle(purpose: str, policy: DevicePolicy, configured: Collection[str], *, by_root: bool) -> str:
    """Why nothing is kept or opened under this purpose, in words; "": it is. `configured`: the names that this
    computer's configuration allows; the password is none of its business."""
    if purpose == OS_PASSWORD:
        return "" if policy.os_password else "policy does not let devices keep this user's operating-system password"
    if purpose not in configured:
        return f"this computer's configuration does not name {_quoted(purpose)} as a purpose"
    return "" if by_root else "only root keeps and opens secrets of this computer"


def still_allowed(secrets: list[WrappedSecret], policy: DevicePolicy) -> list[WrappedSecret]:
    """Those that this policy leaves."""
    return [each for each in secrets if policy.os_password or each.purpose != OS_PASSWORD]


def _quoted(purpose: str) -> str:
    """A name may come from anybody who reaches the socket."""
    return repr(purpose) if _NAME.fullmatch(purpose) else "that"
