"""The life cycle of a token: assign, unassign, replace, remove.

Rules:
- The vault binds a seed and a PIN to the token *and* its owner. A new owner of the token gets a newly sealed seed.
- The next user gets nothing from the last one: PIN, PIN history, emergency codes and temporary access end with the
  assignment. The last step stays, so that no code works twice (S01).
- One conditional write changes the owner. The generations of the users rise in the same transaction, so that each
  device erases its units of the token at its next contact (offline-day.md, server rule 3).
- A token with a PIN is not replaced by one without: nothing weaker takes its place automatically (S05).
"""

import dataclasses
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.emergency.online import end_for_token
from sparekey.app.emergency.second_person import act_on, acting, facts_of, verify_second_person
from sparekey.app.instance import Instance, log
from sparekey.app.lookup import get_account, get_assigned_token, get_token
from sparekey.app.notices import notify_user
from sparekey.app.sessions.ends import end_sessions
from sparekey.app.sign_in.pin_changes import former_pins
from sparekey.app.snapshots import pin_of, seal_pin, seal_pin_history, token_owner
from sparekey.app.super_administrators import one_remains
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.emergency.acts import OperatorAct
from sparekey.core.errors import Conflict, NotFound
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.devices import devices
from sparekey.storage.people import accounts, domains
from sparekey.storage.tokens import ends as token_ends
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import AssignedToken, PinColumns, Token

MOST_TOKENS: Final = 4  # per user: each token with a PIN costs a slow hash, and the floor of a refusal covers all (S07)


@dataclass(frozen=True)
class Replacement:
    """The result of replacing a token, with the serials of both."""

    old: str
    new: str
    login: str
    pin_kept: bool


def assign(instance: Instance, actor: Actor, serial: str, login: str, *, enable: bool = True, now: int) -> None:
    """Give an unassigned token to a user.

    If it needs a PIN, an administrator sets it, or the user at the first sign-in.

    Raises Conflict if the token is assigned, lost or expired, or if the user has the most tokens.
    """
    with acting(instance) as connection:
        token = get_token(connection, actor, serial, Permission.TOKEN_ASSIGN)
        account = get_account(connection, actor, login, Permission.TOKEN_ASSIGN)
        accounts.lock_accounts(connection, [account.id])
        verify_room(connection, account.id, login)
        _verify_assignable(token, now)
        asked = act_on(connection, OperatorAct.TOKEN_ASSIGNED, account.id, facts_of(token, pin_set=False))
        verify_second_person(connection, actor, account, asked, now=now, subject=token)
        _give(connection, instance, token, account.id, PinColumns(), enable=enable)
        _log_assigned(connection, actor, token, account.id, PinColumns(), enabled=enable, now=now)
        notify_user(connection, now, account.id, Notice.TOKEN_ASSIGNED, serial=serial)


def unassign(instance: Instance, actor: Actor, serial: str, *, now: int) -> str:
    """Take a token from its user and return the login. The token stays, disabled, in the user's security domain."""
    with instance.database.write() as connection:
        with one_remains(connection, now):
            token = _get_taken(connection, actor, serial)
            _take_away(connection, instance, actor, token, now)
        log(connection, now, actor, Action.TOKEN_UNASSIGNED, account=token.account_id, token=token.id, serial=serial)
        notify_user(connection, now, token.account_id, Notice.TOKEN_UNASSIGNED, serial=serial)
        return token.login


def replace(
    instance: Instance, actor: Actor, serial: str, new_serial: str | None, *, keep_pin: bool = True, now: int
) -> Replacement:
    """Assign another token in place of this one; `new_serial` None: the next one available.

    `keep_pin`: the new token gets the same PIN. Otherwise the user chooses a PIN at the first sign-in, or an
    administrator sets it. Raises NotFound if no token is available, and Conflict if the new token cannot be assigned or
    if only one of them has a PIN.
    """
    with acting(instance) as connection:
        old = _get_taken(connection, actor, serial)
        new = _get_successor(connection, actor, old, new_serial, now)
        _verify_assignable(new, now)
        if new.with_pin != old.with_pin:
            raise Conflict(
                f"token {serial!r} is used {_how(old)}, and token {new.serial!r} {_how(new)}",
                "replace it with a token that is used in the same way, or unassign the one and assign the other",
            )
        pin = _moved_pin(instance, old, new.id) if keep_pin else PinColumns()
        _verify_replaced(connection, actor, old, new, pin, now)
        _take_away(connection, instance, actor, old, now)
        _give(connection, instance, new, old.account_id, pin, enable=True)
        log(
            connection,
            now,
            actor,
            Action.TOKEN_REPLACED,
            account=old.account_id,
            token=old.id,
            serial=serial,
            by=new.serial,
            pin_kept=keep_pin,
        )
        _log_assigned(connection, actor, new, old.account_id, pin, enabled=True, now=now)
        notify_user(connection, now, old.account_id, Notice.TOKEN_REPLACED, serial=serial, by=new.serial)
        return Replacement(serial, new.serial, old.login, pin.pin_sealed is not None)


def remove(instance: Instance, actor: Actor, serial: str, *, assigned_too: bool = False, now: int) -> None:
    """Delete an unassigned token; `assigned_too`: unassign it first if it is assigned.

    Raises Conflict if it is still assigned, or was changed at the same time.
    """
    with instance.database.write() as connection, one_remains(connection, now):
        token = get_token(connection, actor, serial, Permission.TOKEN_REMOVE)
        if isinstance(token, AssignedToken):
            if not assigned_too:
                raise Conflict(
                    f"token {serial!r} is assigned to {token.login}", "unassign it first, or confirm with --yes"
                )
            accounts.lock_accounts(connection, [token.account_id])
            _take_away(connection, instance, actor, token, now)
            notify_user(connection, now, token.account_id, Notice.TOKEN_UNASSIGNED, serial=serial)
        if not token_ends.delete_token(connection, token.id):
            raise _changed(serial)
        log(connection, now, actor, Action.TOKEN_REMOVED, account=token.account_id, token=token.id, serial=serial)


