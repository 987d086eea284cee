"""IP addresses, and the networks that contain them."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


@dataclass(frozen=True)
class SourcePrefixes:
    """The bits of an address that make one source of requests: one host can have a whole /64 of IPv6 addresses."""

    ipv4: int = 32
    ipv6: int = 64

    def source_of(self, address: str) -> str | None:
        """Return the source of an address, such as 192.0.2.7 or 2001:db8:1:2::/64. None: the text is not an address."""
        found = find_address(address)
        if found is None:
            return None
        prefix = self.ipv4 if isinstance(found, IPv4Address) else self.ipv6
        return str(found) if prefix == found.max_prefixlen else str(ip_network((found, prefix), strict=False))


def is_network(text: str) -> bool:
    """Return True for an address or a network, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Return True if one of the networks contains the address. A text that is not an address is in no network."""
    caller = find_address(address)
    return caller is not None and any(caller in ip_network(network, strict=False) for network in networks)


def find_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address of a host, without the zone of a link-local one. None: the text is not an address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A socket for both versions reports IPv4 callers as ::ffff:192.0.2.7.
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
