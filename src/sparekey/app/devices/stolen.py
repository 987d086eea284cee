"""Report a device as stolen: all that a thief could find on it ends at once, everywhere (offline-day.md, rule 7; S28).

Rules:
- One transaction. After its commit, every instance answers the device with "revoked", and the device erases itself.
- Every user of whom the device may hold data gets another generation on every other device. Every version of their
  emergency codes ends; new ones are made at the next contact of a device that may have them.
- A PIN that was typed there must be changed at the next sign-in. A replacement token may have taken over that PIN, so
  the users must change the PINs of all their tokens.
- A token that was used there is disabled if its future codes alone would sign in (it has no PIN) or stay valid for long
  (it counts events). It must be replaced.
- The users' sessions as administrators end, because a laptop may keep the token of a session. Their passkeys are
  removed, because a laptop may keep these too, and the server does not know which device holds a passkey.
- Permissions depend on the device alone: an administrator who may revoke it may report it, for all of its users.
- Users outside the reader's domains are counted, without a name (S63). The report protects them as well.
- The reporter, a note and a ticket are logged if they are given, because the report cannot be undone.
- A second report finds nothing left to end, and shows the first one from the audit log.
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

_MOST_REPORTS: Final = 1_000  # of one device that are read


@dataclass(frozen=True)
class StolenFrom:
    """The effect of the theft on one user. `new_pin` and `disabled`: serials; the others are numbers that end."""

    login: str
    new_pin: tuple[str, ...]
    disabled: tuple[str, ...]
    codes: int
    passkeys: int = 0


@dataclass(frozen=True)
class EarlierReport:
    """The first report of the same device: unix seconds, the reporter, and the logins of the affected users.

    `elsewhere`: the number of further users whom the reader may not know, or whose accounts are gone.
    """

    at: int
    by: str
    users: tuple[str, ...]
    elsewhere: int = 0


@dataclass(frozen=True)
class StolenDevice:
    """The device and the affected users. `before`: an earlier report, after which it holds nothing.

    `elsewhere`: the number of further users, who are in no domain of the reader.
    """

    device_id: str
    name: str
    users: tuple[StolenFrom, ...]
    elsewhere: int = 0
    before: EarlierReport | None = None


def look_at_stolen(instance: Instance, actor: Actor, name: str, *, now: int) -> StolenDevice:
    """Return the effects that `report_stolen` would have; change nothing."""
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
    """Revoke the device and end all the data it holds, also if it was revoked before. Return the effects.

    `reported_by`: the name of the person who reported the theft, logged with the note and the ticket. Raises BadInput
    if one of these texts is too long.
    """
    verify_texts((reported_by, 200, "name of who reported it"), (note, 500, "note"), (ticket, 100, "ticket"))
    report = {"reported_by": reported_by, "note": note, "ticket": ticket}
    # Read before the one writer of an SQLite database is taken, because the audit log may be long.
    before = look_at_stolen(instance, actor, name, now=now).before
    with instance.database.write() as connection:
        device = get_device(connection, actor, name, Permission.DEVICE_REVOKE)
        return replace(end_stolen(connection, actor, device, report, now=now), before=before)


def end_stolen(
    connection: Connection, actor: Actor, device: Device, report: Mapping[str, str], *, now: int
) -> StolenDevice:
    """Report a device as `report_stolen` does, in the caller's transaction. The caller has verified the permission.

    `report`: texts to log with the event; empty ones are left out.
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
        # so that readers of the user's events see it, too
        log_last_held(connection, actor, Action.DEVICE_STOLEN, device.id, account_id, held.get(account_id), now)
    # ids, as the audit log names actors: each reader sees only the names that they may know
    named = ",".join(f"user:{account_id}" for account_id in sorted(users))
    log(
        connection,
        now,
        actor,
        Action.DEVICE_STOLEN,
        device=device.id,
        name=device.name,
        users=named,
        **{name: text for name, text in report.items() if text},
    )
    return stolen


def _earlier_report(connection: Connection, actor: Actor, device: Device, found: StolenDevice) -> EarlierReport | None:
    """Return the first report of a device that is revoked and holds nothing.

    Any other device has current effects to show.
    """
    if device.revoked_at is None or found.users or found.elsewhere:
        return None
    wanted = AuditFilter(device_id=device.id, actions=(Action.DEVICE_STOLEN,))
    rows = audit_events.list_rows(connection, wanted, limit=_MOST_REPORTS)
    rows = [row for row in rows if row.account_id is None]  # the others are about its users
    if not rows:
        return None
    first = rows[-1]  # the newest comes first
    users = [user for user in str(json.loads(first.detail).get("users", "")).split(",") if user]
    names = names_of_actors(connection, actor, [first.actor, *users])
    logins = sorted(names[user] for user in users if user in names)
    by = names.get(first.actor, first.actor)
    return EarlierReport(first.at // MICROSECONDS, by, tuple(logins), len(users) - len(logins))


def users_of(connection: Connection, device_id: str) -> frozenset[str]:
    """Return the account ids of all users of whom the device may hold data."""
    holders = {token.account_id for token in devices.tokens_of_device(connection, device_id)}
    return devices.users_of_device(connection, device_id) | holders


def _stolen(connection: Connection, actor: Actor, device: Device, users: frozenset[str], now: int) -> StolenDevice:
    used = devices.tokens_of_device(connection, device.id)
    with_pin = devices.tokens_with_pin(connection, users)
    found = accounts.find_with_counts(connection, users, now)
    seen = [user for user in found if actor.sees(user.account.domain_id)]
    named = tuple(_stolen_from(user, used, with_pin) for user in seen)
    return StolenDevice(device.id, device.name, named, len(found) - len(seen))


def _stolen_from(found: AccountWithCounts, used: Sequence[UserToken], with_pin: Sequence[UserToken]) -> StolenFrom:
    account = found.account
    used_by_user = [token for token in used if token.account_id == account.id]
    return StolenFrom(
        account.login,
        new_pin=tuple(token.serial for token in with_pin if token.account_id == account.id),
        disabled=tuple(token.serial for token in used_by_user if token.enabled and _tells_codes(token)),
        codes=found.codes,
        passkeys=found.passkeys,
    )


def _tells_codes(token: UserToken) -> bool:
    """Return True if the token's future codes, which the device holds well hidden, are worth too much to a thief."""
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
