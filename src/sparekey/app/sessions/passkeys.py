"""Passkeys of administrators and users: add, list and remove them, and make their challenges.

Rules:
- A challenge is a ciphertext of the vault, which contains its expiry, purpose and owner. Safe because nothing is stored
  when a challenge is requested, which anyone may do. Only the hash of an answered challenge is stored, so that each is
  used once.
- Only its owner can add a passkey, in a session that was not begun with an emergency code, or with a link made by root
  (`people.admin_links`). It is bound to the name of the server where it was made.
- An operator who may mark a user's token as lost may remove the user's passkey, because that only takes access away. It
  ends the user's sessions, which may have begun with it, except the session in which users remove their own.
- Losing or removing a token does not change the passkeys: they are separate authenticators with their own PIN or
  fingerprint (ADR 17). The report of a stolen device removes them, because the device may hold them.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_account
from sparekey.app.notices import notify_user
from sparekey.app.sessions.administrators import Session, verify_may_add_passkey
from sparekey.app.sessions.ends import end_sessions
from sparekey.app.super_administrators import one_remains
from sparekey.app.vault import VaultError
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.errors import BadInput, Conflict, NotFound
from sparekey.core.names import verify_name
from sparekey.core.permissions import Actor, Permission
from sparekey.core.sign_in import passkeys as core
from sparekey.core.sign_in.passkeys import BadPasskey, NewPasskey, RelyingParty
from sparekey.secret import Secret
from sparekey.storage.people import accounts
from sparekey.storage.sessions import passkeys
from sparekey.storage.sessions.passkeys import Passkey

LONGEST_NAME: Final = 64
MOST_PASSKEYS: Final = 20  # of one user
_TIME_BYTES: Final = 8

MayAdd = Callable[[Connection, Session], None]  # raises NotAllowed, depending on how the session began


class ChallengePurpose(StrEnum):
    """The only purpose for which a signature is valid."""

    SIGN_IN = "sign-in"
    USER_SIGN_IN = "user-sign-in"
    SECOND_FACTOR = "second-factor"
    REGISTER = "register"
    WELCOME = "welcome"


@dataclass(frozen=True)
class PasskeyView:
    """A passkey as lists show it. `host`: the name of the server where it can be used. Times in unix seconds."""

    passkey: str
    name: str
    host: str
    created_at: int
    last_used_at: int | None


def verify_may_begin(instance: Instance, session: Session, verify_may_add: MayAdd = verify_may_add_passkey) -> None:
    """Raise NotAllowed if this session may not add a passkey."""
    with instance.database.glance() as connection:
        verify_may_add(connection, session)


def ask_for_registration(
    instance: Instance, place: RelyingParty, session: Session, now: int, verify_may_add: MayAdd = verify_may_add_passkey
) -> str:
    """Return the options as JSON for the browser of this session. Raises NotAllowed."""
    account_id = session.actor.account_id or ""
    with instance.database.glance() as connection:
        verify_may_add(connection, session)
        known = [passkey.credential_id for passkey in passkeys.list_of_account(connection, account_id)]
    challenge = new_challenge(instance, ChallengePurpose.REGISTER, Secret(session.id), now)
    return core.registration_options(place, challenge, account_id, session.login, known)


def add_passkey(
    instance: Instance,
    place: RelyingParty,
    session: Session,
    name: str,
    answer: str,
    now: int,
    verify_may_add: MayAdd = verify_may_add_passkey,
) -> PasskeyView:
    """Add a passkey for the user of the session. Raises NotAllowed, BadInput or Conflict."""
    made, challenge = read_new_passkey(place, name, answer)
    account_id = session.actor.account_id or ""
    with instance.database.write() as connection:
        if not take_challenge(connection, instance, ChallengePurpose.REGISTER, Secret(session.id), challenge, now):
            raise too_late()
        accounts.lock_accounts(connection, [account_id])
        verify_may_add(connection, session)
        return insert_passkey(connection, session.actor, account_id, place, name, made, now)


def own_passkeys(instance: Instance, session: Session) -> list[PasskeyView]:
    """Return the passkeys of the user of the session, oldest first."""
    with instance.database.read() as connection:
        return views_of(passkeys.list_of_account(connection, session.actor.account_id or ""))


def remove_own_passkey(instance: Instance, session: Session, passkey: str, now: int) -> str:
    """Remove a passkey and end the user's other sessions. Return its name. Raises NotFound or NotAllowed."""
    with instance.database.write() as connection:
        return _remove(connection, session.actor, session.actor.account_id or "", passkey, now, but=session.id)


