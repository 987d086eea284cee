"""A device was stolen: whatever its thief could find on it ends, everywhere and at once (offline-day.md, rule 7; S28).

Rules:
- One transaction. From its commit on no instance answers the device anything but "revoked", at which it erases itself.
- Everyone of whom the device may hold something is given another generation on every other device, and every version of
  their emergency codes ends; new ones are made at the next contact of a device that may have them.
- A PIN that was typed there has to be changed at the next sign-in. It may have moved along to a token that replaced the
  one it was typed with, so that every PIN of these users has to be.
- A token that was used there and whose coming codes alone would sign in (it has no PIN) or stay good for long (it
  counts events) is disabled: it is to be replaced.
- Sessions of administrators among them end: a laptop may keep the token of one. So do their passkeys: it may keep those
  too, and nobody knows on which device one is.
- It all follows from the device: whoever may revoke it may report it, whoever has used it.
- Users outside every domain of the reader are counted and have no name (S63); what the report does, it does for them,
  too.
- Who reported it, a note and a ticket are kept where somebody says so: it cannot be taken back.
- A second report finds nothing left to end; it says what the first one was, from the record.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit_log.named_rows import names_of_actors
from sparekey.app.devices.held import everyone_on, log_last_held
from sparekey.app.emergency.showing import verify_texts
from sparekey.app.instance import MICROSECONDS, Instance, log
from sparekey.app.lookup import get_device
from sparekey.app.notices import notify_user
from sparekey.app.sessions.ends import end_sessions
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.permissions import Actor, Permission
from sparekey.core.tokens import Hotp
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.events import AuditFilter
from sparekey.storage.devices import devices
from sparekey.storage.devices.devices import Device, UserToken
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.storage.people import accounts
from sparekey.storage.people.accounts import AccountWithCounts
from sparekey.storage.sessions import passkeys
from sparekey.storage.sign_in import challenges
from sparekey.storage.tokens import tokens

_MOST_REPORTS: Final = 1_000  # of one device that are looked at


@dataclass(frozen=True)
class StolenFrom:
    """What the theft means for one user: serials of tokens, how many kinds of emergency codes are renewed, and how many
    passkeys are removed.
    """

    login: str
    new_pin: tuple[str, ...]
    disabled: tuple[str, ...]
    codes: int
    passkeys: int = 0


@dataclass(frozen=True)
class EarlierReport:
    """The first report of the same device: unix seconds, who made it, and the logins of those whose codes and offline
    data ended then; `elsewhere`: how many more, whom the reader may not know, or who are gone."""

    at: int
    by: str
    users: tuple[str, ...]
    elsewhere: int = 0


@dataclass(frozen=True)
class StolenDevice:
    """The device, and everyone of whom it may hold something; `elsewhere`: how many more, who are in no domain of the
    reader; `before`: it was reported already, and holds nothing."""

    device_id: str
    name: str
    users: tuple[StolenFrom, ...]
    elsewhere: int = 0
    before: EarlierReport | None = None


def look_at_stolen(instance: Instance, actor: Actor, name: str, *, now: int) -> StolenDevice:
    """What `report_stolen` would do; changes nothing."""
    with instance.database.read() as connection:
        device = get_device(connection, actor, name, Permission.DEVICE_REVOKE)
        found = _stolen(connection, actor, device, users_of(connection, device.id), now)
        return replace(found, before=_earlier_report(connection, actor, device, found))


def report_stolen(
    instance: Instance,
    actor: Actor,
    name: str,
    *,
    reported_by: str = "",
    note: str = "",
    ticket: str = "",
    now: int,
) -> StolenDevice:
    """Revokes the device and ends what it holds; what that was. A device that was revoked before, too. `reported_by`:
    who said that it was stolen, in words; with the note and the ticket it goes on record.
    """
    verify_texts((reported_by, 200, "name of who reported it"), (note, 500, "note"), (ticket, 100, "ticket"))
    told = {"reported_by": reported_by, "note": note, "ticket": ticket}
    # read before the one writer of an SQLite database is taken: the record may be long
    before = look_at_stolen(instance, actor, name, now=now).before
    with instance.database.write() as connection:
        device = get_device(connection, actor, name, Permission.DEVICE_REVOKE)
        return replace(end_stolen(connection, actor, device, told, now=now), before=before)


def end_stolen(
    connection: Connection, actor: Actor, device: Device, told: Mapping[str, str], *, now: int
) -> StolenDevice:
    """The same for the row of a device that the actor may say this of, in the caller's transaction. `told`: what goes
    on record beside it; of what is empty, nothing.
    """
    devices.lock_device(connection, device.id)
    accounts.lock_accounts(connection, sorted(users_of(connection, device.id)))
    users = users_of(connection, device.id)
    stolen = _stolen(connection, actor, device, users, now)
    devices.revoke_device(connection, device.id, now)
    for token in devices.tokens_of_device(connection, device.id):
        _secure_token(connection, actor, device, token, now)
    for token in devices.tokens_with_pin(connection, users):
        _force_pin(connection, actor, device, token, now)
    held = everyone_on(connection, device.id, now)
    devices.forget_device(connection, device.id)
    for account_id in sorted(users):
        _renew(connection, actor, device, account_id, now)
        # so that whoever asks about the person learns of it, too
        log_last_held(connection, actor, Action.DEVICE_STOLEN, device.id, account_id, held.get(account_id), now)
    # ids, as the record names actors: each of its readers is told the names that they may know
    named = ",".join(f"user:{account_id}" for account_id in sorted(users))
    log(
        connection,
        now,
        actor,
        Action.DEVICE_STOLEN,
        device=device.id,
        name=device.name,
        users=named,
        **{name: text for name, text in told.items() if text},
    )
    return stolen


def _earlier_report(connection: Connection, actor: Actor, device: Device, found: StolenDevice) -> EarlierReport | None:
    """Only of a device that is revoked and holds nothing: every other one has something to tell itself."""
    if device.revoked_at is None or found.users or found.elsewhere:
        return None
    wanted = AuditFilter(device_id=device.id, actions=(Action.DEVICE_STOLEN,))
    rows = audit_events.list_rows(connection, wanted, limit=_MOST_REPORTS)
    rows = [row for row in rows if row.account_id is None]  # the others are about its users
    if not rows:
        return None
    first = rows[-1]  # the newest comes first
    users = [each for each in str(json.loads(first.detail).get("users", "")).split(",") if each]
    called = names_of_actors(connection, actor, [first.actor, *users])
    logins = sorted(called[each] for each in users if each in called)
    by = called.get(first.actor, first.actor)
    return EarlierReport(first.at // MICROSECONDS, by, tuple(logins), len(users) - len(logins))


def users_of(connection: Connection, device_id: str) -> frozenset[str]:
    """Ids of everyone of whom the device may hold something."""
    holders = {token.account_id for token in devices.tokens_of_device(connection, device_id)}
    return devices.users_of_device(connection, device_id) | holders


def _stolen(connection: Connection, actor: Actor, device: Device, users: frozenset[str], now: int) -> StolenDevice:
    used = devices.tokens_of_device(connection, device.id)
    with_pin = devices.tokens_with_pin(connection, users)
    found = accounts.find_with_counts(connection, users, now)
    seen = [each for each in found if actor.sees(each.account.domain_id)]
    named = tuple(_stolen_from(each, used, with_pin) for each in seen)
    return StolenDevice(device.id, device.name, named, len(found) - len(seen))


def _stolen_from(found: AccountWithCounts, used: Sequence[UserToken], with_pin: Sequence[UserToken]) -> StolenFrom:
    account = found.account
    mine = [token for token in used if token.account_id == account.id]
    return StolenFrom(
        account.login,
        new_pin=tuple(token.serial for token in with_pin if token.account_id == account.id),
        disabled=tuple(token.serial for token in mine if token.enabled and _tells_codes(token)),
        codes=found.codes,
        passkeys=found.passkeys,
    )


def _tells_codes(token: UserToken) -> bool:
    """Whether the coming codes of the token, which the device holds well hidden, are worth too much to a thief."""
    return not token.with_pin or token.type == Hotp.kind


def _force_pin(connection: Connection, actor: Actor, device: Device, token: UserToken, now: int) -> None:
    ids = {"account": token.account_id, "token": token.id, "device": device.id}
    challenges.delete_of_token(connection, token.id)
    tokens.update_token(connection, token.id, pin_must_change=True)
    log(connection, now, actor, Action.TOKEN_PIN_FORCED, **ids, serial=token.serial)


def _secure_token(connection: Connection, actor: Actor, device: Device, token: UserToken, now: int) -> None:
    ids = {"account": token.account_id, "token": token.id, "device": device.id}
    challenges.delete_of_token(connection, token.id)
    if token.enabled and _tells_codes(token):
        tokens.update_token(connection, token.id, enabled=False)
        log(connection, now, actor, Action.TOKEN_DISABLED, **ids, serial=token.serial, stolen=device.name)


def _renew(connection: Connection, actor: Actor, device: Device, account_id: str, now: int) -> None:
    devices.raise_generation(connection, account_id)
    end_sessions(connection, actor, account_id, "a device was stolen", now)
    for passkey in passkeys.delete_of_account(connection, account_id):
        log(
            connection,
            now,
            actor,
            Action.PASSKEY_REMOVED,
            account=account_id,
            device=device.id,
            passkey=passkey.id,
            name=passkey.name,
        )
    for token_id in emergency_codes.owners_with_codes(connection, account_id, now):
        log(connection, now, actor, Action.EMERGENCY_VOIDED, account=account_id, token=token_id, device=device.id)
    emergency_codes.end_all(connection, account_id, now)
    notify_user(connection, now, account_id, Notice.DEVICE_STOLEN, device=device.name)
