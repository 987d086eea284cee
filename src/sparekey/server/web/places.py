"""Where a page is, as passkeys are bound to it: to one name of the server, and to the origins that the name has."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from sparekey.core.sign_in.passkeys import Place

_LOCAL: Final = "localhost"  # the one name for which browsers take a page without TLS for a safe one


def place_of(host: str) -> Place | None:
    """`host`: as the browser named it, with the port if that is no usual one. None: an address, which is no name."""
    name = urlsplit(f"//{host}").hostname
    if not name:
        return None
    try:
        ip_address(name)
    except ValueError:
        return Place(name, (f"https://{host}", f"http://{host}") if name == _LOCAL else (f"https://{host}",))
    return None