def verify_room(connection: Connection, account_id: str, login: str) -> None:
    """Raise Conflict if the user has the most tokens that one may have. Call it under the account's lock."""
    if tokens.count_of_account(connection, account_id) >= MOST_TOKENS:
        raise Conflict(f"{login} has {MOST_TOKENS} tokens, which is the limit", "unassign one of them first")


def _get_taken(connection: Connection, actor: Actor, serial: str) -> AssignedToken:
    """Return the token, read again under its user's lock."""
    token = get_assigned_token(connection, actor, serial, Permission.TOKEN_ASSIGN)
    accounts.lock_accounts(connection, [token.account_id])
    again = get_assigned_token(connection, actor, serial, Permission.TOKEN_ASSIGN)
    if again.account_id != token.account_id:
        raise _changed(serial)
    return again


def _get_successor(connection: Connection, actor: Actor, old: AssignedToken, new_serial: str | None, now: int) -> Token:
    if new_serial is not None:
        return get_token(connection, actor, new_serial, Permission.TOKEN_ASSIGN)
    allowed = actor.domains_with(Permission.TOKEN_ASSIGN)
    above = domains.domain_and_above(connection, old.user_domain_id)
    where = above if allowed is None else above & allowed
    token = tokens.next_available(connection, old, where, now, also_without_domain=allowed is None)
    if token is None:
        raise NotFound("no token is available for this user", "import tokens, or choose one with --with")
    return token


def _verify_replaced(
    connection: Connection, actor: Actor, old: AssignedToken, new: Token, pin: PinColumns, now: int
) -> None:
    """Use up an approval if the replacement needs one."""
    account = get_account(connection, actor, old.login, Permission.TOKEN_ASSIGN)
    replaced = facts_of(new, pin_set=pin.pin_sealed is not None)
    asked = act_on(connection, OperatorAct.TOKEN_REPLACED, account.id, facts_of(old), replaced)
    asked = dataclasses.replace(asked, tokens=(replaced,))  # the old token is neither given nor kept
    verify_second_person(connection, actor, account, asked, now=now, subject=new)


def _verify_assignable(token: Token, now: int) -> None:
    if token.account_id is not None:
        raise Conflict(f"token {token.serial!r} is already assigned", "unassign it first, or choose another one")
    if token.lost:
        raise Conflict(f"token {token.serial!r} is marked as lost", "mark it as found if you have it again")
    if token.expires_at is not None and now >= token.expires_at:
        raise Conflict(f"token {token.serial!r} has expired", "choose another one")


def _give(
    connection: Connection, instance: Instance, token: Token, account_id: str, pin: PinColumns, *, enable: bool
) -> None:
    seed = _seed_for(instance, token, account_id)
    if not tokens.give_token(connection, token.id, account_id, pin, seed_sealed=seed, enabled=enable):
        raise _changed(token.serial)
    devices.raise_generation(connection, account_id)


def _log_assigned(
    connection: Connection, actor: Actor, token: Token, account_id: str, pin: PinColumns, *, enabled: bool, now: int
) -> None:
    """Log the assignment, with the facts that the watcher compares (app/audit_log/watcher.py)."""
    log(
        connection,
        now,
        actor,
        Action.TOKEN_ASSIGNED,
        account=account_id,
        token=token.id,
        serial=token.serial,
        enabled=enabled,
        pin_set_at=pin.pin_set_at,
        pin_must_change=pin.pin_must_change,
    )


def _take_away(connection: Connection, instance: Instance, actor: Actor, token: AssignedToken, now: int) -> None:
    if not tokens.take_token_away(connection, token, seed_sealed=_seed_for(instance, token, None)):
        raise _changed(token.serial)
    token_ends.end_for_user(connection, token.id, now)
    end_for_token(connection, actor, token, "the token was unassigned", now=now)
    end_sessions(connection, actor, token.account_id, "a token was unassigned", now, token_id=token.id)
    devices.raise_generation(connection, token.account_id)


def _seed_for(instance: Instance, token: Token, account_id: str | None) -> bytes:
    """Return the seed, sealed for another owner; None: for no owner."""
    seed = instance.vault.open(
        "token.seed_sealed", token.id, token_owner(token.account_id, token.id), token.seed_sealed
    )
    return instance.vault.seal("token.seed_sealed", token.id, token_owner(account_id, token.id), seed.reveal())


def _moved_pin(instance: Instance, old: AssignedToken, token_id: str) -> PinColumns:
    """Return the columns of the old token's PIN, sealed for another token of the same user."""
    vault, present = instance.vault, pin_of(instance.vault, old)
    former = former_pins(instance, old)[1 if present else 0 :]
    return dataclasses.replace(
        seal_pin(vault, old.account_id, token_id, present) if present else PinColumns(),
        pin_history_sealed=seal_pin_history(vault, old.account_id, token_id, former),
        pin_set_at=old.pin_set_at,
        pin_must_change=old.pin_must_change,
        pin_counts_from=old.pin_counts_from,
    )


def _how(token: Token) -> str:
    return "with a PIN" if token.with_pin else "without a PIN"


def _changed(serial: str) -> Conflict:
    return Conflict(f"token {serial!r} was changed in the meantime", "check it and try again")
