"""The names and networks for which the server's own CA may issue certificates: written into it, critical (RFC 5280).

A browser or computer that trusts this CA trusts it for these names only. An attacker with its key cannot impersonate
any other site.

Rules:
- The scope is fixed when the CA is made, so it has room for later servers: the domain above each name of the server,
  and the network around each address.
- A domain that many organisations share is not taken for the server's own: `co.uk` above `example.co.uk`.
- This machine itself (`localhost`) is always within.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

from cryptography import x509

Network = IPv4Network | IPv6Network

_ALWAYS: Final = ("localhost", "127.0.0.1", "::1")
_PRIVATE: Final = tuple(
    ip_network(each)
    for each in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
_BITS: Final = {4: 24, 6: 48}  # of the network around a public address: what one organisation usually has
_SHARED: Final = frozenset(
    {"ac", "co", "com", "edu", "gob", "gov", "gv", "ltd", "net", "ne", "nom", "or", "org", "sch"}
)


@dataclass(frozen=True)
class CaScope:
    """Domains, each with all names below it, and networks."""

    domains: tuple[str, ...]
    networks: tuple[Network, ...]

    @classmethod
    def around(cls, names: Iterable[str], more: Iterable[str] = ()) -> Self:
        """Return the scope with room around these names and addresses. `more`: domains and networks as they are."""
        domains, networks = set[str](), set[Network]()
        for name in (*_ALWAYS, *names):
            address = _address(name)
            if address is None:
                domains.add(_domain_around(name.lower()))
            else:
                networks.add(_network_around(address))
        for each in more:
            network = _network(each)
            if network is None:
                domains.add(each.lower())
            else:
                networks.add(network)
        return cls(tuple(sorted(domains)), tuple(sorted(networks, key=lambda each: (each.version, str(each)))))

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self | None:
        """Return the scope of a CA; None if it has none, so that it may issue certificates for all names."""
        try:
            found = certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
        except x509.ExtensionNotFound:
            return None
        return cls(
            tuple(each.value for each in found if isinstance(each, x509.DNSName)),
            tuple(
                each.value
                for each in found
                if isinstance(each, x509.IPAddress) and isinstance(each.value, IPv4Network | IPv6Network)
            ),
        )

    def covers(self, name: str) -> bool:
        """Return True if the CA may issue a certificate for this name or address."""
        address = _address(name)
        if address is not None:
            return any(address in network for network in self.networks if network.version == address.version)
        return any(f".{name.lower()}".endswith(f".{domain}") for domain in self.domains)

    @property
    def constraints(self) -> x509.NameConstraints:
        """Return the scope as an extension of a certificate."""
        domains = [x509.DNSName(domain) for domain in self.domains]
        return x509.NameConstraints([*domains, *(x509.IPAddress(each) for each in self.networks)], None)

    def __str__(self) -> str:
        return ", ".join((*self.domains, *map(str, self.networks)))


def is_domain_or_network(text: str) -> bool:
    """Return True if the text names a domain or a network, as `more` of `CaScope.around` takes them."""
    labels = text.split(".")
    return _network(text) is not None or all(
        0 < len(label) <= 63 and label.isascii() and label.replace("-", "a").isalnum() for label in labels
    )


def _domain_around(name: str) -> str:
    """Return the domain above a name, or the name itself if that domain is a top one or shared by many."""
    _, _, above = name.partition(".")
    labels = above.split(".")
    is_shared = len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SHARED
    return name if len(labels) < 2 or is_shared else above


def _network_around(address: IPv4Address | IPv6Address) -> Network:
    for network in _PRIVATE:
        if address.version == network.version and address in network:
            return network
    return ip_network(f"{address}/{_BITS[address.version]}", strict=False)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _network(text: str) -> Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None
