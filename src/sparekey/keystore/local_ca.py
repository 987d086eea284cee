"""The server's own small CA, and the certificate that it issues to the server.

Rules: all keys are P-256; the CA is valid for ten years, and devices pin it through the enrolment code; the server's
certificate is valid for 90 days and is renewed when less than a third is left; the CA issues certificates for a fixed
scope of names only (`ca_scope`), to servers, and makes no other CA; keys are in files that only their owner
can read; the server's certificate and its key are one file, replaced as a whole, so that they always match.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sparekey.app.ports import KeystoreError
from sparekey.durations import DAY_SECONDS
from sparekey.keystore.ca_scope import CaScope
from sparekey.keystore.durable_file import create_file, replace_file
from sparekey.secret import Secret

CA_FILE: Final = "ca.pem"  # the certificate alone, which is public
CA_KEY_FILE: Final = "ca-key.pem"
SERVER_FILE: Final = "server.pem"  # key, certificate
CA_DAYS: Final = 3_653
SERVER_DAYS: Final = 90
_EARLIER: Final = timedelta(days=1)  # certificates begin earlier, for devices whose clock is behind


@dataclass(frozen=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def create_ca(directory: Path, name: str, now: int, scope: CaScope) -> None:
    """Make the CA in the key directory. An existing one is never overwritten. Raises KeystoreError."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Sparekey CA {name}"[:64])])
    builder = _builder(subject, subject, key.public_key(), now, CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    builder = builder.add_extension(scope.constraints, critical=True)
    # Name constraints cover names of hosts alone. This keeps the CA from certifying mail addresses and programs.
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    _write_private(directory / CA_KEY_FILE, _key_pem(key), replace=False)
    _write_private(directory / CA_FILE, _pem(certificate), replace=False)


def read_ca_certificate(path: Path) -> bytes:
    """Return the CA certificate that devices pin, as DER. Raises KeystoreError."""
    return _read_certificates(path)[0].public_bytes(serialization.Encoding.DER)


def read_scope(path: Path) -> CaScope | None:
    """Return the scope of the CA in a file; None: it has no limit. Raises KeystoreError."""
    return CaScope.of(_read_certificates(path)[0])


def renew_server_certificate(
    directory: Path,
    names: Iterable[str],
    now: int,
    incidental: Collection[str] = (),
    ca_key: Secret[bytes] | None = None,
) -> bool:
    """Renew the server's certificate if it is missing, is for other names, or has a third or less of its time left.

    `incidental`: names that are left out if they are outside the CA's scope. `ca_key`: the CA's key as PEM; None: it is
    read from the directory, if it is needed. Return True if a new certificate was made. Raises KeystoreError, also for
    a name outside the scope.
    """
    path = directory / SERVER_FILE
    ca = _read_certificates(directory / CA_FILE)[0]
    scope = CaScope.of(ca)
    wanted = sorted({name for name in names if name not in incidental or scope is None or scope.covers(name)})
    _verify_within(scope, wanted, directory / CA_FILE)
    if path.exists() and _is_good(path, ca, wanted, now):
        return False
    authority = _read_authority(directory, ca, ca_key)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sparekey server")])
    builder = _builder(subject, authority.certificate.subject, key.public_key(), now, SERVER_DAYS)
    alternatives = x509.SubjectAlternativeName([_alternative(name) for name in wanted])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(alternatives, critical=False).add_extension(issuer, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    certificate = builder.sign(authority.key, hashes.SHA256())
    _write_private(path, _key_pem(key) + _pem(certificate), replace=True)
    return True


def verify_scope(directory: Path, names: Iterable[str]) -> None:
    """Raise KeystoreError if the CA may not issue a certificate for one of these names."""
    path = directory / CA_FILE
    _verify_within(read_scope(path), names, path)


def _verify_within(scope: CaScope | None, names: Iterable[str], ca: Path) -> None:
    outside = sorted(name for name in names if scope is not None and not scope.covers(name))
    if outside:
        raise KeystoreError(
            f"the CA in {ca} may not issue a certificate for {outside[0]}, but only for: {scope}; name the server "
            'within that, or set tls = "own" with a certificate of another CA, or, before devices are enrolled, make '
            "the server again with `sparekey init --name` or `--ca-scope`"
        )


def verify_own(certificate: Path, key: Path, ca: Path) -> None:
    """Raise KeystoreError unless the key belongs to the certificate and the chain in the file leads to the CA."""
    chain = _read_certificates(certificate)
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise KeystoreError(f"{key} holds no private key without a password; give the path of a PEM file") from error
    public = private.public_key()
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*spki) != chain[0].public_key().public_bytes(*spki):
        raise KeystoreError(f"{key} is not the key of {certificate}; give the two that belong together")
    anchor = _read_certificates(ca)[0]
    for subject, issuer in zip(chain, [*chain[1:], anchor], strict=True):
        if subject != anchor and not _issued(subject, issuer):
            raise KeystoreError(f"the chain in {certificate} does not lead to {ca}; give the CA that devices trust")


def not_after(path: Path) -> int:
    """Return the unix second at which the first certificate in the file expires. Raises KeystoreError."""
    return int(_read_certificates(path)[0].not_valid_after_utc.timestamp())


def _is_good(path: Path, ca: x509.Certificate, wanted: list[str], now: int) -> bool:
    try:
        certificate = _read_certificates(path)[0]
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (KeystoreError, x509.ExtensionNotFound, ValueError):
        return False
    named = sorted(str(name.value) for name in extension.value)
    left = certificate.not_valid_after_utc.timestamp() - now
    return named == wanted and left > SERVER_DAYS * DAY_SECONDS / 3 and _issued(certificate, ca)


def _issued(subject: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        subject.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 -- InvalidSignature, TypeError and ValueError all mean no
        return False
    return True


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: int, days: int
) -> x509.CertificateBuilder:
    start = datetime.fromtimestamp(now, UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _EARLIER)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(identifier, critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _read_authority(directory: Path, certificate: x509.Certificate, pem: Secret[bytes] | None) -> _Authority:
    path = directory / CA_KEY_FILE
    place = str(path) if pem is None else "standard input"
    do = "restore it from its backup, or pass it with `serve --ca-key-stdin` if it is kept elsewhere"
    try:
        key = serialization.load_pem_private_key(path.read_bytes() if pem is None else pem.reveal(), None)
    except (OSError, ValueError, TypeError) as error:
        raise KeystoreError(f"{place} holds no key of the CA; {do}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise KeystoreError(f"{place} holds another key than that of the CA; {do}")
    return _Authority(certificate, key)


def _read_certificates(path: Path) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise KeystoreError(f"cannot read {path}: {error.strerror}; restore it, or name another one") from error
    except ValueError as error:
        raise KeystoreError(f"{path} holds no certificate; restore it, or name another PEM file") from error


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.NoEncryption())


def _write_private(path: Path, content: bytes, *, replace: bool) -> None:
    """Write a file of mode 0600 completely or not at all. It is on disk when this returns."""
    try:
        (replace_file if replace else create_file)(path, content)  # a CA is never overwritten
    except OSError as error:
        raise KeystoreError(f"cannot write {path}: {error.strerror}; see to the directory's rights") from error
