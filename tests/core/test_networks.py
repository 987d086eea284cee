"""IP addresses: the source of a request, and the networks that contain it."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.core.networks import SourcePrefixes, is_within

SOURCES = SourcePrefixes()


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_network_of_64_bits_is_one_source(address: object, host: int) -> None:
    base = int(IPv6Address(str(address)))
    other = IPv6Address((base >> 64 << 64) + host)
    mapped = (IPv6Address(base).ipv4_mapped, other.ipv4_mapped)
    assert mapped != (None, None) or SOURCES.source_of(str(address)) == SOURCES.source_of(str(other))


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),  # IPv4 at a socket for both versions
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", None),
        ("unix", None),
    ],
)
def test_a_source_is_the_network_of_an_address(address: str, source: str | None) -> None:
    assert SOURCES.source_of(address) == source


def test_a_source_can_be_a_larger_network_or_one_address() -> None:
    assert SourcePrefixes(24, 48).source_of("::ffff:192.0.2.7") == "192.0.2.0/24"
    assert SourcePrefixes(24, 48).source_of("2001:db8:1:2::7") == "2001:db8:1::/48"
    assert SourcePrefixes(32, 128).source_of("2001:db8:1:2::7") == "2001:db8:1:2::7"


@pytest.mark.parametrize(
    ("address", "within"),
    [("192.0.2.7", True), ("::ffff:192.0.2.7", True), ("192.0.3.7", False), ("fe80::1%eth0", True), ("unix", False)],
)
def test_a_network_contains_an_address(address: str, within: bool) -> None:
    assert is_within(address, ["192.0.2.0/24", "fe80::/10"]) is within
