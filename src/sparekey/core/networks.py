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


def source_of(address: str) -> str:
    """Return the source of a request from this address: the IPv4 address, or the IPv6 network of 64 bits.

    One client may use every address of such a network. A text that is not an address is a source of its own.
    """
    try:
        caller = ipaddress.ip_address(address)
    except ValueError:
        return address
    caller = getattr(caller, "ipv4_mapped", None) or caller  # as in `is_within`
    return str(caller) if caller.version == 4 else str(ipaddress.ip_network((caller.packed, 64), strict=False))


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Return True if one of the networks contains the address. A text that is not an address is in no network."""
    try:
        caller = ipaddress.ip_address(address)
    except ValueError:
        return False
    # A socket for both versions reports IPv4 callers as ::ffff:192.0.2.7.
    caller = getattr(caller, "ipv4_mapped", None) or caller
    return any(caller in ipaddress.ip_network(network, strict=False) for network in networks)
