"""IP addresses, and the networks that contain them."""

import ipaddress
from collections.abc import Iterable


def is_network(text: str) -> bool:
    """Return True for an address or a network, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Return True if one of the networks contains the address. A text that is not an address is in no network."""
    try:
        caller = ipaddress.ip_address(address)
    except ValueError:
        return False
    # A socket for both versions reports IPv4 callers as ::ffff:192.0.2.7.
    caller = getattr(caller, "ipv4_mapped", None) or caller
    return any(caller in ipaddress.ip_network(network, strict=False) for network in networks)
