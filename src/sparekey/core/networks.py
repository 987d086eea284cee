"""From where somebody may ask: addresses and the networks that hold them."""

import ipaddress
from collections.abc import Iterable


def is_network(text: str) -> bool:
    """Whether this is an address or a network, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether one of the networks holds the address; what is no address is in none."""
    try:
        caller = ipaddress.ip_address(address)
    except ValueError:
        return False
    # A socket that takes both versions gives IPv4 callers as ::ffff:192.0.2.7.
    caller = getattr(caller, "ipv4_mapped", None) or caller
    return any(caller in ipaddress.ip_network(network, strict=False) for network in networks)
