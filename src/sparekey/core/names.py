"""What people may call things: one rule per kind of name, with the words that say so."""

import re
from typing import Final

from sparekey.core.errors import BadInput

LOGIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\$-]{0,127}")
SERIAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


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
    """Printable text without spaces at its ends."""
    if not 1 <= len(name) <= longest or not name.isprintable() or name != name.strip():
        raise BadInput(f"{name!r} cannot be the name of a {kind}", f"use 1 to {longest} printable characters")
