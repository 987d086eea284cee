"""The party of a request that has not proved its identity: the source of its address. Pure."""

from collections.abc import Sequence
from typing import Final

from sparekey.core.networks import SourcePrefixes, find_address, is_within

_PREFIX: Final = "source "  # no name of a device, client or user begins so
UNKNOWN: Final = f"{_PREFIX}unknown"


def source_of(address: str, prefixes: SourcePrefixes) -> str:
    """Return the source of an address, such as `source 192.0.2.7`. Addresses that cannot be read are one source."""
    source = prefixes.source_of(address)
    return UNKNOWN if source is None else f"{_PREFIX}{source}"


def is_source(party: str) -> bool:
    """Return True if the party has not proved its identity: it is a source."""
    return party.startswith(_PREFIX)


def client_address(peer: str, forwarded: Sequence[str], trusted: Sequence[str]) -> str:
    """Return the address of the client behind trusted proxies.

    `peer`: the address of the connection; `forwarded`: the values of X-Forwarded-For, in order; `trusted`: the networks
    of our proxies. Each proxy appends the address from which it was asked, so the list is read from its end, and only
    as long as a trusted proxy wrote the entry: a client can write any beginning.
    """
    entries = [entry.strip() for value in forwarded for entry in value.split(",")]
    client = peer
    while entries and trusted and is_within(client, trusted):
        parsed = find_address(_without_port(entries.pop()))
        if parsed is None:
            break
        client = str(parsed)
    return client


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
