"""What the administrator of this computer has set: `/etc/sparekey/agent.toml`, all of it optional.

A file that is not exactly as expected is refused whole, with its line and key: an agent that half understands its
configuration would let in whom the administrator meant to keep out (S66). So is one that others may write (S26).
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

from sparekey.agent.ground.account_names import SAME_NAMES, Names
from sparekey.agent.ground.secret_purposes import BadPurpose, verify_name
from sparekey.agent.platform.posix import read_trusted_text

CONFIGURATION: Final = Path("/etc/sparekey/agent.toml")
EXEMPT_GROUP: Final = "sparekey-exempt"
AUTO: Final = "auto"
_TCTI: Final = re.compile(r"[a-z]+:[!-~]+")
MOTD: Final = Path("/run/motd.d/sparekey")
LONGEST_NAME: Final = 128  # characters, of an account and of a login


class BadConfiguration(ValueError):
    """The file cannot be used; the message names file, line and key."""


@dataclass(frozen=True)
class Configuration:
    """As in force; the defaults are what holds without a file."""

    socket: Path | None = None  # None: as the state directory has it
    tpm: str = AUTO  # where a device that is being enrolled has its keys (`store_keys`)
    names: Names = SAME_NAMES
    purposes: frozenset[str] = frozenset()  # what root's programs may keep secrets for, beside os-password
    exempt_group: str = EXEMPT_GROUP
    motd: Path | None = MOTD  # None: no message of the day
    desktop_notices: bool = True


def load_configuration(path: Path | None) -> Configuration:
    """The file that was named, which has to be there; else the usual one, which need not. Raises `BadConfiguration`."""
    where = path or CONFIGURATION
    try:
        text = read_trusted_text(where)
    except FileNotFoundError as error:
        if path is None:
            return Configuration()
        raise BadConfiguration(f"{where}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{where}: {error}") from error
    return read_configuration(text, str(where))


def read_configuration(text: str, where: str) -> Configuration:
    """What that text sets; `where` is for words. Raises `BadConfiguration`."""
    try:
        found = tomllib.loads(text)
        names = _names(found.pop("names", None), found.pop("unmapped_names", None))
        read = {key: _READERS.get(key, _unknown)(key, value) for key, value in found.items()}
        return Configuration(names=names, **read)
    except tomllib.TOMLDecodeError as error:
        raise BadConfiguration(f"{where}: {error}") from error
    except _Wrong as error:
        raise BadConfiguration(f"{where}, line {_line_of(error.key, text)}: {error.key} {error}") from error


class _Wrong(ValueError):
    def __init__(self, key: str, words: str) -> None:
        super().__init__(words)
        self.key = key


def _unknown(key: str, _: object) -> NoReturn:
    raise _Wrong(key, f"is not known; known are {', '.join(_KNOWN)}")


def _names(table: object, unmapped: object) -> Names:
    if unmapped not in (None, "refused", "same"):
        raise _Wrong("unmapped_names", 'is "refused" or "same"')
    if table is None:
        return Names(same=unmapped != "refused")
    if not isinstance(table, dict):
        raise _Wrong("names", "is a table: [names] on a line of its own, then lines like account = 'login'")
    for account, login in table.items():
        if account in _KNOWN:
            raise _Wrong(account, "stands under [names]; put it above that line")
        if not (0 < len(account) <= LONGEST_NAME and account.isprintable()):
            raise _Wrong(account, f"is no account's name: 1 to {LONGEST_NAME} printable characters")
        _name(account, login)
    return Names(MappingProxyType(dict(table)), same=unmapped == "same")


def _name(key: str, value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable():
        return value
    raise _Wrong(key, f"is a name in quotes, 1 to {LONGEST_NAME} printable characters")


def _path(key: str, value: object) -> Path:
    if isinstance(value, str) and value.startswith("/") and value.isprintable():
        return Path(value)
    raise _Wrong(key, "is a path in quotes, from / on")


def _path_or_none(key: str, value: object) -> Path | None:
    return None if value == "" else _path(key, value)


def _switch(key: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise _Wrong(key, "is true or false, without quotes")


def _use_of_tpm(key: str, value: object) -> str:
    if isinstance(value, str) and (value in {AUTO, "required", "off"} or _TCTI.fullmatch(value)):
        return value
    raise _Wrong(key, 'is "auto", "required", "off", or names a TPM, as in "device:/dev/tpmrm0"')


def _purposes(key: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _Wrong(key, 'is a list of names in quotes, as in ["disk"]')
    try:
        for each in value:
            verify_name(each)
    except BadPurpose as error:
        raise _Wrong(key, f"is a list of names; {error}") from error
    return frozenset(value)


_READERS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "socket": _path,
    "tpm": _use_of_tpm,
    "purposes": _purposes,
    "exempt_group": _name,
    "motd": _path_or_none,
    "desktop_notices": _switch,
}
_KNOWN: Final = (*sorted([*_READERS, "unmapped_names"]), "names")


def _line_of(key: str, text: str) -> int:
    """Where the key stands, bare, quoted or as a table's name; 1 where it cannot be found."""
    pattern = re.compile(rf"""\s*\[?\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)
