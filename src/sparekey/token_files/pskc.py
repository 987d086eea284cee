"""Tokens from PSKC files (RFC 6030): HOTP and TOTP keys, plain or encrypted.

Rules: a MAC is verified before anything is decrypted (`pskc_keys`); an entry is refused if it restricts the use of its
key in a way that Sparekey does not support (section 5); a signature of the file is ignored.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element

from sparekey.core.errors import BadInput
from sparekey.core.tokens import Parameters
from sparekey.secret import Secret
from sparekey.token_files.entries import (
    EntryError,
    Item,
    TokenEntry,
    base64_bytes,
    counter_number,
    moment,
    refused,
    small_number,
    verified,
)
from sparekey.token_files.pskc_keys import PskcKeys, keys_of
from sparekey.token_files.xml_entries import local_name, text_of

NAMESPACE: Final = "urn:ietf:params:xml:ns:keyprov:pskc"
_P: Final = f"{{{NAMESPACE}}}"
# The profiles of RFC 6030 section 10 by the end of their names, because tools write the names in several ways.
_PROFILES: Final = re.compile(r"(?:.*[:#])?(totp|hotp)")
_SUITES: Final[Mapping[str, str]] = {"": "sha1", "sha1": "sha1", "sha256": "sha256", "sha512": "sha512"}
_PIN_BEFORE_CODE: Final = frozenset({"", "Local", "Prepend"})


def read_pskc(elements: Iterator[Element], password: Secret[str] | None, now: int) -> Iterator[Item]:
    """Yield the tokens of a KeyContainer in their order. Raises BadInput if the file as a whole is wrong."""
    encryption: Element | None = None
    mac: Element | None = None
    keys: PskcKeys | None = None
    number = 0
    for element in elements:
        if element.tag == f"{_P}EncryptionKey":
            encryption = element
        elif element.tag == f"{_P}MACMethod":
            mac = element
        elif element.tag == f"{_P}KeyPackage":
            if keys is None:
                keys = keys_of(encryption, mac, password)
            number += 1
            yield _item(number, element, keys, now)
    if number == 0:
        raise BadInput("the PSKC file has no key package", "give a file of tokens")


def _item(number: int, package: Element, keys: PskcKeys, now: int) -> Item:
    key = package.find(f"{_P}Key")
    device = package.find(f"{_P}DeviceInfo")
    serial = text_of(device.find(f"{_P}SerialNo")) if device is not None else ""
    if not serial and key is not None:
        serial = key.get("Id", "")
    try:
        return _entry(number, serial, key, keys, now)
    except EntryError as error:
        return refused(number, serial, error)


def _entry(number: int, serial: str, key: Element | None, keys: PskcKeys, now: int) -> TokenEntry:
    if key is None:
        raise EntryError("the key package has no key")
    profile = _PROFILES.fullmatch(key.get("Algorithm", ""))
    if profile is None:
        raise EntryError("the key is for neither HOTP nor TOTP")
    kind = profile[1]
    data = key.find(f"{_P}Data")
    if data is None:
        raise EntryError("the key has no data")
    digits, algorithm = _response(key.find(f"{_P}AlgorithmParameters"))
    expires_at = _policy(key.find(f"{_P}Policy"), now)
    interval = small_number(_plain(data, "TimeInterval") or "30", "the interval") if kind == "totp" else 0
    counter = counter_number(_plain(data, "Counter") or "0") if kind == "hotp" else 0
    parameters = Parameters(_secret(data.find(f"{_P}Secret"), keys), serial, digits, interval, algorithm)
    return verified(TokenEntry(number, kind, parameters, counter, expires_at))


def _response(parameters: Element | None) -> tuple[int, str]:
    """Return the number of digits of a code, and the hash (RFC 6030 section 4.3.4)."""
    if parameters is None:
        return 6, "sha1"
    suite = re.sub(r"[^a-z0-9]|hmac", "", text_of(parameters.find(f"{_P}Suite")).lower())
    if suite not in _SUITES:
        raise EntryError("the hash is none of SHA-1, SHA-256 and SHA-512")
    response = parameters.find(f"{_P}ResponseFormat")
    if response is None:
        return 6, _SUITES[suite]
    if response.get("Encoding", "DECIMAL") != "DECIMAL":
        raise EntryError("the codes are not decimal digits")
    if response.get("CheckDigits", "false") not in {"false", "0"}:
        raise EntryError("the codes carry a check digit")
    return small_number(response.get("Length", "6"), "the length of a code"), _SUITES[suite]


def _policy(policy: Element | None, now: int) -> int | None:
    """Return the expiry of the key. Raises EntryError for an unsupported restriction (RFC 6030 section 5)."""
    expires_at = None
    for rule in policy if policy is not None else ():
        name = local_name(rule)
        if name == "ExpiryDate":
            expires_at = moment(text_of(rule))
        elif name == "StartDate":
            if moment(text_of(rule)) > now:
                raise EntryError("the key may not be used yet: import it from its StartDate on")
        elif name == "PINPolicy":
            if rule.get("PINUsageMode", "") not in _PIN_BEFORE_CODE:
                raise EntryError("the PIN is not typed before the code (PIN-pad style)")
        elif name != "KeyUsage":
            raise EntryError("the key's policy restricts it in a way that would not be kept")
    usages = [text_of(rule) for rule in policy if local_name(rule) == "KeyUsage"] if policy is not None else []
    if usages and "OTP" not in usages:
        raise EntryError("the key's policy does not allow one-time passwords")
    return expires_at


def _plain(data: Element, name: str) -> str:
    value = data.find(f"{_P}{name}")
    if value is not None and value.find(f"{_P}EncryptedValue") is not None:
        raise EntryError(f"the {name} is encrypted, which is read of the secret only")
    return text_of(value.find(f"{_P}PlainValue")) if value is not None else ""


def _secret(value: Element | None, keys: PskcKeys) -> Secret[bytes]:
    if value is None:
        raise EntryError("the key has no secret in this file")
    encrypted = value.find(f"{_P}EncryptedValue")
    if encrypted is not None:
        return keys.opened(encrypted, text_of(value.find(f"{_P}ValueMAC")))
    return Secret(base64_bytes(text_of(value.find(f"{_P}PlainValue")), "the secret"))
