"""The local CA: signatures, renewal of certificates, and certificates that it refuses as foreign."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from sparekey.app.ports import KeystoreError
from sparekey.keystore.ca_scope import CaScope
from sparekey.keystore.local_ca import (
    CA_FILE,
    CA_KEY_FILE,
    SERVER_FILE,
    create_ca,
    not_after,
    read_ca_certificate,
    renew_server_certificate,
    verify_own,
)

NOW = 1_800_000_000
DAY = 86_400
NAMES = ("login.example.org", "127.0.0.1", "::1")


def a_ca(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    create_ca(directory, "test", NOW, CaScope.around(NAMES))
    renew_server_certificate(directory, NAMES, NOW)
    return directory


def certificate_in(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def test_certificate_and_ca_have_the_right_fields(tmp_path: Path) -> None:
    a_ca(tmp_path)
    ca, server = certificate_in(tmp_path / CA_FILE), certificate_in(tmp_path / SERVER_FILE)
    server.verify_directly_issued_by(ca)
    for certificate, days in ((ca, 3_653), (server, 90)):
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)
        assert certificate.not_valid_after_utc.timestamp() == NOW + days * DAY
        assert certificate.not_valid_before_utc.timestamp() < NOW
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(each.value) for each in names} == set(NAMES)
    purposes = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    basic = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_keys_are_for_their_owner_only_and_the_ca_file_holds_none(tmp_path: Path) -> None:
    a_ca(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert b"PRIVATE" not in (tmp_path / CA_FILE).read_bytes()
    assert read_ca_certificate(tmp_path / CA_FILE) == ssl.PEM_cert_to_DER_cert((tmp_path / CA_FILE).read_text())


def test_an_existing_ca_is_never_overwritten(tmp_path: Path) -> None:
    a_ca(tmp_path)
    before = (tmp_path / CA_FILE).read_bytes(), (tmp_path / CA_KEY_FILE).read_bytes()
    with pytest.raises(KeystoreError):
        create_ca(tmp_path, "again", NOW, CaScope.around(NAMES))
    assert ((tmp_path / CA_FILE).read_bytes(), (tmp_path / CA_KEY_FILE).read_bytes()) == before


@pytest.mark.parametrize(("days", "renewed"), [(0, False), (59, False), (61, True), (120, True)])
def test_a_certificate_is_renewed_when_less_than_a_third_is_left(tmp_path: Path, days: int, *, renewed: bool) -> None:
    a_ca(tmp_path)
    assert renew_server_certificate(tmp_path, NAMES, NOW + days * DAY) is renewed
    assert not_after(tmp_path / SERVER_FILE) == NOW + ((days if renewed else 0) + 90) * DAY


def test_other_names_and_damage_make_a_new_one(tmp_path: Path) -> None:
    a_ca(tmp_path)
    assert not renew_server_certificate(tmp_path, reversed(NAMES), NOW)
    assert renew_server_certificate(tmp_path, [*NAMES, "new.example.org"], NOW)
    (tmp_path / SERVER_FILE).write_bytes(b"damaged")
    assert renew_server_certificate(tmp_path, NAMES, NOW)


def test_a_certificate_of_another_ca_is_replaced(tmp_path: Path) -> None:
    one, other = a_ca(tmp_path / "one"), a_ca(tmp_path / "other")
    (one / SERVER_FILE).write_bytes((other / SERVER_FILE).read_bytes())
    assert renew_server_certificate(one, NAMES, NOW)


@pytest.mark.parametrize("name", [CA_FILE, CA_KEY_FILE])
def test_a_damaged_or_missing_ca_is_an_error(tmp_path: Path, name: str) -> None:
    a_ca(tmp_path)
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(KeystoreError, match="restore it"):
        renew_server_certificate(tmp_path, ["new.example.org"], NOW)
    (tmp_path / name).unlink()
    with pytest.raises(KeystoreError):
        renew_server_certificate(tmp_path, ["new.example.org"], NOW)


def test_a_given_certificate_must_match_its_key_and_ca(tmp_path: Path) -> None:
    one, other = a_ca(tmp_path / "one"), a_ca(tmp_path / "other")
    verify_own(one / SERVER_FILE, one / SERVER_FILE, one / CA_FILE)
    with pytest.raises(KeystoreError, match="is not the key of"):
        verify_own(one / SERVER_FILE, other / SERVER_FILE, one / CA_FILE)
    with pytest.raises(KeystoreError, match="does not lead to"):
        verify_own(one / SERVER_FILE, one / SERVER_FILE, other / CA_FILE)
    with pytest.raises(KeystoreError, match="no private key"):
        verify_own(one / SERVER_FILE, one / CA_FILE, one / CA_FILE)
    with pytest.raises(KeystoreError):
        verify_own(one / "missing.pem", one / SERVER_FILE, one / CA_FILE)
