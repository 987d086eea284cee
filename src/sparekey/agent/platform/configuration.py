"""The settings of this computer: `/etc/sparekey/agent.toml`. Each of them is optional.

Rules:
- A file with any unexpected line is rejected as a whole. The error names the line and the key (S66).
- Safe because no setting is lost in silence: an agent that understood only half of its settings could let in users whom
  the administrator meant to keep out.
- A file that others can write is rejected (S26).
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
LONGEST_NAME: Final = 128  # characters of an account or a login


class BadConfiguration(ValueError):
    """The file cannot be used. The message names the file, the line and the key."""


@dataclass(frozen=True)
class Configuration:
    """The settings in force. The defaults apply without a file."""

    socket: Path | None = None  # None for the socket beside the state
    tpm: str = AUTO  # the keys of a device that is being enrolled (`store.key_choice`)
    names: Names = SAME_NAMES
    purposes: frozenset[str] = frozenset()  # purposes of secrets that root's programs may keep, besides os-password
    exempt_group: str = EXEMPT_GROUP
    motd: Path | None = MOTD  # None for no message of the day
    desktop_notices: bool = True


def load_configuration(path: Path | None) -> Configuration:
    """Return the settings of this file, which must exist; with None, those of the usual file, which may be missing.
    Raises BadConfiguration."""
    where = path or CONFIGURATION
    try:
        text = read_trusted_text(where)
    except FileNotFoundError as error:
        if path is None:
            return Configuration()
        raise BadConfiguration(f"{where}: this file does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{where}: {error}") from error
    return read_configuration(text, str(where))


def read_configuration(text: str, where: str) -> Configuration:
    """Return the settings in this text; `where` is the name for messages. Raises BadConfiguration."""
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
    raise _Wrong(key, f"is not a setting; the settings are {', '.join(_KNOWN)}")


def _names(table: object, unmapped: object) -> Names:
    if unmapped not in (None, "refused", "same"):
        raise _Wrong("unmapped_names", 'must be "refused" or "same"')
    if table is None:
        return Names(same=unmapped != "refused")
    if not isinstance(table, dict):
        raise _Wrong("names", "must be a table: [names] on a line of its own, then lines like account = 'login'")
    for account, login in table.items():
        if account in _KNOWN:
            raise _Wrong(account, "must be above the line [names]")
        if not (0 < len(account) <= LONGEST_NAME and account.isprintable()):
            raise _Wrong(
                account, f"cannot be the name of an account: it needs 1 to {LONGEST_NAME} printable characters"
            )
        _name(account, login)
    return Names(MappingProxyType(dict(table)), same=unmapped == "same")


def _name(key: str, value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable():
        return value
    raise _Wrong(key, f"must be a name in quotes, with 1 to {LONGEST_NAME} printable characters")


def _path(key: str, value: object) -> Path:
    if isinstance(value, str) and value.startswith("/") and value.isprintable():
        return Path(value)
    raise _Wrong(key, "must be an absolute path in quotes")


def _path_or_none(key: str, value: object) -> Path | None:
    return None if value == "" else _path(key, value)


def _switch(key: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise _Wrong(key, "must be true or false, without quotes")


def _use_of_tpm(key: str, value: object) -> str:
    if isinstance(value, str) and (value in {AUTO, "required", "off"} or _TCTI.fullmatch(value)):
        return value
    raise _Wrong(key, 'must be "auto", "required", "off" or the name of a TPM, for example "device:/dev/tpmrm0"')


def _purposes(key: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _Wrong(key, 'must be a list of names in quotes, for example ["disk"]')
    try:
        for name in value:
            verify_name(name)
    except BadPurpose as error:
        raise _Wrong(key, f"must be a list of names: {error}") from error
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
    """Return the line with this key, bare, quoted or as the name of a table; 1 if it is not found."""
    pattern = re.compile(rf"""\s*\[?\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)
