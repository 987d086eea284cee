"""The source of a request: the network of its address, since one host can have a whole /64 of IPv6 addresses. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from sparekey.core.networks import is_within

_PREFIX: Final = "source "  # no name of a device, client or user begins so
UNKNOWN: Final = f"{_PREFIX}unknown"


def source_of(address: str, ipv4_prefix: int = 32, ipv6_prefix: int = 64) -> str:
    """Return the source of an address, such as `source 192.0.2.7/32`. Addresses that cannot be read are one source."""
    parsed = _parsed(address)
    if parsed is None:
        return UNKNOWN
    prefix = ipv4_prefix if isinstance(parsed, IPv4Address) else ipv6_prefix
    return f"{_PREFIX}{ip_network((parsed, prefix), strict=False)}"


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
        parsed = _parsed(_without_port(entries.pop()))
        if parsed is None:
            break
        client = str(parsed)
    return client


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])  # without the zone of a link-local address
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed
