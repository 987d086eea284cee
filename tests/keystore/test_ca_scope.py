"""The server's own CA: its key certifies names in its scope, and nothing else."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sparekey.app.ports import KeystoreError
from sparekey.clock import now as clock_now
from sparekey.keystore.ca_scope import CaScope, is_domain_or_network
from sparekey.keystore.local_ca import (
    CA_FILE,
    CA_KEY_FILE,
    SERVER_FILE,
    create_ca,
    read_scope,
    renew_server_certificate,
    verify_scope,
)

HOSTS = ("login.example.org", "10.1.2.3")
ALWAYS = "localhost", "127.0.0.0/8", "::1/128"


@pytest.mark.parametrize(
    ("names", "scope"),
    [
        ((), ""),
        (("login.example.org",), "example.org"),
        (("LOGIN.corp.Example.org", "vpn.corp.example.org"), "corp.example.org"),
        (("example.org",), "example.org"),
        (("example.co.uk",), "example.co.uk"),
        (("login.example.co.uk",), "example.co.uk"),
        (("server1",), "server1"),
        (("192.168.7.8", "10.1.2.3"), "10.0.0.0/8 192.168.0.0/16"),
        (("198.51.100.7",), "198.51.100.0/24"),
        (("2001:db8:1:2::3", "fd00::1"), "2001:db8:1::/48 fc00::/7"),
    ],
)
def test_the_scope_has_room_for_later_servers(names: tuple[str, ...], scope: str) -> None:
    made = CaScope.around(names)
    assert set(map(str, (*made.domains, *made.networks))) == {*ALWAYS, *scope.split()}
    assert all(made.covers(name) for name in (*names, "localhost", "127.0.0.1", "::1"))


def test_domains_and_networks_can_be_added() -> None:
    made = CaScope.around((), ["example.net", "203.0.113.0/24", "2001:db8::/32"])
    assert all(made.covers(name) for name in ("example.net", "a.example.net", "203.0.113.9", "2001:db8:ffff::1"))
    assert not any(made.covers(name) for name in ("badexample.net", "example.org", "203.0.112.9", "2001:db9::1"))


@pytest.mark.parametrize("text", ["", ".", "example.", "a b", "10.0.0.1/8", "10.0.0.0/33", "*.example.org", "x/y"])
def test_no_other_text_is_a_domain_or_a_network(text: str) -> None:
    assert not is_domain_or_network(text)


def a_certificate(directory: Path, names: tuple[str, ...], purposes: list[x509.ObjectIdentifier]) -> Path:
    """Return a chain that an attacker made with the CA's key: key and certificate."""
    ca = x509.load_pem_x509_certificate((directory / CA_FILE).read_bytes())
    ca_key = serialization.load_pem_private_key((directory / CA_KEY_FILE).read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key, start = ec.generate_private_key(ec.SECP256R1()), datetime.fromtimestamp(clock_now(), UTC)
    alternatives = [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anything")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    path = directory / "attacker.pem"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()) + made.public_bytes(pem))
    return path


@contextmanager
def a_site(chain: Path) -> Iterator[socket.socket]:
    """Yield a connection to a TLS server with this certificate; it answers one handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    ours, theirs = socket.socketpair()

    def answer() -> None:
        try:
            context.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        ours.settimeout(30)
        yield ours
    finally:
        ours.close()
        thread.join(30)


def is_trusted(ca: Path, chain: Path, name: str) -> bool:
    """Return True if a program that trusts the CA takes the server with this certificate for `name`."""
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with a_site(chain) as connection:
        try:
            context.wrap_socket(connection, server_hostname=name).close()
        except ssl.SSLCertVerificationError:
            return False
    return True


def a_ca(directory: Path) -> Path:
    create_ca(directory, "test", clock_now(), CaScope.around(HOSTS))
    renew_server_certificate(directory, HOSTS, clock_now())
    return directory / CA_FILE


def test_the_server_and_later_ones_are_trusted(tmp_path: Path) -> None:
    ca, server_auth = a_ca(tmp_path), [ExtendedKeyUsageOID.SERVER_AUTH]
    for name in HOSTS:
        assert is_trusted(ca, tmp_path / SERVER_FILE, name)
    for name in ("second.example.org", "a.b.example.org", "10.200.0.1", "localhost"):
        assert is_trusted(ca, a_certificate(tmp_path, (name,), server_auth), name), name


@pytest.mark.parametrize("name", ["bank.example", "badexample.org", "login.example.com", "192.0.2.7", "192.168.1.1"])
def test_the_ca_s_key_impersonates_no_other_site(tmp_path: Path, name: str) -> None:
    ca = a_ca(tmp_path)
    for names in ((name,), ("login.example.org", name)):
        assert not is_trusted(ca, a_certificate(tmp_path, names, [ExtendedKeyUsageOID.SERVER_AUTH]), name)


def test_the_scope_is_critical_and_certifies_neither_mail_nor_programs(tmp_path: Path) -> None:
    ca = x509.load_pem_x509_certificate(a_ca(tmp_path).read_bytes())
    assert ca.extensions.get_extension_for_class(x509.NameConstraints).critical
    basic = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.path_length) == (True, 0)
    purposes = set(ca.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert purposes == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_a_name_outside_the_scope_is_an_error_before_anything_trusts_it(tmp_path: Path) -> None:
    ca = a_ca(tmp_path)
    before = (tmp_path / SERVER_FILE).read_bytes()
    for names in (["bank.example"], [*HOSTS, "192.0.2.7"]):
        with pytest.raises(KeystoreError, match=r"may not issue a certificate for .*example.org.*10\.0\.0\.0/8.*own"):
            renew_server_certificate(tmp_path, names, clock_now())
        with pytest.raises(KeystoreError, match="may not issue"):
            verify_scope(tmp_path, names)
    assert (tmp_path / SERVER_FILE).read_bytes() == before
    verify_scope(tmp_path, HOSTS)
    assert read_scope(ca) == CaScope.around(HOSTS)


def test_names_of_no_setting_are_left_out(tmp_path: Path) -> None:
    """The host name of this machine changes, or a later server has another one."""
    ca = a_ca(tmp_path)
    assert not renew_server_certificate(tmp_path, [*HOSTS, "renamed"], clock_now(), {"renamed"})
    assert renew_server_certificate(tmp_path, [*HOSTS, "localhost"], clock_now(), {"localhost"})
    assert is_trusted(ca, tmp_path / SERVER_FILE, "localhost")
