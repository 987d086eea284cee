"""Refuse a change that would leave the server without a super administrator who can sign in.

Rules:
- A super administrator counts if they have the role at the top domain, an account that is enabled and not expired, and
  either a passkey or a token that has a PIN, is enabled and is not expired. A lost token counts, because its emergency
  tokencode works.
- Every change that takes one of these away is checked, except the report of a stolen device: nothing delays that.
- Root on the server is refused, too. Root can make another super administrator first.
- Two changes at the same time wait for each other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection

from sparekey.core.errors import NotAllowed
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.storage.people import roles

_FOREVER: Final = 2**62  # later than any expiry: only an account without an expiry is valid then


@contextmanager
def one_remains(connection: Connection, now: int) -> Iterator[None]:
    """Wrap a change that may take a super administrator away. Raises NotAllowed if none would be left.

    The error rolls the change back. The last account without an expiry cannot get one either: when that time came, no
    super administrator would be left.
    """
    roles.lock_grants_at_top(connection, SUPER_ADMINISTRATOR)
    before = _able(connection, now)
    yield
    if any(had and not has for had, has in zip(before, _able(connection, now), strict=True)):
        raise NotAllowed("no super administrator who can sign in would be left", "grant the role to another user first")


def _able(connection: Connection, now: int) -> tuple[int, int]:
    """Count the super administrators who can sign in now, and those of them whose accounts do not expire."""
    able_now = roles.count_able(connection, [SUPER_ADMINISTRATOR], None, now, now)
    return able_now, roles.count_able(connection, [SUPER_ADMINISTRATOR], None, _FOREVER, now)
