"""Users: add, list, show, edit, enable, disable, unlock, move.

Devices follow the changes of the server. The expiry of an account is sealed into offline data, so another expiry renews
them; another domain brings its policies. The last super administrator must always be able to sign in.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_no_gain, verify_somewhere
from sparekey.app.emergency.second_person import act_on_account, acting, verify_lifts, verify_second_person
from sparekey.app.hidden_names import hidden_names_counted, name_taken
from sparekey.app.instance import Instance, log, new_id
from sparekey.app.lookup import get_account, get_domain, get_scope
from sparekey.app.notices import notify_user
from sparekey.app.people.change_limit import begin_changes, count_changes
from sparekey.app.policies_in_force import policy_in
from sparekey.app.sessions.ends import end_own_access, end_sessions
from sparekey.app.super_administrators import one_remains
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice, utc
from sparekey.core.emergency.acts import AskedAct, OperatorAct
from sparekey.core.errors import BadInput, NotAllowed
from sparekey.core.list_order import read_order
from sparekey.core.names import verify_login, verify_mail_address, verify_name
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.lockout import ONLY_A_PERSON, FailureCount, InterfaceGroup
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.search_words import typed_words
from sparekey.storage.devices import devices
from sparekey.storage.people import accounts, domains
from sparekey.storage.people.accounts import Account, AccountChanges, NewAccount, account_of
from sparekey.storage.policies import policies
from sparekey.storage.search.plan import run
from sparekey.storage.search.queries import ListPage, Search
from sparekey.storage.search.users import ACCOUNT_ORDERS, accounts_found

LONGEST_NAME: Final = 128
MOST_AT_ONCE: Final = 200
_STATES: Final = ("", "enabled", "disabled", "locked")
NEVER: Final = 0  # in an edit: the account no longer expires


@dataclass(frozen=True)
class UserView:
    """The public data of an account.

    `locked`: a lock was set and no success followed; it may have ended. `locked_until`: the end of the lock, if it is
    one of a user with a role and ends automatically. The members of `console` are about the administrators' interfaces.
    """

    login: str
    name: str
    domain: str
    enabled: bool
    locked: bool
    failures: int
    mail: str = ""
    expires_at: int | None = None
    locked_until: int | None = None
    console_locked: bool = False
    console_failures: int = 0
    console_locked_until: int | None = None

    def is_locked(self, now: int) -> bool:
        """Return True if a lock has not ended, as far as it has an end of its own."""
        ends = [(self.locked, self.locked_until), (self.console_locked, self.console_locked_until)]
        return any(locked and (end is None or now < end) for locked, end in ends)

    @property
    def can_be_unlocked(self) -> bool:
        """True if there is a lock or a failure to clear."""
        return self.locked or self.console_locked or self.failures > 0 or self.console_failures > 0


@dataclass(frozen=True)
class UserSearch:
    """Filters of a user search, combined with AND. An empty value matches everything.

    `text`: beginnings of words of login, name or mail address. `domain`: this one and all below it. `state`: enabled,
    disabled or locked. `order`: login or name; a leading - reverses it.
    """

    text: str = ""
    domain: str = ""
    state: str = ""
    order: str = ""


@dataclass(frozen=True)
class UserEdit:
    """New values of a user; None keeps the old one.

    An empty mail address: no notices. `expires_at`: unix seconds, or NEVER.
    """

    name: str | None = None
    mail: str | None = None
    expires_at: int | None = None


def add_user(
    instance: Instance,
    actor: Actor,
    login: str,
    domain: str,
    name: str = "",
    mail: str = "",
    expires_at: int | None = None,
    *,
    now: int,
) -> str:
    """Add a user to a domain and return the id of the account. `expires_at` in unix seconds; None: never.

    Raises BadInput for wrong values, and Conflict if the login exists.
    """
    verify_login(login)
    verify_name(name or login, "user", LONGEST_NAME)
    if mail:
        verify_mail_address(mail)
    if expires_at is not None and expires_at <= now:
        raise BadInput(f"the expiry {utc(expires_at)} is in the past", "give an expiry in the future")
    account_id = new_id()
    with hidden_names_counted(instance, actor, now), instance.database.write() as connection:
        insert_user(connection, actor, account_id, login, domain, name, mail, expires_at, now=now)
    return account_id


def insert_user(
    connection: Connection,
    actor: Actor,
    account_id: str,
    login: str,
    domain: str,
    name: str = "",
    mail: str = "",
    expires_at: int | None = None,
    *,
    now: int,
) -> None:
    """Add a user as `add_user` does, in the caller's transaction. The caller has verified the values.

    Raises Conflict if the login exists.
    """
    domain_id = get_domain(connection, actor, domain, Permission.USER_ADD).id
    existing = accounts.find_account(connection, login)
    if existing is not None:
        raise name_taken(actor, existing.domain_id, f"a user {login!r} already exists", "choose another login name")
    accounts.insert_accounts(
        connection,
        [
            NewAccount(
                id=account_id,
                login=login,
                name=name or login,
                domain_id=domain_id,
                mail=mail,
                expires_at=expires_at,
                created_at=now,
            )
        ],
    )
    log(connection, now, actor, Action.USER_ADDED, account=account_id, login=login, domain=domain, expires=expires_at)


def list_users(instance: Instance, actor: Actor, limit: int = 100, after: str = "") -> list[UserView]:
    """Return the users by login, from the one after `after`."""
    within = verify_somewhere(actor, Permission.USER_VIEW)
    with instance.database.read() as connection:
        return [view_of(account) for account in accounts.list_accounts(connection, limit, after, within)]


def search_users(
    instance: Instance, actor: Actor, wanted: UserSearch, limit: int = 50, after: str = ""
) -> list[UserView]:
    """Return the users in the order of the search, from the one after `after`.

    Raises BadInput for an unknown state or order.
    """
    with instance.database.read() as connection:
        (rows,) = run(connection, searched(connection, actor, wanted, limit, after))
        return [view_of(account_of(row)) for row in rows]


def searched(connection: Connection, actor: Actor, wanted: UserSearch, limit: int, after: str = "") -> Search:
    """Return the search in the database. Raises BadInput as `search_users` does."""
    if wanted.state not in _STATES:
        raise BadInput(f"{wanted.state!r} is not a state of a user", f"give one of: {', '.join(_STATES[1:])}")
    page = ListPage(read_order(wanted.order, ACCOUNT_ORDERS, "users"), limit, after)
    words = typed_words(wanted.text)
    within = get_scope(connection, actor, wanted.domain, Permission.USER_VIEW)
    if wanted.text.strip() and not words:
        within = frozenset()  # no user's name is without letters
    return accounts_found(connection, words, wanted.state, within, page)


def show_user(instance: Instance, actor: Actor, login: str) -> UserView:
    with instance.database.read() as connection:
        return view_of(get_account(connection, actor, login, Permission.USER_VIEW))


def edit_user(instance: Instance, actor: Actor, login: str, edit: UserEdit, *, now: int) -> UserView:
    """Edit name, mail address or expiry. Another expiry renews the user's offline data.

    Raises BadInput for wrong values, or if there is no change.
    """
    if edit.name is not None:
        verify_name(edit.name, "user", LONGEST_NAME)
    if edit.mail:
        verify_mail_address(edit.mail)
    values = _values(edit)
    if not values:
        raise BadInput("no change was given", "give a name, a mail address or an expiry")
    with acting(instance) as connection:
        begin_changes(connection, actor)
        with one_remains(connection, now):
            account = get_account(connection, actor, login, Permission.USER_EDIT)
            count_changes(connection, actor, 1, now)
            accounts.lock_accounts(connection, [account.id])
            if values.get("mail", account.mail) != account.mail:
                # To the old address, before it is gone, so that the user learns who gets the notices now.
                notify_user(connection, now, account.id, Notice.ADDRESS_CHANGED)
            prolonged = _works_again(account, values, now)
            if prolonged:
                asked = act_on_account(connection, OperatorAct.USER_PROLONGED, account.id)
                verify_second_person(connection, actor, account, asked, now=now)
                notify_user(connection, now, account.id, Notice.ACCOUNT_ENABLED)
            accounts.update_account(connection, account.id, **values)
        if values.get("expires_at", account.expires_at) != account.expires_at:
            devices.raise_generation(connection, account.id)
        _log_change(connection, actor, account.id, values, now, prolonged=prolonged)
        return view_of(_get(connection, login))


def set_enabled(instance: Instance, actor: Actor, login: str, *, enabled: bool, now: int) -> None:
    """Enable or disable a user.

    A disabled user is refused everywhere, and each device erases the user's data at its next contact. All sessions end,
    so that none continues after the user is enabled again.
    """
    set_enabled_at_once(instance, actor, [login], enabled=enabled, now=now)


def set_enabled_at_once(
    instance: Instance, actor: Actor, logins: Collection[str], *, enabled: bool, now: int
) -> list[str]:
    """Enable or disable several users: all of them, or none if one is refused.

    Return the logins of those that changed.
    """
    action = Action.USER_ENABLED if enabled else Action.USER_DISABLED
    with acting(instance) as connection:
        begin_changes(connection, actor)
        with one_remains(connection, now):
            found = _get_several(connection, actor, logins, Permission.USER_EDIT)
            for account in found:
                if enabled and not account.enabled:
                    asked = act_on_account(connection, OperatorAct.USER_ENABLED, account.id)
                    verify_second_person(connection, actor, account, asked, now=now)
            changed = [account for account in found if accounts.set_enabled(connection, account.id, enabled=enabled)]
        count_changes(connection, actor, len(changed), now)
        for account in changed:
            if enabled:
                notify_user(connection, now, account.id, Notice.ACCOUNT_ENABLED)
            else:
                end_sessions(connection, actor, account.id, "the user was disabled", now)
            log(connection, now, actor, action, account=account.id)
    return [account.login for account in changed]


def unlock(instance: Instance, actor: Actor, login: str, *, now: int) -> bool:
    """Clear locks and failures at all interfaces. Return False if there were none; then no event is logged."""
    return bool(unlock_at_once(instance, actor, [login], now=now))


def unlock_at_once(instance: Instance, actor: Actor, logins: Collection[str], *, now: int) -> list[str]:
    """Unlock several users: all of them, or none if one is refused. Return the logins of those that changed."""
    with acting(instance) as connection:
        found = _get_several(connection, actor, logins, Permission.USER_UNLOCK)
        for account in found:
            if account.locked_at is not None or account.failures:
                verify_second_person(connection, actor, account, AskedAct(OperatorAct.USER_UNLOCKED), now=now)
        cleared = [(account, accounts.unlock(connection, account.id)) for account in found]
        unlocked = [(account, version) for account, version in cleared if version is not None]
        for account, version in unlocked:
            notify_user(connection, now, account.id, Notice.ACCOUNT_UNLOCKED)
            log(connection, now, actor, Action.ACCOUNT_UNLOCKED, account=account.id, counts_version=version)
    return [account.login for account, _ in unlocked]


def move_user(instance: Instance, actor: Actor, login: str, domain: str, *, now: int) -> None:
    """Move a user to another domain, whose policies apply at once. The user's offline data are renewed.

    Online emergency codes that the user made themselves end if the new token policy does not allow them.
    """
    with acting(instance) as connection:
        policies.hold_policies(connection, PolicyKind.TOKEN)
        begin_changes(connection, actor)
        account = get_account(connection, actor, login, Permission.USER_MOVE)
        domain_id = get_domain(connection, actor, domain, Permission.USER_MOVE).id
        verify_no_gain(connection, actor, account.domain_id, domain_id)
        accounts.lock_accounts(connection, [account.id])
        if account.domain_id == domain_id:
            return
        count_changes(connection, actor, 1, now)
        verify_lifts(connection, actor, account, domain_id, domain, now)
        before = domains.get_name(connection, account.domain_id)
        accounts.set_domain(connection, account.id, domain_id)
        devices.raise_generation(connection, account.id)
        if not policy_in(connection, domain_id, TokenPolicy).own_emergency_days:
            end_own_access(connection, actor, account.id, "policy leaves it to the help desk", now)
        log(connection, now, actor, Action.USER_MOVED, account=account.id, domain=domain, before=before)


def _log_change(
    connection: Connection, actor: Actor, account_id: str, values: AccountChanges, now: int, *, prolonged: bool
) -> None:
    changed = tuple(sorted(values))
    if "expires_at" in values:
        expires = values["expires_at"]
        log(
            connection,
            now,
            actor,
            Action.USER_CHANGED,
            account=account_id,
            changed=changed,
            expires=expires,
            prolonged=prolonged,
        )
    else:
        log(connection, now, actor, Action.USER_CHANGED, account=account_id, changed=changed)


def _works_again(account: Account, values: AccountChanges, now: int) -> bool:
    """Return True if the edit gives an expired account a later end, or none."""
    if "expires_at" not in values or account.expires_at is None or now < account.expires_at:
        return False
    end = values["expires_at"]
    return end is None or end > now


def _values(edit: UserEdit) -> AccountChanges:
    values: AccountChanges = {}
    if edit.name is not None:
        values["name"] = edit.name
    if edit.mail is not None:
        values["mail"] = edit.mail
    if edit.expires_at is not None:
        values["expires_at"] = edit.expires_at if edit.expires_at != NEVER else None
    return values


def _get_several(connection: Connection, actor: Actor, logins: Collection[str], needed: Permission) -> list[Account]:
    """Return the accounts by login, locked.

    Raises for the first one that is refused, naming it if there are several.
    """
    if len(logins) > MOST_AT_ONCE:
        raise BadInput(f"more than {MOST_AT_ONCE} users are selected", "select fewer")
    found = []
    for login in sorted(set(logins)):
        try:
            found.append(get_account(connection, actor, login, needed))
        except NotAllowed as error:
            raise NotAllowed(f"{login}: {error.message}", error.do) if len(logins) > 1 else error from None
    accounts.lock_accounts(connection, [account.id for account in found])
    return found


def view_of(account: Account) -> UserView:
    """Return the public data of an account."""
    return UserView(
        account.login,
        account.name,
        account.domain,
        account.enabled,
        account.locked_at is not None,
        account.failures,
        account.mail,
        account.expires_at,
        _own_end(account.count_at(InterfaceGroup.ELSEWHERE)),
        account.admin_locked_at is not None,
        account.admin_failures,
        _own_end(account.count_at(InterfaceGroup.ADMINISTRATORS)),
    )


def _own_end(count: FailureCount) -> int | None:
    until = count.locked_until
    return until if until is not None and until < ONLY_A_PERSON else None


def _get(connection: Connection, login: str) -> Account:
    account = accounts.find_account(connection, login)
    if account is None:
        raise LookupError("a user vanished inside the transaction")
    return account
