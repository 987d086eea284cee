"""Makes files of tokens in every format that can be imported, of any size: for tests and benches.

Tokens follow from their number, so that a test knows every seed. The tests hold these files against other readers
(`stoken`, python-pskc, `pskctool`), so that our readers are not tested with our own mistakes.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from sparekey.secret import Secret
from sparekey.token_files.sdtid_keys import (
    _BATCH_MAC_START,
    _TOKEN_KEY_START,
    _TOKEN_MAC_START,
    BatchKeys,
    _chain,
    _hashed,
    _masked,
    _padded,
    batch_keys,
)

PSKC: Final = "urn:ietf:params:xml:ns:keyprov:pskc"
_XENC: Final = "http://www.w3.org/2001/04/xmlenc#"
_HEADER: Final = {
    "Version": "0",
    "Origin": "Example",
    "Dest": "Somebody",
    "Name": "Batch",
    "Secret": "",
    "DefDeath": "2037/12/31",
    "DefDigits": "6",
    "DefInterval": "60",
    "DefAlg": "1",
    "DefMode": "0",
    "DefAddPIN": "1",
    "DefLocalPIN": "0",
}


@dataclass(frozen=True)
class MadeToken:
    """A token as it stands in a file."""

    serial: str
    seed: bytes


def tokens(count: int, *, seed_bytes: int = 20, first: int = 1) -> list[MadeToken]:
    """So many tokens with serial numbers of 12 digits."""
    return [
        MadeToken(f"{number:012d}", hashlib.sha256(f"token {number}".encode()).digest()[:seed_bytes])
        for number in range(first, first + count)
    ]


def csv_file(made: Sequence[MadeToken]) -> bytes:
    """TOTP tokens, 6 digits each 30 s."""
    lines = [f"{each.serial},totp,{base64.b32encode(each.seed).decode()},2037-12-31" for each in made]
    return "\n".join(["serial,type,seed,expires", *lines, ""]).encode()


def pskc_file(
    made: Sequence[MadeToken], *, key: bytes | None = None, password: str = "", iterations: int = 1_000
) -> bytes:
    """TOTP tokens, 6 digits each 30 s: plain, encrypted with a pre-shared key, or with a password (PBKDF2)."""
    salt, mac_key = b"a salt of its own", bytes(range(20))
    if password:
        key = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, iterations, 16)
    head = "" if key is None else _encryption(key, mac_key, salt if password else b"", iterations)
    packages = "".join(_package(each, key, mac_key) for each in made)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<KeyContainer Version="1.0" xmlns="{PSKC}" xmlns:xenc="{_XENC}" '
        f'xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" '
        f'xmlns:pkcs5="http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#">\n'
        f"{head}{packages}</KeyContainer>\n"
    ).encode()


def _encryption(key: bytes, mac_key: bytes, salt: bytes, iterations: int) -> str:
    name = "<ds:KeyName>Pre-shared key</ds:KeyName>"
    if salt:
        name = (
            "<xenc11:DerivedKey><xenc11:KeyDerivationMethod "
            'Algorithm="http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#pbkdf2"><pkcs5:PBKDF2-params>'
            f"<Salt><Specified>{_base64(salt)}</Specified></Salt><IterationCount>{iterations}</IterationCount>"
            "<KeyLength>16</KeyLength><PRF/></pkcs5:PBKDF2-params></xenc11:KeyDerivationMethod></xenc11:DerivedKey>"
        )
    return (
        f"<EncryptionKey>{name}</EncryptionKey>\n"
        '<MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"><MACKey>'
        f"{_cipher(_encrypted(key, mac_key))}</MACKey></MACMethod>\n"
    )


def _package(token: MadeToken, key: bytes | None, mac_key: bytes) -> str:
    if key is None:
        secret = f"<PlainValue>{_base64(token.seed)}</PlainValue>"
    else:
        sealed = _encrypted(key, token.seed)
        mac = _base64(hmac.digest(mac_key, sealed, "sha1"))
        secret = f"<EncryptedValue>{_cipher(sealed)}</EncryptedValue><ValueMAC>{mac}</ValueMAC>"
    return (
        f"<KeyPackage><DeviceInfo><Manufacturer>oath.Example</Manufacturer><SerialNo>{token.serial}</SerialNo>"
        f'</DeviceInfo><Key Id="{token.serial}" Algorithm="{PSKC}:totp"><Issuer>Example</Issuer><AlgorithmParameters>'
        f'<ResponseFormat Length="6" Encoding="DECIMAL"/></AlgorithmParameters><Data><Secret>{secret}</Secret>'
        "<Time><PlainValue>0</PlainValue></Time><TimeInterval><PlainValue>30</PlainValue></TimeInterval></Data>"
        "</Key></KeyPackage>\n"
    )


def _cipher(sealed: bytes) -> str:
    return (
        f'<xenc:EncryptionMethod Algorithm="{_XENC}aes128-cbc"/><xenc:CipherData><xenc:CipherValue>'
        f"{_base64(sealed)}</xenc:CipherValue></xenc:CipherData>"
    )


def _encrypted(key: bytes, plain: bytes) -> bytes:
    start = hashlib.sha256(plain).digest()[:16]  # the same file each time
    encryptor = Cipher(AES(key), CBC(start)).encryptor()
    filled = 16 - len(plain) % 16
    return start + encryptor.update(plain + bytes([filled]) * filled) + encryptor.finalize()


def sdtid_file(made: Sequence[MadeToken], *, password: str = "", **header: str) -> bytes:
    """SecurID-type tokens (seeds of 16 bytes), 6 digits each 60 s, fob style; `header`: other values of it."""
    batch = Element("TKNBatch")
    head = SubElement(batch, "TKNHeader")
    secret = hashlib.sha256(b"batch").digest()[:16]
    fields = _HEADER | {"Secret": _base64(secret)} | header
    for name, value in fields.items():
        SubElement(head, name).text = value
    keys = batch_keys(fields, secret, Secret(password) if password else None)
    mac = _chain(keys.derived("BatchMAC", fields["Name"], _BATCH_MAC_START), _BATCH_MAC_START, _hashed(head))
    SubElement(head, "HeaderMAC").text = _base64(mac)
    for each in made:
        _securid_token(batch, each, keys)
    SubElement(SubElement(batch, "TKNTrailer"), "BatchSignature").text = _base64(bytes(128))
    indent(batch)
    return b'<?xml version="1.0"?>\n' + tostring(batch) + b"\n"


def _securid_token(batch: Element, token: MadeToken, keys: BatchKeys) -> None:
    section = SubElement(batch, "TKN")
    SubElement(section, "SN").text = token.serial
    key = keys.derived("TokenEncrypt", token.serial, _TOKEN_KEY_START)
    sealed = _masked(key, _padded(token.serial, 8) + _padded("Seed", 8), token.seed)
    SubElement(section, "Seed").text = f"={_base64(sealed)}"
    for name in ("UserFirstName", "UserLastName", "UserLogin"):
        SubElement(section, name).text = " "
    attributes = SubElement(section, "TokenAttributes")
    SubElement(attributes, "DeviceSerialNumber").text = " "
    mac = _chain(keys.derived("TokenMAC", token.serial, _TOKEN_MAC_START), _TOKEN_MAC_START, _hashed(section))
    SubElement(section, "TokenMAC").text = _base64(mac)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
