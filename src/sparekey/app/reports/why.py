"""Explain why a user can sign in or not, at the server (core.explain.online) and on devices (core.explain.offline)."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from sparekey.app.authorisation import grants_of, verify_may
from sparekey.app.instance import Instance
from sparekey.app.lookup import ELSEWHERE, get_account, get_device
from sparekey.app.obstacles import device_state
from sparekey.app.policies_in_force import effective_in, effective_on
from sparekey.app.snapshots import online_emergency_state, sign_in_account_state, token_state
from sparekey.core.explain.offline import ConfirmedCode, HeldData, OnDevice, explain_offline, explain_without_device
from sparekey.core.explain.online import Line, NamedToken, Person, explain_online
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.lockout import InterfaceGroup
from sparekey.core.sign_in.authenticate import TokenState
from sparekey.durations import DAY_SECONDS
from sparekey.secret import Secret
from sparekey.storage.devices import holdings
from sparekey.storage.devices.devices import Device
from sparekey.storage.devices.holdings import HeldKind
from sparekey.storage.people.accounts import Account
from sparekey.storage.policies import policies
from sparekey.storage.sign_in import statements as stored


@dataclass(frozen=True)
class Explanation:
    """The explanation for one user. `lines`: the server's interfaces, then each device. Each part begins with its
    conclusion (rule `sign-in`)."""

    login: str
    domain: str
    at: int
    lines: tuple[Line, ...]


def explain(instance: Instance, actor: Actor, login: str, device: str | None = None, *, now: int) -> Explanation:
    """Return the result of every rule for this user, without changes. `device`: only this device, by name or id.

    Raises NotFound or NotAllowed.
    """
    with instance.database.read() as connection:
        account = get_account(connection, actor, login, Permission.USER_VIEW)
        verify_may(actor, Permission.TOKEN_VIEW, account.domain_id)
        person = _with_sources(connection, person_of(connection, instance, account), account.domain_id)
        if not grants_of(connection, account.id):
            person = replace(person, console=None)
        only = get_device(connection, actor, device, Permission.DEVICE_VIEW) if device else None
        lines = explain_online(person, now)
        found = devices_of(connection, actor, person, account, now)
        if only is not None:
            same = [on_device for on_device in found if on_device.state.device_id == only.id]
            found = same or [_untouched(connection, account, only)]
        for on_device in found:
            lines += explain_offline(person, on_device, now)
        return Explanation(login, account.domain, now, (*lines, *([] if found else [explain_without_device(person)])))


def person_of(connection: Connection, instance: Instance, account: Account) -> Person:
    """Return the user of this account with their tokens, as a sign-in would see them now.

    Raises LookupError if the account is gone.
    """
    found = stored.find_sign_in_account(connection, account.login)
    if found is None:
        raise LookupError("an account is gone within one snapshot")
    online = stored.online_codes(connection, found.id) if found.in_emergency else ()
    tokens = tuple(NamedToken(token.serial, _token_state(instance, token, online)) for token in found.tokens)
    console = sign_in_account_state(found, InterfaceGroup.ADMINISTRATORS)
    return Person(sign_in_account_state(found), tokens, console=console)


def _token_state(instance: Instance, token: stored.SignInToken, online: Sequence[stored.OnlineCode]) -> TokenState:
    # Only the number of codes is used. The codes stay sealed.
    codes = [(code.id, Secret("")) for code in online if code.token_id == token.id]
    return replace(token_state(instance.vault, token), emergency=online_emergency_state(token.emergency, codes))


def _with_sources(connection: Connection, person: Person, domain_id: str) -> Person:
    names = policies.names_in_force(connection, domain_id)
    kinds = (PolicyKind.LOCKOUT, PolicyKind.TOKEN)
    lockout, token = (f"{kind} policy {names[kind]!r}" if kind in names else f"no {kind} policy" for kind in kinds)
    return replace(person, lockout_source=lockout, token_source=token)


def devices_of(connection: Connection, actor: Actor, person: Person, account: Account, now: int) -> list[OnDevice]:
    """Return the user's state on each device with offline data of the user. Devices outside the actor's scope have no
    name."""
    data, codes = _held_on(connection, person, now)
    used = holdings.devices_and_tokens_of(connection, account.id)
    domains = {device.domain_id for device, _ in used}
    policy_on = effective_on(connection, account.domain_id, domains) if used else {}
    serials = {token.state.token_id: token.serial for token in person.tokens}
    found = []
    for device, group in itertools.groupby(used, key=lambda pair: pair[0]):
        on_device = OnDevice(
            name=device.name if actor.sees(device.domain_id) else ELSEWHERE,
            state=device_state(device),
            policy=policy_on[device.domain_id],
            serials=tuple(serials[token_id] for _, token_id in group if token_id in serials),
            data=tuple(data.get(device.id, ())),
            codes=tuple(codes.get(device.id, ())),
            stale=device.stale,
            last_contact=device.last_contact,
            in_sight=actor.sees(device.domain_id),
        )
        found.append(on_device)
    return found


def _held_on(
    connection: Connection, person: Person, now: int
) -> tuple[dict[str, list[HeldData]], dict[str, list[ConfirmedCode]]]:
    """Return days and events, and emergency codes, each by device."""
    today = now // DAY_SECONDS
    data: dict[str, list[HeldData]] = {}
    codes: dict[str, list[ConfirmedCode]] = {}
    tokens = {token.state.token_id: token for token in person.tokens}
    for held in holdings.held(connection, [person.account.account_id], today, now):
        token = tokens.get(held.token_id or "")
        if held.kind is HeldKind.CODE and (token is not None or held.token_id is None):
            code = ConfirmedCode(token.serial if token else "", held.number, held.not_after)
            codes.setdefault(held.device_id, []).append(code)
        elif held.kind is not HeldKind.CODE and token is not None:
            end = (today + held.number) * DAY_SECONDS if held.kind is HeldKind.DATA else held.not_after
            # no record is sealed past the expiry of the token or the account
            closing = [at for at in (token.state.expires_at, person.account.expires_at) if at is not None]
            data.setdefault(held.device_id, []).append(HeldData(token.serial, min([end, *closing])))
    return data, codes


def _untouched(connection: Connection, account: Account, device: Device) -> OnDevice:
    """Return the state on a device that has no offline data of the user."""
    policy = effective_in(connection, account.domain_id, device.domain_id)
    return OnDevice(
        device.name, device_state(device), policy, (), (), (), stale=False, last_contact=device.last_contact
    )
