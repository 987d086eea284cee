"""The purposes of kept secrets, and who may use them. No I/O.

- `os-password` is the operating-system password of a user. Policy allows it for each user, and a kept password is
  erased when the policy no longer does. It belongs to the account that signed in, not to the user. If a user has two
  accounts here, for example root, neither gets the other's password (`kept_as`).
- Any other purpose, for example a disk key, is named in the configuration of this computer. Only root keeps and opens
  such a secret, because it belongs to the computer and not to a user.
- Other purposes are refused.
"""

import hashlib
import re
from collections.abc import Collection
from typing import Final

from sparekey.agent.ground.state import WrappedSecret
from sparekey.wire.agent_api import DevicePolicy

OS_PASSWORD: Final = "os-password"
LONGEST: Final = 64  # bytes of the name under which a secret is kept
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class BadPurpose(ValueError):
    """The text is not the name of a purpose."""


def verify_name(purpose: str) -> None:
    """Raise BadPurpose unless this is a name. Names have one spelling, because the key of a secret is derived from its
    name."""
    if not _NAME.fullmatch(purpose):
        raise BadPurpose("a purpose has 1 to 64 small letters, digits, dots, dashes and underscores, for example disk")


def kept_as(purpose: str, account: str) -> str:
    """Return the name under which this account keeps a secret for this purpose. It differs from every purpose, and for
    any two accounts."""
    if purpose != OS_PASSWORD:
        return purpose
    name = f"{OS_PASSWORD}:{account}"
    if len(name.encode()) <= LONGEST:
        return name
    return f"{OS_PASSWORD}#{hashlib.sha256(account.encode()).hexdigest()[:48]}"


def decide_obstacle(purpose: str, policy: DevicePolicy, configured: Collection[str], *, by_root: bool) -> str:
    """Return the reason why this purpose is refused; "" if it is allowed. `configured` are the purposes in the
    configuration of this computer, which does not matter for the password."""
    if purpose == OS_PASSWORD:
        return "" if policy.os_password else "the policy does not allow devices to keep this user's system password"
    if purpose not in configured:
        return f"the configuration of this computer does not list {_quoted(purpose)} as a purpose"
    return "" if by_root else "only root can keep and open secrets of this computer"


def still_allowed(secrets: list[WrappedSecret], policy: DevicePolicy) -> list[WrappedSecret]:
    """Return the secrets that this policy allows. A password without an account, as earlier versions kept it, is never
    among them."""
    return [secret for secret in secrets if _is_allowed(secret.purpose, policy)]


def _is_allowed(kept: str, policy: DevicePolicy) -> bool:
    if kept == OS_PASSWORD:
        return False
    return policy.os_password or not kept.startswith((f"{OS_PASSWORD}:", f"{OS_PASSWORD}#"))


def _quoted(purpose: str) -> str:
    """Return the name in quotes if it is one. It may come from any program that reaches the socket."""
    return repr(purpose) if _NAME.fullmatch(purpose) else "that"
