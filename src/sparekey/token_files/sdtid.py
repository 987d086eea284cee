"""SecurID-type tokens from `.sdtid` files with any number of tokens, with and without a password.

Rules: the MACs of the header and of a token are verified before its seed is decrypted (`sdtid_keys`); a wrong header
refuses the file, a wrong token only that token; a PIN-pad token, which mixes the PIN into the code, is refused with its
own message; the signature of the batch is ignored, because its key is public.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element

from sparekey.core.errors import BadInput
from sparekey.core.tokens import Parameters
from sparekey.durations import DAY_SECONDS
from sparekey.secret import Secret
from sparekey.token_files.entries import (
    EntryError,
    Item,
    TokenEntry,
    base64_bytes,
    moment,
    refused,
    small_number,
    verified,
)
from sparekey.token_files.sdtid_keys import BatchKeys, batch_keys
from sparekey.token_files.xml_entries import text_of

_DATE: Final = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2})")
_BLOCK: Final = 16

Fields = Mapping[str, str]


def read_sdtid(elements: Iterator[Element], password: Secret[str] | None) -> Iterator[Item]:
    """Yield the tokens of a TKNBatch in their order. Raises BadInput if the file as a whole is wrong."""
    header: Fields | None = None
    keys: BatchKeys | None = None
    number = 0
    for element in elements:
        if element.tag == "TKNHeader":
            if keys is not None:
                raise BadInput("the .sdtid file has two headers", "export it again")
            header, keys = _header(element, password)
        elif element.tag == "TKN":
            if header is None or keys is None:
                raise BadInput("the .sdtid file has a token before its header", "export it again")
            number += 1
            yield _item(number, element, header, keys)
    if number == 0:
        raise BadInput("the .sdtid file has no token", "give a file of tokens")


def _header(element: Element, password: Secret[str] | None) -> tuple[Fields, BatchKeys]:
    try:
        fields = _fields(element)
        keys = batch_keys(fields, _block(fields.get("Secret", ""), "its secret"), password)
        right = keys.verify_header(element, _block(fields.get("HeaderMAC", ""), "its MAC"))
    except EntryError as error:
        raise BadInput(f"the header of the .sdtid file is damaged: {error}", "export it again") from None
    if not right:
        do = "give its password: --password-stdin" if password is None else "give its password, or none if it has none"
        raise BadInput("the MAC of the .sdtid file does not fit: another password, or the file was altered", do)
    return fields, keys


def _fields(section: Element) -> dict[str, str]:
    fields = {str(element.tag): text_of(element) for element in section}
    if len(fields) < len(section):
        raise EntryError("a value stands in it twice")
    return fields


def _item(number: int, element: Element, header: Fields, keys: BatchKeys) -> Item:
    serial = text_of(element.find("SN"))
    try:
        return _entry(number, serial, element, header, keys)
    except EntryError as error:
        return refused(number, serial, error)


def _entry(number: int, serial: str, element: Element, header: Fields, keys: BatchKeys) -> TokenEntry:
    fields = _fields(element)
    keys.verify_token(element, serial, _block(fields.get("TokenMAC", ""), "its MAC"))

    def value(name: str, otherwise: str) -> str:
        return fields.get(name) or header.get(f"Def{name}") or otherwise

    if value("Alg", "0") != "1":
        raise EntryError("the token is not a 128-bit one")
    if value("Mode", "0") != "0":
        raise EntryError("the token does not go by time")
    if value("LocalPIN", "0") != "0":
        raise EntryError("the PIN is mixed into the code (PIN-pad style): issue it fob style, PIN before the code")
    digits = small_number(value("Digits", "6"), "the number of digits")
    interval = small_number(value("Interval", "60"), "the interval")
    expires_at = _end_of(value("Death", ""))
    # The first character has no meaning; the seed in base64 follows it.
    seed = keys.seed(serial, _block(fields.get("Seed", "")[1:], "its seed"))
    parameters = Parameters(seed, serial, digits, interval, "aes128")
    return verified(TokenEntry(number, "securid", parameters, expires_at=expires_at))


def _end_of(death: str) -> int | None:
    """Return the first second after the token's last day."""
    if not death:
        return None
    date = _DATE.fullmatch(death)
    if date is None:
        raise EntryError("the date of expiry is not one")
    return moment("-".join(date.groups())) + DAY_SECONDS


def _block(text: str, what: str) -> bytes:
    block = base64_bytes(text, what)
    if len(block) != _BLOCK:
        raise EntryError(f"{what} has another size than 16 bytes")
    return block
