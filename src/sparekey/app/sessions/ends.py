"""End the sessions and the self-made online emergency access of a user whose token, passkey, PIN or role changes.

Rules: a person who had the lost token or passkey may have opened sessions with it, and made codes in them. So both end.
Access to the token that the change is about stays, because the user will need it (`self_service.emergency_access`).
"""

from sqlalchemy import Connection

from sparekey.app.authorisation import grants_of
from sparekey.app.emergency.online import end_for_token
from sparekey.core.permissions import Actor
from sparekey.storage.emergency import online as online_emergency
from sparekey.storage.people import accounts
from sparekey.storage.sessions import sessions as admin_sessions
from sparekey.storage.tokens import tokens


def end_sessions(
    connection: Connection,
    actor: Actor,
    account_id: str | None,
    why: str,
    now: int,
    *,
    token_id: str | None = None,
    session: str = "",
) -> None:
    """End all sessions of the user, and online emergency access that they gave themselves. Needs the account's lock.

    `account_id`: None does nothing. `why`: the reason for the audit log. `token_id`: the token of the change, whose
    access stays. `session`: the id of a session that stays.
    """
    admin_sessions.delete_of_account(connection, account_id, session)
    if account_id is not None:
        end_own_access(connection, actor, account_id, why, now, token_id=token_id)


def end_own_access(
    connection: Connection, actor: Actor, account_id: str, why: str, now: int, *, token_id: str | None = None
) -> None:
    """End the online emergency access that the user gave themselves, except that to `token_id`."""
    for token_with_access in online_emergency.tokens_with_access_by(connection, account_id, f"user:{account_id}"):
        token = tokens.find_token_by_id(connection, token_with_access)
        if token is not None and token.id != token_id:
            end_for_token(connection, actor, token, why, now=now)


def end_without_role(connection: Connection, account_id: str) -> None:
    """End the user's sessions at the console if they hold no role any more (S63). Needs the account's lock.

    If they get another role, they must sign in again.
    """
    if not grants_of(connection, account_id):
        admin_sessions.delete_of_administrator(connection, account_id)


def end_before_grant(connection: Connection, actor: Actor, account_id: str, now: int) -> None:
    """End the sessions and the self-made access of a user who is about to get a role (ADR 17).

    Safe because nothing made with one factor carries over into the role, and no console session begun while the last
    role was removed.
    """
    accounts.lock_accounts(connection, [account_id])
    end_without_role(connection, account_id)
    admin_sessions.delete_of_user(connection, account_id)
    end_own_access(connection, actor, account_id, "the user was given a role", now)
