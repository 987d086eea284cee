"""Why a user can sign in or not, at the server and on each of their devices (core.why, core.why_offline)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_may
from sparekey.app.instance import Instance
from sparekey.app.lookup import get_account, get_device
from sparekey.app.obstacles import device_state
from sparekey.app.policies_in_force import effective_in
from sparekey.app.snapshots import joined_account_state, online_emergency_state, token_state
from sparekey.core.authenticate import TokenState
from sparekey.core.offline import DAY
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy_kinds import PolicyKind
from sparekey.core.why import Line, NamedToken, Person, explain_online
from sparekey.core.why_offline import HeldCode, HeldData, OnDevice, explain_offline, explain_without_device
from sparekey.secret import Secret
from sparekey.storage import holdings, policies
from sparekey.storage import sign_in as stored
from sparekey.storage.rows import AnyRow

ELSEWHERE = "in another domain"  # the name of a device that does not exist for the actor


@dataclass(frozen=True)
class Explanation:
    """`lines`: the server's doors, then each device; each part begins with its conclusion (rule `sign-in`)."""

    login: str
    at: int
    lines: tuple[Line, ...]


def explain(instance: Instance, actor: Actor, login: str, device: str | None = None, *, now: int) -> Explanation:
    """Every rule for this user; `device`: only this one, by name or id. Looks, and changes nothing."""
    with instance.database.read() as connection:
        account = get_account(connection, actor, login, Permission.USER_VIEW)
        verify_may(actor, Permission.TOKEN_VIEW, account.domain_id)
        person = _person(connection, instance, account)
        only = get_device(connection, actor, device, Permission.DEVICE_VIEW) if device else None
        lines = explain_online(person, now)
        here = [*_devices(connection, actor, person, account, now)]
        if only is not None:
            here = [each for each in here if each.state.device_id == only.id] or [_untouched(connection, account, only)]
        for each in here:
            lines += explain_offline(person, each, now)
        return Explanation(login, now, (*lines, *([] if here else [explain_without_device(person)])))


def _person(connection: Connection, instance: Instance, account: AnyRow) -> Person:
    rows = stored.snapshot_rows(connection, account.login)
    online = stored.online_code_rows(connection, account.id)
    found = tuple(NamedToken(row.serial, _token_state(instance, row, online)) for row in rows if row.token_id)
    return Person(
        joined_account_state(rows[0]),
        found,
        _source(connection, PolicyKind.LOCKOUT, account.domain_id),
        _source(connection, PolicyKind.TOKEN, account.domain_id),
    )


def _token_state(instance: Instance, row: AnyRow, online: stored.Rows) -> TokenState:
    # How many codes there are is told, the codes themselves are not: they stay sealed.
    codes = [(each.id, Secret("")) for each in online if each.token_id == row.token_id]
    return replace(token_state(instance.vault, row), emergency=online_emergency_state(row, codes))


def _source(connection: Connection, kind: PolicyKind, domain_id: str) -> str:
    row = policies.policy_of_domain(connection, kind, domain_id)
    return f"{kind} policy {row.name!r}" if row is not None else f"no {kind} policy"


def _devices(
    connection: Connection, actor: Actor, person: Person, account: AnyRow, now: int
) -> Iterator[OnDevice]:  # fmt: skip
    data, codes = _data_on(connection, person, now), _codes_on(connection, person, now)
    used = holdings.tokens_used(connection, [account.id])
    for row in holdings.devices_of(connection, [account.id]):
        yield OnDevice(
            name=row.name if actor.sees(row.domain_id) else ELSEWHERE,
            state=device_state(row),
            policy=effective_in(connection, account.domain_id, row.domain_id),
            serials=tuple(each.serial for each in used if each.device_id == row.id),
            data=tuple(data.get(row.id, ())),
            codes=tuple(codes.get(row.id, ())),
            stale=row.stale,
            last_contact=row.last_contact,
        )


def _data_on(connection: Connection, person: Person, now: int) -> dict[str, list[HeldData]]:
    """By device."""
    ids, today = [person.account.account_id], now // DAY
    ends = [(row.device_id, row.token_id, (today + row.days) * DAY)
            for row in holdings.days_held(connection, ids, today)]  # fmt: skip
    ends += [(row.device_id, row.token_id, row.not_after) for row in holdings.packs_held(connection, ids, now)]
    tokens = {token.state.token_id: token for token in person.tokens}
    found: dict[str, list[HeldData]] = {}
    for device_id, token_id, end in ends:
        if token_id in tokens:
            token = tokens[token_id]
            # no record is sealed past the end of token or account
            closing = [at for at in (token.state.expires_at, person.account.expires_at) if at is not None]
            found.setdefault(device_id, []).append(HeldData(token.serial, min([end, *closing])))
    return found


def _codes_on(connection: Connection, person: Person, now: int) -> dict[str, list[HeldCode]]:
    """By device."""
    serials = {token.state.token_id: token.serial for token in person.tokens} | {None: ""}
    found: dict[str, list[HeldCode]] = {}
    for row in holdings.codes_held(connection, [person.account.account_id], now):
        if row.token_id in serials:
            code = HeldCode(serials[row.token_id], row.version, row.not_after)
            found.setdefault(row.device_id, []).append(code)
    return found


def _untouched(connection: Connection, account: AnyRow, row: AnyRow) -> OnDevice:
    """A device on which the user has no offline data."""
    policy = effective_in(connection, account.domain_id, row.domain_id)
    return OnDevice(row.name, device_state(row), policy, (), (), (), stale=False, last_contact=row.last_contact)
