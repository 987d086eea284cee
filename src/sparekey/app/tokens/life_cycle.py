"""Who has a token: assign, unassign, replace, remove.

Rules:
- The vault binds a seed and a PIN to the token *and* its owner: whoever gets the token, its seed is sealed anew.
- What a token was for one user is nothing for the next: PIN, PIN history, emergency codes and access end with the
  assignment; the last step stays, so that no code is good twice (S01).
- One conditional write settles whose it is; the users' generations rise in the same transaction, so that each device
  gives up what it holds at its next contact (offline-day.md, server rule 3).
- A token with a PIN is not replaced by one without: nothing weaker takes its place unasked (S05).
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from sparekey.app.emergency.online import end_for_token
from sparekey.app.instance import Instance, log
from sparekey.app.lookup import get_account, get_assigned_token, get_token
from sparekey.app.notices import notify_user
from sparekey.app.sessions.ends import end_sessions
from sparekey.app.sign_in.pin_changes import former_pins
from sparekey.app.snapshots import NO_PIN, pin_of, seal_pin, seal_pin_history, token_owner
from sparekey.app.super_administrators import one_remains
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.errors import Conflict, NotFound
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.devices import devices
from sparekey.storage.people import accounts, domains
from sparekey.storage.rows import AnyRow
from sparekey.storage.tokens import ends as token_ends
from sparekey.storage.tokens import tokens

MOST_TOKENS: Final = 4  # of one user: each token with a PIN costs a slow hash, all within the floor of a refusal (S07)
_NO_PIN_AT_ALL: Final = {
    **NO_PIN,
    "pin_history_sealed": None,
    "pin_set_at": None,
    "pin_must_change": False,
    "pin_counts_from": None,
}


@dataclass(frozen=True)
class Replacement:
    """What became of it."""

    old: str
    new: str
    login: str
    pin_kept: bool


def assign(instance: Instance, actor: Actor, serial: str, login: str, *, enable: bool = True, now: int) -> None:
    """Give a token that nobody has to a user. With a PIN to be set: by an administrator, or at the first sign-in."""
    with instance.database.write() as connection:
        row = get_token(connection, actor, serial, Permission.TOKEN_ASSIGN)
        account = get_account(connection, actor, login, Permission.TOKEN_ASSIGN)
        accounts.lock_accounts(connection, [account.id])
        verify_room(connection, account.id, login)
        _verify_assignable(row, now)
        _give(connection, instance, row, account.id, _NO_PIN_AT_ALL, enable=enable)
        log(connection, now, actor, Action.TOKEN_ASSIGNED, account=account.id, token=row.id, serial=serial)
        notify_user(connection, now, account.id, Notice.TOKEN_ASSIGNED, serial=serial)


def unassign(instance: Instance, actor: Actor, serial: str, *, now: int) -> str:
    """Take a token from its user, whose login it returns. It stays, disabled, in the user's security domain."""
    with instance.database.write() as connection:
        with one_remains(connection, now):
            row = _get_taken(connection, actor, serial)
            _take_away(connection, instance, actor, row, now)
        log(connection, now, actor, Action.TOKEN_UNASSIGNED, account=row.account_id, token=row.id, serial=serial)
        notify_user(connection, now, row.account_id, Notice.TOKEN_UNASSIGNED, serial=serial)
        return str(row.login)


def replace(
    instance: Instance, actor: Actor, serial: str, new_serial: str | None, *, keep_pin: bool = True, now: int
) -> Replacement:
    """Another token takes this one's place; `new_serial` None: the next one available.

    `keep_pin`: with the same PIN; else the user chooses one at the first sign-in, or an administrator sets one.
    """
    with instance.database.write() as connection:
        old = _get_taken(connection, actor, serial)
        new = _get_successor(connection, actor, old, new_serial, now)
        _verify_assignable(new, now)
        if new.with_pin != old.with_pin:
            raise Conflict(
                f"token {serial!r} is used {_how(old)}, and token {new.serial!r} {_how(new)}",
                "replace it by a token that is used in the same way, or unassign the one and assign the other",
            )
        pin = _moved_pin(instance, old, new.id) if keep_pin else dict(_NO_PIN_AT_ALL)
        _take_away(connection, instance, actor, old, now)
        _give(connection, instance, new, old.account_id, pin, enable=True)
        ids: dict[str, Any] = {"account": old.account_id}
        log(
            connection,
            now,
            actor,
            Action.TOKEN_REPLACED,
            **ids,
            token=old.id,
            serial=serial,
            by=new.serial,
            pin_kept=keep_pin,
        )
        log(connection, now, actor, Action.TOKEN_ASSIGNED, **ids, token=new.id, serial=new.serial)
        notify_user(connection, now, old.account_id, Notice.TOKEN_REPLACED, serial=serial, by=new.serial)
        return Replacement(serial, new.serial, old.login, pin["pin_sealed"] is not None)


