"""Rules for names: one pattern and one error message for each kind."""

import re
from typing import Final

from sparekey.core.errors import BadInput

LOGIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\$-]{0,127}")
SERIAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# RFC 5321 without rare forms: quoted local parts, address literals, letters beyond ASCII
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
MAIL_ADDRESS: Final = re.compile(rf"(?=.{{3,254}}\Z)(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")


def is_login(text: str) -> bool:
    """Return True if this is a valid login."""
    return LOGIN.fullmatch(text) is not None


def verify_login(login: str) -> None:
    """Raise BadInput unless the login has 1 to 128 letters, digits and _ . @ - \\ $, as people type it at a device."""
    if not is_login(login):
        raise BadInput(
            f"{login!r} cannot be a login name",
            "use 1 to 128 letters, digits and the characters _ . @ - \\ $, beginning with a letter, a digit or _",
        )


def verify_serial(serial: str) -> None:
    """Raise BadInput unless the serial number has 1 to 64 letters, digits and _ . -."""
    if SERIAL.fullmatch(serial) is None:
        raise BadInput(f"{serial!r} cannot be a serial number", "use 1 to 64 letters, digits and the characters _ . -")


def verify_name(name: str, kind: str, longest: int) -> None:
    """Raise BadInput unless the name is printable text without spaces at its ends.

    Neither the name nor a part between slashes may be "." or "..": browsers and proxies resolve those in an address.
    """
    if {".", ".."} & set(name.split("/")):
        raise BadInput(f"{name!r} cannot be the name of a {kind}", "choose a name other than one or two dots")
    if not 1 <= len(name) <= longest or not name.isprintable() or name != name.strip():
        raise BadInput(f"{name!r} cannot be the name of a {kind}", f"use 1 to {longest} printable characters")


def is_mail_address(text: str) -> bool:
    """Return True for a mail address: printable ASCII in one line, so that it cannot become a header or a command."""
    return MAIL_ADDRESS.fullmatch(text) is not None


def verify_mail_address(text: str) -> None:
    """Raise BadInput unless the text is NAME@DOMAIN with at most 254 characters."""
    if not is_mail_address(text):
        raise BadInput(f"{text!r} cannot be a mail address", "give NAME@DOMAIN in ASCII, without quotes")
