"""The place of a passkey: the one name of the server that passkeys are bound to, and its origins."""

from collections.abc import Collection
from urllib.parse import urlsplit

from sparekey.core.sign_in.passkeys import RelyingParty
from sparekey.server.origins import is_name, port_of


def place_of(host: str, origins: Collection[str]) -> RelyingParty | None:
    """Return the place at this host (with the port, if it is unusual); None if passkeys do not work there.

    `origins`: those of the server's settings. The host of a request, which anyone can write, only selects among them.
    """
    try:
        here = urlsplit(f"//{host}")
        name, port = here.hostname, here.port
    except ValueError:  # no address
        return None
    if not name or not is_name(name):
        return None
    of_name = [parts for parts in map(urlsplit, origins) if parts.hostname == name]
    if not any(port_of(each.scheme, each.port) == port_of(each.scheme, port) for each in of_name):
        return None
    return RelyingParty(name, tuple(each.geturl() for each in of_name))