def remove(instance: Instance, actor: Actor, serial: str, *, assigned_too: bool = False, now: int) -> None:
    """Delete a token that nobody has; `assigned_too`: after it was taken from its user."""
    with instance.database.write() as connection, one_remains(connection, now):
        row = get_token(connection, actor, serial, Permission.TOKEN_REMOVE)
        if row.account_id is not None and not assigned_too:
            raise Conflict(f"token {serial!r} is assigned to {row.login}", "unassign it first, or confirm with --yes")
        if row.account_id is not None:
            accounts.lock_accounts(connection, [row.account_id])
            _take_away(connection, instance, actor, row, now)
            notify_user(connection, now, row.account_id, Notice.TOKEN_UNASSIGNED, serial=serial)
        if not token_ends.delete_token(connection, row.id):
            raise _changed(serial)
        log(connection, now, actor, Action.TOKEN_REMOVED, account=row.account_id, token=row.id, serial=serial)


def verify_room(connection: Connection, account_id: str, login: str) -> None:
    """Raises Conflict where the user has as many tokens as one may have. Under the account's lock."""
    if tokens.count_of_account(connection, account_id) >= MOST_TOKENS:
        raise Conflict(f"{login} has {MOST_TOKENS} tokens, and nobody can have more", "unassign one of them first")


def _get_taken(connection: Connection, actor: Actor, serial: str) -> AnyRow:
    """The token as it stands under its user's lock."""
    row = get_assigned_token(connection, actor, serial, Permission.TOKEN_ASSIGN)
    accounts.lock_accounts(connection, [row.account_id])
    again = get_assigned_token(connection, actor, serial, Permission.TOKEN_ASSIGN)
    if again.account_id != row.account_id:
        raise _changed(serial)
    return again


def _get_successor(connection: Connection, actor: Actor, old: AnyRow, new_serial: str | None, now: int) -> AnyRow:
    if new_serial is not None:
        return get_token(connection, actor, new_serial, Permission.TOKEN_ASSIGN)
    allowed = actor.domains_with(Permission.TOKEN_ASSIGN)
    above = domains.domain_and_above(connection, old.user_domain_id)
    where = above if allowed is None else above & allowed
    row = tokens.next_available(connection, old, where, now, also_without_domain=allowed is None)
    if row is None:
        raise NotFound("no token is available for this user", "import tokens, or name one with --with")
    return row


def _verify_assignable(row: AnyRow, now: int) -> None:
    if row.account_id is not None:
        raise Conflict(f"token {row.serial!r} is assigned to somebody", "unassign it first, or take another one")
    if row.lost:
        raise Conflict(f"token {row.serial!r} is marked as lost", "mark it as found if it is back")
    if row.expires_at is not None and now >= row.expires_at:
        raise Conflict(f"token {row.serial!r} has expired", "take another one")


def _give(
    connection: Connection, instance: Instance, row: AnyRow, account_id: str, pin: dict[str, Any], *, enable: bool
) -> None:
    values = {**pin, "seed_sealed": _seed_for(instance, row, account_id), "domain_id": None, "enabled": enable}
    if not tokens.take_token(connection, row.id, None, account_id=account_id, **values):
        raise _changed(row.serial)
    devices.raise_generation(connection, account_id)


def _take_away(connection: Connection, instance: Instance, actor: Actor, row: AnyRow, now: int) -> None:
    values = {
        **_NO_PIN_AT_ALL,
        "seed_sealed": _seed_for(instance, row, None),
        "domain_id": row.user_domain_id,
        "enabled": False,
        "offline_code_online": False,
    }
    if not tokens.take_token(connection, row.id, row.account_id, account_id=None, **values):
        raise _changed(row.serial)
    token_ends.end_for_user(connection, row.id, now)
    end_for_token(connection, actor, row, "the token was unassigned", now=now)
    end_sessions(connection, actor, row.account_id, "a token was unassigned", now, token_id=row.id)
    devices.raise_generation(connection, row.account_id)


def _seed_for(instance: Instance, row: AnyRow, account_id: str | None) -> bytes:
    """The seed, which is bound to whoever has it, for somebody else."""
    seed = instance.vault.open("token.seed_sealed", row.id, token_owner(row.account_id, row.id), row.seed_sealed)
    return instance.vault.seal("token.seed_sealed", row.id, token_owner(account_id, row.id), seed.reveal())


def _moved_pin(instance: Instance, old: AnyRow, token_id: str) -> dict[str, Any]:
    """The columns of the old token's PIN, for another token of the same user."""
    vault, present = instance.vault, pin_of(instance.vault, old)
    former = former_pins(instance, old)[1 if present else 0 :]
    return {
        **(seal_pin(vault, old.account_id, token_id, present) if present else NO_PIN),
        "pin_history_sealed": seal_pin_history(vault, old.account_id, token_id, former),
        "pin_set_at": old.pin_set_at,
        "pin_must_change": old.pin_must_change,
        "pin_counts_from": old.pin_counts_from,
    }


def _how(row: AnyRow) -> str:
    return "with a PIN" if row.with_pin else "without a PIN"


def _changed(serial: str) -> Conflict:
    return Conflict(f"token {serial!r} was changed by somebody else meanwhile", "look at it and try again")
