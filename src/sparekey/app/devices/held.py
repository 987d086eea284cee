"""What one device holds of its users: until when each token opens there, and which emergency codes.

Rules: "holds" is what the device has confirmed; no record is sealed past the end of token or account. What a device
held when it was revoked or reported stolen goes on record, for the server forgets it then, and the device does not
before its next contact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.instance import log
from sparekey.core.audit_log.actions import Action
from sparekey.core.explain.offline import HeldCode, HeldData
from sparekey.core.permissions import Actor
from sparekey.durations import DAY_SECONDS
from sparekey.storage.devices import devices, holdings
from sparekey.storage.devices.devices import UserAndToken
from sparekey.storage.devices.holdings import HeldKind, Holding


@dataclass(frozen=True)
class UserOnDevice:
    """`data`: of the tokens used there, until when each opens; `pending`: something was changed that the device does
    not know yet."""

    account_id: str
    login: str
    name: str
    last_sign_in: int | None
    data: tuple[HeldData, ...]
    codes: tuple[HeldCode, ...]
    pending: bool

    @property
    def ends_at(self) -> int | None:
        """Until when some token opens there; None: none does."""
        return max((each.ends_at for each in self.data), default=None)

    @property
    def codes_end_at(self) -> int | None:
        """Until when some emergency code works there; None: none does."""
        return max((each.not_after for each in self.codes), default=None)


def everyone_on(connection: Connection, device_id: str, now: int) -> dict[str, UserOnDevice]:
    """By id of the account, in whatever domain they are."""
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
    """On record for one user: their device was revoked or stolen, and until when what it held opens. No name of the
    device, which not everybody who may read of the user may know."""
    until, codes = (held.ends_at, held.codes_end_at) if held is not None else (None, None)
    log(connection, now, actor, action, account=account_id, device=device_id, until=until, codes_until=codes)


def held_by(
    connection: Connection, device_id: str, users: Sequence[UserAndToken], now: int
) -> tuple[UserOnDevice, ...]:
    """`users`: those of `devices.users_and_tokens_on` that the caller asks about."""
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
    """`used`: the user once for each token that they have used there."""
    first, tokens = used[0], {each.token_id: each for each in used if each.token_id is not None}
    data, codes = [], []
    for holding in held:
        token = tokens.get(holding.token_id or "")
        serial = token.serial or "" if token is not None else ""
        if holding.kind is HeldKind.CODE and (holding.token_id is None or token is not None):
            codes.append(HeldCode(serial, holding.number, holding.not_after))
        elif holding.kind is not HeldKind.CODE and token is not None:
            data.append(HeldData(serial, _end(holding, token, now)))
    return UserOnDevice(
        first.account_id,
        first.login,
        first.name,
        first.last_sign_in,
        tuple(sorted((each for each in data if each.ends_at > now), key=lambda each: (-each.ends_at, each.serial))),
        tuple(sorted(codes, key=lambda each: each.serial, reverse=True)),
        first.stale,
    )


def _end(held: Holding, token: UserAndToken, now: int) -> int:
    """No record is sealed past the end of token or account."""
    end = held.not_after if held.kind is HeldKind.PACK else (now // DAY_SECONDS + held.number) * DAY_SECONDS
    return min([end, *(each for each in (token.token_end, token.expires_at) if each is not None)])
