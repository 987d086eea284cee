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
from sparekey.core.offline.units import DAY
from sparekey.core.permissions import Actor
from sparekey.storage.devices import devices, holdings
from sparekey.storage.rows import AnyRow


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
    rows = devices.people_on_device(connection, device_id)
    return {each.account_id: each for each in held_by(connection, device_id, rows, now)}


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


def held_by(connection: Connection, device_id: str, rows: Sequence[AnyRow], now: int) -> tuple[UserOnDevice, ...]:
    """`rows`: of `devices.people_on_device`, of those who are asked about."""
    ids = sorted({row.id for row in rows})
    found = holdings.held(connection, ids, now // DAY, now) if ids else ()
    held: dict[str, list[AnyRow]] = {account_id: [] for account_id in ids}
    for each in found:
        if each.device_id == device_id:
            held[each.account_id].append(each)
    of_user: dict[str, list[AnyRow]] = {}
    for row in rows:
        of_user.setdefault(row.id, []).append(row)
    return tuple(_user(mine, held[account_id], now) for account_id, mine in of_user.items())


def _user(rows: Sequence[AnyRow], held: Sequence[AnyRow], now: int) -> UserOnDevice:
    """`rows`: one for each token that the user has used there."""
    first, tokens = rows[0], {row.token_id: row for row in rows if row.token_id}
    data = [
        HeldData(tokens[each.token_id].serial, _end(each, tokens[each.token_id], now))
        for each in held
        if each.kind != holdings.CODE and each.token_id in tokens
    ]
    codes = [
        HeldCode(tokens[each.token_id].serial if each.token_id else "", each.number, each.not_after)
        for each in held
        if each.kind == holdings.CODE and (each.token_id is None or each.token_id in tokens)
    ]
    return UserOnDevice(
        first.id,
        first.login,
        first.name,
        first.last_sign_in,
        tuple(sorted((each for each in data if each.ends_at > now), key=lambda each: (-each.ends_at, each.serial))),
        tuple(sorted(codes, key=lambda each: each.serial, reverse=True)),
        first.stale,
    )


def _end(held: AnyRow, token: AnyRow, now: int) -> int:
    """No record is sealed past the end of token or account."""
    end: int = held.not_after if held.kind == holdings.PACK else (now // DAY + held.number) * DAY
    ends: list[int] = [end, *(each for each in (token.token_end, token.expires_at) if each is not None)]
    return min(ends)
