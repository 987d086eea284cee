"""Users: add, list, enable, disable, unlock, move."""

from dataclasses import dataclass

from sparekey.app.authorisation import verify_somewhere
from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_account, get_domain
from sparekey.core.errors import Conflict
from sparekey.core.events import Action
from sparekey.core.names import verify_login, verify_name
from sparekey.core.permissions import Actor, Permission
from sparekey.storage import accounts, devices, domains


@dataclass(frozen=True)
class UserView:
    login: str
    name: str
    domain: str
    enabled: bool
    locked: bool
    failures: int


def add_user(instance: Instance, actor: Actor, login: str, domain: str, name: str = "", *, now: int) -> str:
    """A new user in a domain; the account's id."""
    verify_login(login)
    verify_name(name or login, "user", 128)
    with instance.database.write() as connection:
        domain_id = get_domain(connection, actor, domain, Permission.USER_ADD).id
        if accounts.find_account(connection, login) is not None:
            raise Conflict(f"there is a user {login!r} already", "choose another login name")
        account_id = new_id()
        accounts.insert_account(connection, account_id, login, name or login, domain_id, now)
        log(connection, now, actor, Action.USER_ADDED, account=account_id, login=login, domain=domain)
    return account_id


def list_users(instance: Instance, actor: Actor, limit: int = 100, after: str = "") -> list[UserView]:
    """By login, from the one after `after`."""
    within = verify_somewhere(actor, Permission.USER_VIEW)
    with instance.database.read() as connection:
        return [
            UserView(row.login, row.name, row.domain, row.enabled, row.locked_at is not None, row.failures)
            for row in accounts.list_accounts(connection, limit, after, within)
        ]


def show_user(instance: Instance, actor: Actor, login: str) -> UserView:
    with instance.database.read() as connection:
        row = get_account(connection, actor, login, Permission.USER_VIEW)
        domain = domains.get_name(connection, row.domain_id)
        return UserView(row.login, row.name, domain, row.enabled, row.locked_at is not None, row.failures)


def set_enabled(instance: Instance, actor: Actor, login: str, *, enabled: bool, now: int) -> None:
    """A disabled user is refused everywhere, and each device erases the user's data at its next contact."""
    with instance.database.write() as connection:
        account = get_account(connection, actor, login, Permission.USER_EDIT)
        accounts.set_enabled(connection, account.id, enabled=enabled)
        action = Action.USER_ENABLED if enabled else Action.USER_DISABLED
        log(connection, now, actor, action, account=account.id)


def unlock(instance: Instance, actor: Actor, login: str, *, now: int) -> bool:
    """Clear lock and failures; whether there was anything to clear."""
    with instance.database.write() as connection:
        account = get_account(connection, actor, login, Permission.USER_UNLOCK)
        cleared = accounts.unlock(connection, account.id)
        log(connection, now, actor, Action.ACCOUNT_UNLOCKED, account=account.id)
    return cleared


def move_user(instance: Instance, actor: Actor, login: str, domain: str, *, now: int) -> None:
    """The new domain's policies apply at once; offline data are made anew."""
    with instance.database.write() as connection:
        account = get_account(connection, actor, login, Permission.USER_MOVE)
        accounts.set_domain(connection, account.id, get_domain(connection, actor, domain, Permission.USER_MOVE).id)
        devices.raise_generation(connection, account.id)
        log(connection, now, actor, Action.USER_MOVED, account=account.id, domain=domain)
