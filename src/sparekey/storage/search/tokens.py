"""Searches of tokens, by serial number or by the words of their users."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from sqlalchemy import ColumnElement, Connection, FromClause, func, select, union_all

from sparekey.core.search_words import serial_key
from sparekey.storage.rows import AnySelect
from sparekey.storage.search import limits
from sparekey.storage.search.narrowing import (
    among,
    go_on_after,
    has_word,
    in_state,
    in_this_order,
    is_in,
    logins_with_word,
    longest_first,
    starting_with,
    up_to,
    users_with_word,
)
from sparekey.storage.search.queries import Condition, Domains, Key, Listing, ListPage, RowState, Search
from sparekey.storage.tables import NO_END, account, security_domain, token


def _with_user(part: FromClause, *, if_any: bool = True) -> AnySelect:
    """Select tokens with the login of their user and the name of their domain; `if_any`: unassigned tokens, too."""
    domain_id = func.coalesce(account.c.domain_id, part.c.domain_id)
    return (
        select(
            part, account.c.login, account.c.domain_id.label("user_domain_id"), security_domain.c.name.label("domain")
        )
        .join(account, part.c.account_id == account.c.id, isouter=if_any)
        .outerjoin(security_domain, security_domain.c.id == domain_id)
    )


_EXPIRY: Final = Key("expires_at", NO_END)

# The orders in which tokens can be listed, the list's own order first.
_ORDERS: Final[Mapping[str, Listing]] = {
    "serial": Listing(token, "id", (Key("serial_key"), Key("serial")), _with_user),
    "expiry": Listing(token, "id", (_EXPIRY, Key("serial_key"), Key("serial")), _with_user, own=False),
}
TOKEN_ORDERS: Final = tuple(_ORDERS)

# A state has an index of its own if few tokens are in it.
_STATES: Final[Mapping[str, RowState]] = {
    "assigned": RowState(
        lambda columns: func.coalesce(columns.account_id, "") != "", "token.account_id > ''", in_order=False
    ),
    "unassigned": RowState(lambda columns: func.coalesce(columns.account_id, "") == "", "token.account_id IS NULL"),
    "disabled": RowState(lambda columns: func.coalesce(columns.enabled, True).is_(False), "NOT token.enabled"),
    "lost": RowState(lambda columns: func.coalesce(columns.lost, False).is_(True), "token.lost"),
}


def tokens_found(connection: Connection, state: str, kind: str, domains: Domains, page: ListPage, now: int) -> Search:
    """Return the search for the tokens in this state and of this type; "" for any.

    `state`: "assigned", "unassigned", "disabled", "lost" or "expired". `domains`: ids. A page is sorted by "serial"
    without case, or by "expiry", where tokens without an end come last; its key is a serial. Each row comes with the
    `login` of its user and the name of its `domain`.
    """
    listing = in_this_order(_ORDERS, page.order)
    search = Search(listing, page.limit)
    in_state(search, _STATES.get(state))
    if page.after and listing.own:
        search.bounds.append(listing.beyond(serial_key(page.after), page.after))
    elif page.after:
        go_on_after(connection, search, token.c.serial == page.after, domains)
    if kind:
        _of_kind(search, kind)
    if state == "expired":
        up_to(search, "expired", _EXPIRY, now)
    if domains is not None:
        search.conditions.append(_belonging_to(domains))
    return search


def by_serial(search: Search, beginning: str) -> Search:
    """Keep the tokens whose serial begins so."""
    return starting_with(search, "serial_key", serial_key(beginning))


def by_user(search: Search, words: Sequence[str], domains: Domains) -> Search:
    """Keep the tokens whose users have all these words, and are in these domains."""
    with_words = [_word_of_user(word) for word in longest_first(words)]
    known = [] if domains is None else [_of_users_in(domains)]
    # an inner join, so that users may lead to their tokens
    listing = replace(search.listing, shown=partial(_with_user, if_any=False))
    return Search(listing, search.limit, search.bounds, [*with_words, *known, *search.conditions])


def _of_kind(search: Search, kind: str) -> None:
    if search.listing.own:
        search.bounds.append(lambda columns: columns.type == kind)
        return
    counted = select(token.c.id).where(token.c.type == kind)
    search.conditions.append(
        Condition(
            "kind",
            counted,
            limits.FEW,
            lambda _: token.c.type == kind,
            lambda columns: func.coalesce(columns.type, "") == kind,
        )
    )


def _word_of_user(beginning: str) -> Condition:
    return Condition(
        f"user {beginning}",
        logins_with_word(beginning),
        limits.FEW,
        users_with_word(beginning),
        lambda _: has_word(account.c, beginning),
    )


def _of_users_in(domains: frozenset[str]) -> Condition:
    return Condition(
        "known users",
        select(account.c.id).where(account.c.domain_id.in_(domains)),
        limits.FEW,
        lambda _: account.c.domain_id.in_(domains),
        lambda _: is_in(domains, account.c.domain_id),
    )


def _belonging_to(domains: frozenset[str]) -> Condition:
    """A token belongs to the domain of its user; an unassigned token, to its own domain."""
    users = select(account.c.id).where(account.c.domain_id.in_(domains))
    unassigned = select(token.c.id).where(token.c.account_id.is_(None), token.c.domain_id.in_(domains))
    counted = union_all(users, unassigned).subquery()

    def leads(connection: Connection) -> ColumnElement[bool]:
        owned = select(token.c.id).where(among(connection, token.c.account_id, users))
        return among(connection, token.c.id, select(union_all(owned, unassigned).subquery().c.id))

    return Condition(
        "tokens in",
        select(counted.c.id),
        limits.FEW,
        leads,
        lambda columns: is_in(domains, account.c.domain_id, columns.domain_id),
    )
