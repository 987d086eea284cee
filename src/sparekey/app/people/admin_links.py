"""Links that make a user a super administrator: the first one of a server, or one who can no longer sign in.

Rules: only root on the server makes a link. Its code is random, stored as a hash, and valid for one hour and one use.
The user of the link gets two factors, a passkey or a token with a PIN, and the role, all in one transaction. Then they
sign in with it like every other user: a link begins no session.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_may
from sparekey.app.emergency.second_person import act_on_account, acting, verify_second_person
from sparekey.app.instance import TOP_DOMAIN, Instance, log, new_id
from sparekey.app.lookup import get_account
from sparekey.app.notices import notify_user
from sparekey.app.people.users import insert_user
from sparekey.app.policies_in_force import account_state_of, policy_in
from sparekey.app.sessions.ends import end_before_grant
from sparekey.app.sessions.passkeys import (
    ChallengePurpose,
    insert_passkey,
    new_challenge,
    read_new_passkey,
    take_challenge,
    too_late,
)
from sparekey.app.sign_in.pin_changes import log_pin_set, store_pin
from sparekey.app.tokens.tokens import AddedToken, NewToken, insert_token, parameters_of
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.emergency.acts import OperatorAct
from sparekey.core.errors import BadInput, Conflict, NotAllowed, NotFound
from sparekey.core.names import verify_login
from sparekey.core.permissions import SUPER_ADMINISTRATOR, Actor, Permission
from sparekey.core.policy.lockout import InterfaceGroup
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.passkeys import RelyingParty, registration_options
from sparekey.core.sign_in.pins import PinError, PinVerifier, new_verifier, verify_new_pin
from sparekey.secret import Secret
from sparekey.storage.people import accounts, admin_links, domains, roles
from sparekey.storage.people.accounts import Account
from sparekey.storage.sealed_rows import seals_of
from sparekey.storage.sessions import passkeys
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import AssignedToken

LIFETIME: Final = 3_600  # seconds
_CODE_BYTES: Final = 16  # 128 random bits
_MENDED: Final = {
    Reason.ACCOUNT_DISABLED: ("is disabled", "enable the user first: `sparekey user enable`"),
    Reason.ACCOUNT_EXPIRED: ("has expired", "give the user another end first: `sparekey user edit`"),
    Reason.LOCKED: ("is locked", "unlock the user first: `sparekey user unlock`"),
}


@dataclass(frozen=True)
class AdminLink:
    """A new link. `code`: shown here once. `login`: its user; "" for a new user."""

    code: Secret[str]
    login: str
    expires_at: int


@dataclass(frozen=True)
class OpenLink:
    """A link that can be used now. `account_id`: of its user, also of a new one."""

    id: str
    login: str  # "" for a new user
    account_id: str
    expires_at: int


def make_link(instance: Instance, actor: Actor, login: str = "", *, now: int) -> AdminLink:
    """Make a link for this user, or for a new one who chooses a login.

    Raises NotFound, Conflict, or ApprovalNeeded for a user who has other factors already.
    """
    code = Secret(secrets.token_urlsafe(_CODE_BYTES))
    with acting(instance) as connection:
        verify_may(actor, Permission.ROLE_MANAGE, None)
        account = get_account(connection, actor, login, Permission.ROLE_MANAGE) if login else None
        if account is not None:
            _verify_open(connection, account, now)
            accounts.lock_accounts(connection, [account.id])
            asked = act_on_account(connection, OperatorAct.ADMIN_LINK, account.id)
            verify_second_person(connection, actor, account, asked, now=now)
            notify_user(connection, now, account.id, Notice.ADMIN_LINK_MADE)
        account_id = account.id if account is not None else None
        admin_links.delete_over(connection, now)
        values = {
            "id": _id_of(connection, code),
            "account_id": account_id,
            "created_by": actor.name,
            "created_at": now,
            "expires_at": now + LIFETIME,
        }
        admin_links.insert_link(connection, values)
        log(connection, now, actor, Action.ADMIN_LINK_MADE, account=account_id, link=_id_of(connection, code)[:16])
    return AdminLink(code, login, now + LIFETIME)


def look_at_link(instance: Instance, code: Secret[str], now: int) -> OpenLink:
    """Return the link of this code. Raises NotAllowed with the same text if it is unknown, used or expired."""
    with instance.database.read() as connection:
        link = admin_links.find_link(connection, _id_of(connection, code), now)
    if link is None:
        raise _gone()
    return OpenLink(link.id, link.login or "", link.account_id or link.id[:32], link.expires_at)


def ask_for_passkey(instance: Instance, place: RelyingParty, code: Secret[str], login: str, now: int) -> str:
    """Return the registration options as JSON for the browser. `login`: the chosen one, if the link names none."""
    link = look_at_link(instance, code, now)
    login = _login_for(link, login)
    with instance.database.glance() as connection:
        known = [passkey.credential_id for passkey in passkeys.list_of_account(connection, link.account_id)]
    challenge = new_challenge(instance, ChallengePurpose.WELCOME, Secret(link.id), now)
    return registration_options(place, challenge, link.account_id, login, known)


def use_with_passkey(
    instance: Instance, place: RelyingParty, code: Secret[str], login: str, name: str, answer: str, now: int
) -> str:
    """Make the user of the link a super administrator with this passkey, and return the login.

    Raises NotAllowed, BadInput or Conflict.
    """
    link = look_at_link(instance, code, now)
    made, challenge = read_new_passkey(place, name, answer)
    with instance.database.write() as connection:
        if not take_challenge(connection, instance, ChallengePurpose.WELCOME, Secret(link.id), challenge, now):
            raise too_late()
        actor, login = _become(connection, link, login, now)
        insert_passkey(connection, actor, link.account_id, place, name, made, now)
    return login


def use_with_token(
    instance: Instance, code: Secret[str], login: str, pin: Secret[str], now: int
) -> tuple[str, AddedToken]:
    """Make the user of the link a super administrator with a new token and this PIN. The seed is shown here once.

    Return the login and the token. Raises NotAllowed, BadInput or Conflict.
    """
    link = look_at_link(instance, code, now)
    login = _login_for(link, login)
    verifier = _verifier_of(instance, link, login, pin)
    wish = NewToken()
    parameters = parameters_of(wish)
    with instance.database.write() as connection:
        actor, login = _become(connection, link, login, now)
        added = insert_token(connection, instance, actor, login, wish, parameters, now)
        token = tokens.find_token(connection, added.serial)
        if not isinstance(token, AssignedToken):
            raise LookupError("the token that was just made is gone")  # noqa: TRY004 -- not about a type
        store_pin(connection, instance, token, verifier, now, counts_from=None)
        log_pin_set(connection, actor, token, now)
    return login, added


def _become(connection: Connection, link: OpenLink, login: str, now: int) -> tuple[Actor, str]:
    """Use the link up and give its user the role. Return the actor of the following steps, and the login."""
    login = _login_for(link, login)
    actor = Actor.of_system(f"link:{link.id[:16]}")
    if not admin_links.use_link(connection, link.id, now):
        raise _gone()
    if not link.login:
        insert_user(connection, actor, link.account_id, login, TOP_DOMAIN, now=now)
    accounts.lock_accounts(connection, [link.account_id])
    account = accounts.find_account_by_id(connection, link.account_id)
    if account is None:
        raise NotFound(f"there is no user {login!r}", "ask for another link")
    _verify_open(connection, account, now)
    _grant(connection, actor, account, now)
    log(connection, now, actor, Action.ADMIN_LINK_USED, account=account.id, link=link.id[:16])
    return actor, login


def _grant(connection: Connection, actor: Actor, account: Account, now: int) -> None:
    top = domains.find_domain(connection, TOP_DOMAIN)
    if top is None:
        raise LookupError("there is no top domain")
    if roles.find_grant(connection, SUPER_ADMINISTRATOR, account.id, top.id) is None:
        end_before_grant(connection, actor, account.id, now)
        roles.insert_grant(connection, new_id(), SUPER_ADMINISTRATOR, account.id, top.id, now)
        log(
            connection,
            now,
            actor,
            Action.ROLE_GRANTED,
            account=account.id,
            role=SUPER_ADMINISTRATOR,
            domain=TOP_DOMAIN,
            client=None,
        )


def _verifier_of(instance: Instance, link: OpenLink, login: str, pin: Secret[str]) -> PinVerifier:
    """Hash the PIN before the transaction, so that no request waits for the one writer of an SQLite database."""
    with instance.database.read() as connection:
        account = accounts.find_account_by_id(connection, link.account_id)
        top = domains.find_domain(connection, TOP_DOMAIN)
        domain_id = account.domain_id if account is not None else top.id if top is not None else ""
        policy = policy_in(connection, domain_id, TokenPolicy)
    try:
        verify_new_pin(pin.reveal(), policy, login, ())
    except PinError as error:
        raise BadInput(str(error), "choose another PIN") from error
    return new_verifier(pin.reveal())


def _login_for(link: OpenLink, login: str) -> str:
    """Return the login of the link, or else the chosen one. Raises BadInput."""
    if not link.login:
        verify_login(login)
    return link.login or login


def _verify_open(connection: Connection, account: Account, now: int) -> None:
    closed = account_state_of(connection, account, InterfaceGroup.ADMINISTRATORS).closed(now)
    if closed is not None:
        state, do = _MENDED[closed]
        raise Conflict(f"the user {account.login!r} {state}", do)


def _gone() -> NotAllowed:
    return NotAllowed(
        "this link is not valid, was already used, or has expired",
        "ask the administrator of the server for another one",
    )


def _id_of(connection: Connection, code: Secret[str]) -> str:
    # Safe because the code has 128 random bits. An intruder in the database has no key of the server for an id (S47).
    digest = hashlib.sha256(b"sparekey/1/admin-link" + code.reveal().encode(errors="surrogatepass")).digest()
    return seals_of(connection).seals.id_of(digest).hex()
