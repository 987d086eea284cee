"""What a change takes from its user at once: sessions that may have begun with what is gone, and the online emergency
access that the user gave themself in one of them.

Rules: whoever had the token or the passkey that is gone may have made codes that outlive it, so that these end, too;
access to the very token that the change is about stays, for then the user is about to need it (`own_emergency`).
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
    """Under the account's lock. `account_id` None: of nobody; `token_id`: of the token that the change is about;
    `session`: the id of one that goes on. `why`: for the record."""
    admin_sessions.delete_of_account(connection, account_id, session)
    if account_id is not None:
        end_own_access(connection, actor, account_id, why, now, token_id=token_id)


def end_own_access(
    connection: Connection, actor: Actor, account_id: str, why: str, now: int, *, token_id: str | None = None
) -> None:
    """The online emergency access that the user gave themself, but for that to one token."""
    for given_to in online_emergency.tokens_with_access_by(connection, account_id, f"user:{account_id}"):
        token = tokens.find_token_by_id(connection, given_to)
        if token is not None and token.id != token_id:
            end_for_token(connection, actor, token, why, now=now)


def end_without_role(connection: Connection, account_id: str) -> None:
    """Under the account's lock: who holds no role any more signs in anew at the console, should there be another one
    (S63). Who still holds one goes on with what that gives."""
    if not grants_of(connection, account_id):
        admin_sessions.delete_of_administrator(connection, account_id)


def begin_anew(connection: Connection, actor: Actor, account_id: str, now: int) -> None:
    """For who is about to be given a role: what began with one factor, or was made by oneself, is not carried into it
    (ADR 17); nor is what began at the console in the moment in which the last role went."""
    accounts.lock_accounts(connection, [account_id])
    end_without_role(connection, account_id)
    admin_sessions.delete_of_user(connection, account_id)
    end_own_access(connection, actor, account_id, "the user was given a role", now)
