"""List and end open sessions of administrators: their own, and those of others.

Rules: administrators can end sessions only of users in their domains who have no rights beyond their own. An ended
session is refused at its next request.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_somewhere
from sparekey.app.instance import Instance, log
from sparekey.app.lookup import get_account
from sparekey.app.sessions.administrators import IDLE_SECONDS, Session, name_of
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import NotFound
from sparekey.core.permissions import Actor, Permission
from sparekey.storage.sessions import sessions as admin_sessions
from sparekey.storage.sessions.sessions import ListedSession


@dataclass(frozen=True)
class SessionView:
    """An open session. Times in unix seconds; `expires_at` is the latest end.

    `session`: its name, 16 hex digits, which prove nothing. `method`: a `core.reasons.Method`; empty for old sessions
    without a stored method. `cursor`: the next page of `list_sessions` begins after it.
    """

    session: str
    login: str
    method: str
    address: str
    begun_at: int
    last_used_at: int
    expires_at: int
    cursor: str
    domain: str


def own_sessions(instance: Instance, session: Session, now: int) -> list[SessionView]:
    """Return all sessions of the owner of this one; the one used last comes first."""
    with instance.database.read() as connection:
        found = admin_sessions.list_of_account(connection, session.actor.account_id or "", now, now - IDLE_SECONDS)
        return [_view(listed) for listed in found]


def end_own_session(instance: Instance, session: Session, name: str, now: int) -> None:
    """End one of the user's own sessions. Raises NotFound."""
    with instance.database.write() as connection:
        found = admin_sessions.find_named(connection, name)
        if found is None or found.account_id != session.actor.account_id:
            raise _none(name)
        _end(connection, session.actor, found, now)


def end_other_sessions(instance: Instance, session: Session, now: int) -> int:
    """End the user's other sessions. Return their number."""
    with instance.database.write() as connection:
        found = admin_sessions.list_of_account(connection, session.actor.account_id or "", now, now - IDLE_SECONDS)
        other_sessions = [listed for listed in found if listed.id != session.id]
        for listed in other_sessions:
            _end(connection, session.actor, listed, now)
    return len(other_sessions)


def list_sessions(
    instance: Instance, actor: Actor, limit: int = 100, after: str = "", *, now: int
) -> list[SessionView]:
    """Return the sessions of all administrators whom the actor sees, by login, from the one after the cursor `after`.

    Raises NotAllowed.
    """
    within = verify_somewhere(actor, Permission.SESSION_VIEW)
    login, _, name = after.rpartition("/")
    # The name is the beginning of a hex id, so name + "g" comes after every id that begins with the name.
    cursor = (login, f"{name}g" if name else "")
    with instance.database.read() as connection:
        found = admin_sessions.list_open(connection, now, now - IDLE_SECONDS, limit, cursor, within)
        return [_view(listed) for listed in found]


def end_session_of(instance: Instance, actor: Actor, session: str, *, now: int) -> None:
    """End another user's session by its name. Raises NotFound or NotAllowed."""
    with instance.database.write() as connection:
        found = admin_sessions.find_named(connection, session)
        if found is None:
            raise _none(session)
        try:
            get_account(connection, actor, found.login, Permission.SESSION_END)
        except NotFound:
            raise _none(session) from None  # its user is outside the actor's domains
        _end(connection, actor, found, now)


def _end(connection: Connection, actor: Actor, found: ListedSession, now: int) -> None:
    admin_sessions.delete_session(connection, found.id)
    log(connection, now, actor, Action.SESSION_ENDED, account=found.account_id, session=name_of(found.id))


def _none(name: str) -> NotFound:
    return NotFound(f"there is no session {name!r}", "reload the list: it may have ended")


def _view(found: ListedSession) -> SessionView:
    name = name_of(found.id)
    return SessionView(
        name,
        found.login,
        found.method,
        found.address,
        found.created_at,
        found.last_used_at,
        found.expires_at,
        f"{found.login}/{name}",
        found.domain,
    )
