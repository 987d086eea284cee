"""The data that one device holds of its users: until when each token opens there, and its emergency codes.

Rules: "holds" means that the device has confirmed it; no record is sealed past the expiry of token or account. The
contents of a device are logged when it is revoked or reported stolen: the server deletes its own list then, and the
device keeps the data until its next contact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.instance import log
from sparekey.core.audit_log.actions import Action
from sparekey.core.explain.offline import ConfirmedCode, HeldData
from sparekey.core.permissions import Actor
from sparekey.durations import DAY_SECONDS
from sparekey.storage.devices import devices, holdings
from sparekey.storage.devices.devices import UserAndToken
from sparekey.storage.devices.holdings import HeldKind, Holding


@dataclass(frozen=True)
class UserOnDevice:
    """A user's data on the device.

    `data`: per token, until when it opens there. `pending`: the device must still fetch a change.
    """

    account_id: str
    login: str
    name: str
    domain_id: str
    last_sign_in: int | None
    data: tuple[HeldData, ...]
    codes: tuple[ConfirmedCode, ...]
    pending: bool

    @property
    def ends_at(self) -> int | None:
        """The last moment at which a token opens there; None: no token does."""
        return max((data.ends_at for data in self.data), default=None)

    @property
    def codes_end_at(self) -> int | None:
        """The last moment at which an emergency code works there; None: no code does."""
        return max((code.not_after for code in self.codes), default=None)


def everyone_on(connection: Connection, device_id: str, now: int) -> dict[str, UserOnDevice]:
    """Return the users on the device by account id, in every domain."""
    everyone = devices.users_and_tokens_on(connection, device_id)
    return {user.account_id: user for user in held_by(connection, device_id, everyone, now)}


def log_last_held(
    connection: Connection,
    actor: Actor,
    action: Action,
    device_id: str,
    account_id: str,
    held: UserOnDevice | None,
    now: int,
) -> None:
    """Log for one user that their device was revoked or stolen, and until when its data open.

    The device's name is left out, because a reader of the user's events may not know it.
    """
    until, codes = (held.ends_at, held.codes_end_at) if held is not None else (None, None)
    log(connection, now, actor, action, account=account_id, device=device_id, until=until, codes_until=codes)


def held_by(
    connection: Connection, device_id: str, users: Sequence[UserAndToken], now: int
) -> tuple[UserOnDevice, ...]:
    """Return the data of these users on the device. `users`: some of `devices.users_and_tokens_on`."""
    of_user: dict[str, list[UserAndToken]] = {}
    for user in users:
        of_user.setdefault(user.account_id, []).append(user)
    found = holdings.held(connection, sorted(of_user), now // DAY_SECONDS, now) if of_user else ()
    held: dict[str, list[Holding]] = {account_id: [] for account_id in of_user}
    for holding in found:
        if holding.device_id == device_id:
            held[holding.account_id].append(holding)
    return tuple(_user(tokens, held[account_id], now) for account_id, tokens in of_user.items())


def _user(used: Sequence[UserAndToken], held: Sequence[Holding], now: int) -> UserOnDevice:
    """Return one user's data. `used`: the user, once for each token that they have used there."""
    first, tokens = used[0], {user.token_id: user for user in used if user.token_id is not None}
    data, codes = [], []
    for holding in held:
        token = tokens.get(holding.token_id or "")
        serial = token.serial or "" if token is not None else ""
        if holding.kind is HeldKind.CODE and (holding.token_id is None or token is not None):
            codes.append(ConfirmedCode(serial, holding.number, holding.not_after))
        elif holding.kind is not HeldKind.CODE and token is not None:
            data.append(HeldData(serial, _end(holding, token, now)))
    return UserOnDevice(
        first.account_id,
        first.login,
        first.name,
        first.domain_id,
        first.last_sign_in,
        tuple(sorted((held for held in data if held.ends_at > now), key=lambda held: (-held.ends_at, held.serial))),
        tuple(sorted(codes, key=lambda code: code.serial, reverse=True)),
        first.stale,
    )


def _end(held: Holding, token: UserAndToken, now: int) -> int:
    """Return the end of the held data: no record is sealed past the expiry of token or account."""
    end = held.not_after if held.kind is HeldKind.PACK else (now // DAY_SECONDS + held.number) * DAY_SECONDS
    return min([end, *(expiry for expiry in (token.token_end, token.expires_at) if expiry is not None)])
