"""What people may call things: one rule per kind of name, with the words that say so."""

import re
from typing import Final

from sparekey.core.errors import BadInput

LOGIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\$-]{0,127}")
SERIAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# RFC 5321 without what hardly anybody has: quoted local parts, address literals, letters beyond ASCII
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
MAIL_ADDRESS: Final = re.compile(rf"(?=.{{3,254}}\Z)(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")


def is_login(text: str) -> bool:
    """Whether somebody could have this login name."""
    return LOGIN.fullmatch(text) is not None


def verify_login(login: str) -> None:
    """As typed at a device: letters, digits and _ . @ - \\ $, at most 128."""
    if not is_login(login):
        raise BadInput(
            f"{login!r} cannot be a login name",
            "use 1 to 128 letters, digits and the characters _ . @ - \\ $, beginning with a letter, a digit or _",
        )


def verify_serial(serial: str) -> None:
    """Letters, digits and _ . -, at most 64."""
    if SERIAL.fullmatch(serial) is None:
        raise BadInput(f"{serial!r} cannot be a serial number", "use 1 to 64 letters, digits and the characters _ . -")


def verify_name(name: str, kind: str, longest: int) -> None:
    """Printable text without spaces at its ends; neither it nor a part between slashes is "." or "..": browsers and
    proxies resolve those in an address.
    """
    if {".", ".."} & set(name.split("/")):
        raise BadInput(f"{name!r} cannot be the name of a {kind}", "choose a name other than one or two dots")
    if not 1 <= len(name) <= longest or not name.isprintable() or name != name.strip():
        raise BadInput(f"{name!r} cannot be the name of a {kind}", f"use 1 to {longest} printable characters")


def is_mail_address(text: str) -> bool:
    """Whether mail can be sent there: printable ASCII in one line, so that it can be no header and no command."""
    return MAIL_ADDRESS.fullmatch(text) is not None


def verify_mail_address(text: str) -> None:
    """NAME@DOMAIN, at most 254 characters."""
    if not is_mail_address(text):
        raise BadInput(f"{text!r} cannot be a mail address", "give NAME@DOMAIN in ASCII, without quotes")
