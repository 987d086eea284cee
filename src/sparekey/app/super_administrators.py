"""Once there is a super administrator who can sign in, there always is one: no change leaves the server without.

Rules: counted are users with the role at the top domain, whose account is enabled and not expired, and who have a
passkey, or a token with a PIN that is enabled and not expired; taking that away is such a change, but for the report of
a stolen device, which nothing holds up; root on the server is refused like everybody else, for whoever needs one more
can make one first; two changes at once wait for one another. A token that is lost still counts: it has its emergency
tokencode.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection

from sparekey.core.errors import NotAllowed
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.storage.people import roles

_FOREVER: Final = 2**62  # later than any expiry: only an account without one is open then


@contextmanager
def one_remains(connection: Connection, now: int) -> Iterator[None]:
    """Wraps a change that may take one away. Raises NotAllowed, which rolls the change back, where none would be left.

    Nor may the last one whose account has no end be given one: it would be none when that time comes.
    """
    roles.lock_grants_at_top(connection, SUPER_ADMINISTRATOR)
    before = _able(connection, now)
    yield
    if any(had and not has for had, has in zip(before, _able(connection, now), strict=True)):
        raise NotAllowed("no super administrator who can sign in would be left", "grant the role to another user first")


def _able(connection: Connection, now: int) -> tuple[int, int]:
    """How many can sign in now, and how many of them at any time to come."""
    able_now = roles.count_able(connection, [SUPER_ADMINISTRATOR], None, now, now)
    return able_now, roles.count_able(connection, [SUPER_ADMINISTRATOR], None, _FOREVER, now)
