"""The certificate that a server uses while it runs: renewed when it is due, reread when it changed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from sparekey import clock
from sparekey.app.ports import KeystoreError
from sparekey.keystore import local_ca
from sparekey.server.settings import Settings
from sparekey.server.transport.process import Certificate
from sparekey.wiring.certificate_signer import CertificateSigner
from sparekey.wiring.server import KEYS, certificate_names, incidental_names

RENEWAL_CHECK: Final = 3_600.0  # seconds
_log: Final = structlog.get_logger()


@dataclass(frozen=True)
class CertificateFiles:
    """The files that TLS uses."""

    certificate: Path
    key: Path


class RenewedCertificate:
    """The certificate of new connections. Open connections keep theirs, so that a renewal interrupts none."""

    def __init__(self, files: CertificateFiles | None, renew: Callable[[], object] = lambda: None) -> None:
        """`files` None: no TLS. `renew`: renews the files if that is due. Raises KeystoreError."""
        self._files: Final = files
        self._renew: Final = renew
        self.served: Final = Certificate(files.certificate, files.key) if files else None
        self._seen = self._stamp()

    def look(self) -> None:
        """Renew the certificate if that is due, and use it if it changed. A bad one is logged, and the old one stays
        in use."""
        if self.served is None:
            return
        try:
            self._renew()
            before, self._seen = self._seen, self._stamp()
            if self._seen != before:
                self.served.reload()
                _log.info("the new certificate is in use")
        except (KeystoreError, OSError) as error:
            _log.error("the certificate cannot be renewed", why=str(error))

    def _stamp(self) -> int:
        return self._files.certificate.stat().st_mtime_ns if self._files else 0


def prepare_certificate(
    directory: Path, settings: Settings, now: int, signer: CertificateSigner | None = None
) -> CertificateFiles | None:
    """Return the certificate to serve, renewed if that is due; None: no TLS. Raises KeystoreError."""
    if settings.tls == "own":
        own = CertificateFiles(Path(settings.certificate), Path(settings.key))
        local_ca.verify_own(own.certificate, own.key, Path(settings.ca))
        return own
    if settings.tls == "local" and signer is not None:
        signer.renew()
    elif settings.tls == "local":
        names, incidental = certificate_names(settings), incidental_names(settings)
        local_ca.renew_server_certificate(directory / KEYS, names, now, incidental)
    return certificate_files(directory, settings)


def certificate_files(directory: Path, settings: Settings) -> CertificateFiles | None:
    """Return the paths of the certificate; None: no TLS."""
    if settings.tls == "own":
        return CertificateFiles(Path(settings.certificate), Path(settings.key))
    both = certificate_file(directory, settings)
    return None if settings.tls == "off" else CertificateFiles(both, both)


def certificate_file(directory: Path, settings: Settings) -> Path:
    """Return the path of the server's certificate."""
    return Path(settings.certificate) if settings.tls == "own" else directory / KEYS / local_ca.SERVER_FILE


def renewing(directory: Path, settings: Settings, signer: CertificateSigner | None) -> RenewedCertificate:
    """Return the certificate of a process that renews it, itself or by the signer. Raises KeystoreError."""
    files = prepare_certificate(directory, settings, clock.now(), signer)
    return RenewedCertificate(files, lambda: prepare_certificate(directory, settings, clock.now(), signer))