def list_passkeys(instance: Instance, actor: Actor, login: str) -> list[PasskeyView]:
    """Return the passkeys of a user, oldest first. Raises NotFound or NotAllowed."""
    with instance.database.read() as connection:
        account = get_account(connection, actor, login, Permission.USER_VIEW)
        return views_of(passkeys.list_of_account(connection, account.id))


def remove_passkey(instance: Instance, actor: Actor, login: str, passkey: str, *, now: int) -> None:
    """Remove a user's passkey and end the user's sessions. Raises NotFound or NotAllowed."""
    with instance.database.write() as connection:
        account = get_account(connection, actor, login, Permission.TOKEN_EDIT)
        _remove(connection, actor, account.id, passkey, now)


def read_new_passkey(place: RelyingParty, name: str, answer: str) -> tuple[NewPasskey, bytes]:
    """Return the new passkey in the browser's answer, and its challenge. Raises BadInput."""
    verify_name(name, "passkey", LONGEST_NAME)
    try:
        read = core.read_answer(answer)
        return core.verify_registration(place, read), read.challenge
    except BadPasskey as error:
        raise BadInput("this passkey cannot be used here", "reload the page and create it again") from error


def insert_passkey(
    connection: Connection, actor: Actor, account_id: str, place: RelyingParty, name: str, made: NewPasskey, now: int
) -> PasskeyView:
    """Save a new passkey. Needs the account's lock. Raises Conflict."""
    if passkeys.count_of_account(connection, account_id) >= MOST_PASSKEYS:
        raise Conflict(f"the limit of {MOST_PASSKEYS} passkeys is reached", "remove one of them first")
    if passkeys.find_by_credential(connection, made.credential_id) is not None:
        raise Conflict("this passkey already exists", "sign in with it")
    passkey = new_id()
    values = {
        "id": passkey,
        "account_id": account_id,
        "name": name,
        "host": place.host,
        "credential_id": made.credential_id,
        "public_key": made.public_key,
        "sign_count": made.sign_count,
        "created_at": now,
    }
    passkeys.insert_passkey(connection, values)
    log(connection, now, actor, Action.PASSKEY_ADDED, account=account_id, passkey=passkey, name=name)
    notify_user(connection, now, account_id, Notice.PASSKEY_ADDED)
    return PasskeyView(passkey, name, place.host, now, None)


def new_challenge(instance: Instance, purpose: ChallengePurpose, bound: Secret[str], now: int) -> bytes:
    """Return a new challenge. `bound`: a secret that only the intended browser or session has.

    Safe because nothing is stored: anyone may request challenges.
    """
    until = (now + core.LIFETIME).to_bytes(_TIME_BYTES, "big")
    return instance.vault.seal(*_sealed_for(purpose, bound), until)


def take_challenge(
    connection: Connection,
    instance: Instance,
    purpose: ChallengePurpose,
    bound: Secret[str],
    challenge: bytes,
    now: int,
) -> bool:
    """Use up the challenge in this transaction. Return False if it has expired, is used, or is for another purpose."""
    try:
        until = int.from_bytes(instance.vault.open(*_sealed_for(purpose, bound), challenge).reveal(), "big")
    except VaultError:
        return False
    return now < until and passkeys.use_challenge(connection, hashlib.sha256(challenge).hexdigest(), until, now)


def too_late() -> BadInput:
    """Return the error for an answer that belongs to no valid challenge."""
    return BadInput("this took longer than two minutes, or was sent twice", "reload the page and try again")


def views_of(found: Sequence[Passkey]) -> list[PasskeyView]:
    return [
        PasskeyView(passkey.id, passkey.name, passkey.host, passkey.created_at, passkey.last_used_at)
        for passkey in found
    ]


def _remove(connection: Connection, actor: Actor, account_id: str, passkey_id: str, now: int, but: str = "") -> str:
    with one_remains(connection, now):
        accounts.lock_accounts(connection, [account_id])
        removed = passkeys.delete_passkey(connection, account_id, passkey_id)
        if removed is None:
            raise NotFound("there is no such passkey", "reload the list: it may have been removed")
    end_sessions(connection, actor, account_id, "a passkey was removed", now, session=but)
    log(connection, now, actor, Action.PASSKEY_REMOVED, account=account_id, passkey=removed.id, name=removed.name)
    notify_user(connection, now, account_id, Notice.PASSKEY_REMOVED)
    return removed.name


def _sealed_for(purpose: ChallengePurpose, bound: Secret[str]) -> tuple[str, str, str]:
    """Return column, row and owner for the vault. A challenge for one purpose and owner is not valid for another."""
    owner = hashlib.sha256(b"sparekey/1/passkey" + bound.reveal().encode(errors="surrogatepass")).hexdigest()
    return "passkey_challenge.id", owner, f"purpose:{purpose}"
