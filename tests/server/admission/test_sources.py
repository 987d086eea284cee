"""The source of a request, also behind proxies that we trust."""

import pytest

from sparekey.core.networks import SourcePrefixes
from sparekey.server.admission.sources import UNKNOWN, client_address, source_of


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "source 192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "source 2001:db8:1:2::/64"),
        ("", UNKNOWN),
        ("no address", UNKNOWN),
    ],
)
def test_s46_a_source_is_the_network_of_an_address(address: str, source: str) -> None:
    assert source_of(address, SourcePrefixes()) == source


def test_the_prefixes_can_be_set() -> None:
    assert source_of("192.0.2.7", SourcePrefixes(24)) == "source 192.0.2.0/24"
    assert source_of("2001:db8:1:2::7", SourcePrefixes(24, 48)) == "source 2001:db8:1::/48"


PROXIES = ("10.0.0.0/8", "2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["203.0.113.9, 192.0.2.7"], "192.0.2.7"),  # the client wrote the first one itself
        ("10.0.0.1", ["203.0.113.9", "192.0.2.7, 10.0.0.2"], "192.0.2.7"),  # two proxies of ours, two headers
        ("10.0.0.1", ["192.0.2.7:4711"], "192.0.2.7"),
        ("10.0.0.1", ["[2001:db9::7]:4711"], "2001:db9::7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7, "], "10.0.0.1"),
        ("192.0.2.8", ["203.0.113.9"], "192.0.2.8"),  # no proxy of ours
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),  # a client within our own networks
    ],
)
def test_s46_only_a_trusted_proxy_names_the_client(peer: str, forwarded: list[str], client: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


def test_without_trusted_proxies_the_header_means_nothing() -> None:
    assert client_address("10.0.0.1", ["192.0.2.7"], ()) == "10.0.0.1"
