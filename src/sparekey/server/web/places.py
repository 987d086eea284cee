"""The place of a passkey: the one name of the server that passkeys are bound to, and its origins."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from sparekey.core.sign_in.passkeys import RelyingParty

_LOCAL: Final = "localhost"  # the only name for which browsers allow passkeys without TLS


def place_of(host: str) -> RelyingParty | None:
    """Return the place of a host, with the port if it is unusual; None for an IP address."""
    name = urlsplit(f"//{host}").hostname
    if not name:
        return None
    try:
        ip_address(name)
    except ValueError:
        return RelyingParty(name, (f"https://{host}", f"http://{host}") if name == _LOCAL else (f"https://{host}",))
    return None
