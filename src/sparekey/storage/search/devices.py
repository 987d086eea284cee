"""Searches of devices, by the beginning of their name."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from sparekey.storage.search import limits
from sparekey.storage.search.narrowing import (
    belonging_to,
    go_on_after,
    in_state,
    in_this_order,
    lists_of,
    starting_with,
    up_to,
    with_domain,
)
from sparekey.storage.search.queries import Domains, Key, Listing, ListPage, RowState, Search
from sparekey.storage.tables import NEVER, device

_LAST_CONTACT: Final = Key("last_contact", NEVER)

# The orders in which devices can be listed, the list's own order first.
_ORDERS: Final[Mapping[str, Listing]] = {
    "name": Listing(device, "id", (Key("name_key"), Key("id")), with_domain),
    "contact": Listing(device, "id", (_LAST_CONTACT, Key("id")), with_domain, own=False),
}
DEVICE_ORDERS: Final = tuple(_ORDERS)

# A state has an index of its own if few devices are in it.
_STATES: Final[Mapping[str, RowState]] = {
    "active": RowState(lambda columns: columns.revoked_at.is_(None)),
    "revoked": RowState(lambda columns: columns.revoked_at + 0 >= 0, "device.revoked_at IS NOT NULL"),
    "silent": RowState(lambda columns: columns.revoked_at.is_(None)),
}


def devices_found(
    connection: Connection, name_start: str, state: str, domains: Domains, page: ListPage, silent_since: int
) -> Search:
    """Return the search for the devices whose folded name begins so.

    `state`: "active", "revoked", "silent" (active, and last seen at `silent_since` or before), or "" for any.
    `domains`: ids. A page is sorted by "name" or by last "contact", where devices that were never seen come first; its
    key is an id. Each row comes with the name of its `domain`.
    """
    listing = in_this_order(_ORDERS, page.order)
    lists = None if state == "revoked" or not listing.own else lists_of(domains, limits.LISTS_AT_ONCE)
    search = Search(listing, page.limit, lists=lists)
    in_state(search, _STATES.get(state))
    if page.after:
        go_on_after(connection, search, device.c.id == page.after, domains)
    if state == "silent":
        up_to(search, "silent", _LAST_CONTACT, silent_since)
    belonging_to(search, domains)
    return starting_with(search, "name_key", name_start) if name_start else search
