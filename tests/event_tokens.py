"""Builder of users with an event-based token."""

from dataclasses import dataclass

from sparekey.app.instance import Instance
from sparekey.app.snapshots import token_owner
from sparekey.core.tokens import Hotp
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.sealed_rows import update_rows
from sparekey.storage.tokens import tokens
from tests.builders import NOW, PIN, Device, User, a_device, a_user, granted


@dataclass(frozen=True)
class Presser:
    """A user with an event-based token, and how it is pressed."""

    user: User
    otp: Hotp

    def typed(self, counter: int) -> Secret[str]:
        return Secret(self.user.pin + self.otp.code(counter))


def a_presser(server: Instance, pin: str = PIN) -> Presser:
    """Create a user with an unused event-based token."""
    return pressing(server, a_user(server, pin=pin))


def pressing(server: Instance, user: User) -> Presser:
    """The user's token was made as a time-based one; it becomes an event-based one of the same seed."""
    with server.database.write() as connection:
        row = tokens.find_token_by_id(connection, user.token_id)
        assert row is not None
        owner = token_owner(user.account_id, user.token_id)
        seed = server.vault.open("token.seed_sealed", user.token_id, owner, row.seed_sealed)
        fresh = {"type": "hotp", "interval": 0, "last_step": Hotp.unused, "replay_step": Hotp.unused}
        update_rows(connection, tables.token, [tables.token.c.id == user.token_id], fresh)
    return Presser(user, Hotp(seed))


def a_holder_of_a_pack(server: Instance) -> tuple[Presser, Device]:
    """Return a user who signed in with counter 0, and the device that holds a pack from counter 1 on."""
    presser, device = a_presser(server), a_device(server)
    granted(device.sign_in(presser.user, NOW, presser.typed(0)).outcome)
    device.contact(presser.user, NOW)
    return presser, device
