"""The origins of the consoles in browsers: from the settings alone, never from a header of a request.

Rules:
- With TLS, each name of the server at its listening port, and the setting `origins` (a forwarded port).
- Without TLS, the setting `origins`. If it is empty, a proxy is expected at `https://` and each name of the server.
- `http` only without TLS, and only for `localhost`: other names are never safe without it.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from sparekey.server.settings import Settings

LOCAL: Final = "localhost"  # the only name for which browsers allow passkeys without TLS
_PORTS: Final = {"https": 443, "http": 80}


def expected_origins(settings: Settings, hosts: Iterable[str]) -> tuple[str, ...]:
    """Return the origins that belong to this server, without duplicates. `hosts`: its names and addresses."""
    port, names = settings.address[1], [host.lower() for host in sorted(hosts) if is_name(host)]
    if settings.tls == "off":
        behind_proxy = settings.origins or [origin_of("https", name, 443) for name in names]
        found = [*behind_proxy, origin_of("http", LOCAL, port)]
    else:
        found = [*settings.origins, *(origin_of("https", name, port) for name in names)]
    return tuple(dict.fromkeys(found))


def origin_of(scheme: str, name: str, port: int) -> str:
    """Return the origin as browsers write it: without the usual port."""
    return f"{scheme}://{name}" if port == _PORTS[scheme] else f"{scheme}://{name}:{port}"


def port_of(scheme: str, port: int | None) -> int:
    """Return the port, or the usual one of the scheme."""
    return _PORTS[scheme] if port is None else port


def names_of(origins: Iterable[str]) -> frozenset[str]:
    """Return the names in these origins."""
    return frozenset(urlsplit(origin).hostname or "" for origin in origins)


def is_name(host: str) -> bool:
    """Return True for a name, False for an IP address."""
    try:
        ip_address(host)
    except ValueError:
        return True
    return False
