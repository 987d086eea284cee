"""Searches of users, by the beginnings of words of their login, name and mail address."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, func

from sparekey.storage.search import limits
from sparekey.storage.search.narrowing import (
    belonging_to,
    go_on_after,
    has_word,
    in_state,
    in_this_order,
    lists_of,
    logins_with_word,
    longest_first,
    users_with_word,
    with_domain,
)
from sparekey.storage.search.queries import Condition, Domains, Key, Listing, ListPage, RowState, Search
from sparekey.storage.tables import account

# The orders in which users can be listed, the list's own order first.
_ORDERS: Final[Mapping[str, Listing]] = {
    "login": Listing(account, "login", (Key("login"),), with_domain),
    "name": Listing(account, "login", (Key("name_key"), Key("login")), with_domain, own=False),
}
ACCOUNT_ORDERS: Final = tuple(_ORDERS)

# A state has an index of its own if few users are in it.
_STATES: Final[Mapping[str, RowState]] = {
    "enabled": RowState(lambda columns: columns.enabled.is_(True)),
    "disabled": RowState(lambda columns: func.coalesce(columns.enabled, True).is_(False), "NOT account.enabled"),
    "locked": RowState(
        lambda columns: func.coalesce(columns.locked_at, columns.admin_locked_at) + 0 >= 0,
        "account.locked_at IS NOT NULL OR account.admin_locked_at IS NOT NULL",
    ),
}


def accounts_found(
    connection: Connection, words: Sequence[str], state: str, domains: Domains, page: ListPage
) -> Search:
    """Return the search for the accounts that have all these words.

    `words`: beginnings of words. `state`: "enabled", "disabled", "locked", or "" for any. `domains`: ids. A page is
    sorted by "login" or "name", and its key is a login. Each row comes with the name of its `domain`.
    """
    listing = in_this_order(_ORDERS, page.order)
    most = limits.LISTS_WITH_WORDS if words else limits.LISTS_AT_ONCE
    lists = None if state in ("disabled", "locked") or not listing.own else lists_of(domains, most)
    search = Search(listing, page.limit, lists=lists)
    if page.after and listing.own:
        search.bounds.append(listing.beyond(page.after))
    elif page.after:
        go_on_after(connection, search, account.c.login == page.after, domains)
    search.conditions.extend(_word(word, in_order=listing.own) for word in longest_first(words))
    in_state(search, _STATES.get(state))
    belonging_to(search, domains)
    return search


def _word(beginning: str, *, in_order: bool) -> Condition:
    """Return the condition of one word. `in_order`: the list is in order of login, as the index of words is."""
    return Condition(
        f"word {beginning}",
        logins_with_word(beginning),
        limits.FEW_WORDS if in_order else limits.FEW_WORDS // 2,
        users_with_word(beginning),
        lambda columns: has_word(columns, beginning),
        in_order,
    )
