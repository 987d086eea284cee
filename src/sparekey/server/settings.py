"""Settings of one server process: `DIR/sparekey.toml`, and each key also as `SPAREKEY_<KEY>` in the environment.

Rules:
- Nothing is guessed. The server does not start if the file is missing or empty, or has an unknown key or a value that
  is not allowed (S66).
- An error names file, key and allowed values. It never names the address of the database, which may contain a password.
- The environment takes precedence over the file.
"""

from __future__ import annotations

import dataclasses
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from sparekey.core.names import is_mail_address
from sparekey.core.networks import SourcePrefixes, is_network
from sparekey.durations import DAY_SECONDS
from sparekey.keystore.service_user import do_about_owner
from sparekey.secret import Secret

FILE: Final = "sparekey.toml"
DATABASE_FILE: Final = "sparekey.db"
PREFIX: Final = "SPAREKEY_"
TLS: Final = ("local", "own", "off")
SMTP_TLS: Final = ("starttls", "implicit", "off")
_ANY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 -- compared, not bound
LOG_LEVELS: Final = ("debug", "info", "warning", "error")


class SettingsError(ValueError):
    """An error in the settings, with its place and the allowed values."""

    def __init__(self, where: str, what: str, do: str) -> None:
        super().__init__(f"{where}: {what}; {do}")
        self.message = f"{where}: {what}"
        self.do = do


@dataclass(frozen=True)
class Setting:
    """One key of the settings, described for people."""

    name: str
    meaning: str
    default: object
    allowed: str
    read: Callable[[object], object]  # converts a TOML value; raises ValueError if it is not allowed
    is_secret: bool = False  # never shown

    @property
    def variable(self) -> str:
        """Return the name of the setting in the environment."""
        return PREFIX + self.name.upper()


def _text(meaning: str, allowed: str, check: Callable[[str], bool] = lambda _: True, default: str = "") -> str:
    def read(value: object) -> str:
        if not isinstance(value, str) or not value.isprintable() or not check(value):
            raise ValueError
        return value

    return dataclasses.field(default=default, metadata={"meaning": meaning, "allowed": allowed, "read": read})


def _secret_text(meaning: str, allowed: str) -> Secret[str]:
    def read(value: object) -> Secret[str]:
        if not isinstance(value, str):
            raise ValueError  # noqa: TRY004 -- the caller handles one type of error
        return Secret(value)

    metadata = {"meaning": meaning, "allowed": allowed, "read": read, "is_secret": True}
    return dataclasses.field(default_factory=lambda: Secret(""), metadata=metadata)


def _list(meaning: str, allowed: str, check: Callable[[str], bool]) -> tuple[str, ...]:
    def read(value: object) -> tuple[str, ...]:
        # In the environment: separated by commas.
        items = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) and check(item) for item in items):
            raise ValueError
        return tuple(items)

    return dataclasses.field(default=(), metadata={"meaning": meaning, "allowed": allowed, "read": read})


def _choice(meaning: str, choices: tuple[str, ...], default: str) -> str:
    return _text(meaning, ", ".join(choices), choices.__contains__, default)


def _number(meaning: str, low: int, high: int, default: int) -> int:
    def read(value: object) -> int:
        number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
        if type(number) is not int or not low <= number <= high:
            raise ValueError
        return number

    allowed = f"a whole number from {low} to {high}"
    return dataclasses.field(default=default, metadata={"meaning": meaning, "allowed": allowed, "read": read})


def is_host(text: str) -> bool:
    """Return True if the text can be the name or address of a host."""
    try:
        ip_address(text)
    except ValueError:
        labels = text.split(".")
        return len(text) <= 253 and all(_is_label(label) for label in labels)  # RFC 1035 section 2.3.4
    return True


def is_origin(text: str) -> bool:
    """Return True if browsers write the text as an origin: a scheme, a name or address, a port if it is not usual."""
    try:
        parts = urlsplit(text)
        usual = parts.port == {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return False
    host = parts.hostname or ""
    if not is_host(host) or usual or parts.port == 0 or (parts.scheme == "http" and host != "localhost"):
        return False
    written = f"[{host}]" if ":" in host else host
    port = "" if parts.port is None else f":{parts.port}"
    return parts.scheme in ("https", "http") and text == f"{parts.scheme}://{written}{port}"


def _is_label(label: str) -> bool:
    return 0 < len(label) <= 63 and label.isascii() and label.replace("-", "a").isalnum() and label.strip("-") == label


def split_listen(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT` (an IPv6 address in brackets). Raises ValueError for other text."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets")
    if not is_host(host) or not (port.isascii() and port.isdigit()) or not 1 <= int(port) <= 65_535:
        raise ValueError("not HOST:PORT")
    return host, int(port)


def _is_listen(text: str) -> bool:
    try:
        split_listen(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Settings:
    """The configuration of one server process; never called policy."""

    database: Secret[str] = _secret_text(
        "The database. Empty: the file `sparekey.db` in the data directory.",
        "`postgresql://USER:PASSWORD@HOST/NAME` or `sqlite:////PATH`",
    )
    listen: str = _text(
        "The listening address.",
        "`HOST:PORT`, an IPv6 address in brackets, a port from 1 to 65535",
        _is_listen,
        "127.0.0.1:8443",
    )
    names: tuple[str, ...] = _list(
        "Names and addresses of the server for devices, programs and browsers. The certificate contains them, the "
        "listening address and this machine's own names. Use a name that no other service shares: browsers use cookies "
        "and passkeys on every port of a name, and then use no port of it without TLS. Passkeys do not work with an IP "
        "address.",
        "a list of host names and addresses",
        is_host,
    )
    origins: tuple[str, ...] = _list(
        "Addresses of the consoles in browsers, if they differ from `https://NAME:PORT` with a name of the server and "
        "its listening port: behind a proxy or a forwarded port. Passkeys work only at the server's addresses. The "
        'first one is the address in links. Empty with `tls = "off"`: `https://NAME`.',
        "a list such as `https://login.example.org`, with a port if it is not 443; `http://localhost:PORT` with `tls = "
        '"off"`',
        is_origin,
    )
    tls: str = _choice(
        "`local`: a certificate of the CA made by `init`, renewed automatically. `own`: your own certificate. `off`: "
        "no TLS, only on a loopback address, for a proxy or a benchmark on this machine; agents refuse it.",
        TLS,
        "local",
    )
    certificate: str = _text('With `tls = "own"`: the server\'s certificate and its chain.', "the path of a PEM file")
    key: str = _text('With `tls = "own"`: the certificate\'s key.', "the path of a PEM file")
    ca: str = _text(
        'With `tls = "own"`: the CA certificate that devices trust; enrolment codes contain its fingerprint.',
        "the path of a PEM file",
    )
    refusal_floor_ms: int = _number(
        "Milliseconds from a request to its refusal, whatever the reason, for each PIN that the typed text may begin "
        "with (at most four, by the text alone). If it takes longer, the next multiple. `sparekey doctor` compares it "
        "with a hash.",
        20,
        5_000,
        150,
    )
    workers: int = _number("The number of server processes.", 1, 64, 1)
    sign_in_threads: int = _number("Sign-ins that one process verifies in parallel.", 1, 128, 8)
    sealing_workers: int = _number("Threads of one process that seal offline data. 0: one per core.", 0, 256, 0)
    sync_interval: int = _number(
        "Seconds between two contacts of a device, varied by up to a tenth.", 10, DAY_SECONDS, 900
    )
    admin_networks: tuple[str, ...] = _list(
        "The networks from which administrators can sign in to the console and over REST. Empty: all. Others cannot "
        "try their names there, and failures elsewhere (login screens, ssh, VPN) count apart.",
        "a list of addresses and networks, as 192.0.2.0/24",
        is_network,
    )
    self_service_networks: tuple[str, ...] = _list(
        "The networks that can use the self-service console. Empty: all. Others cannot try names there.",
        "a list of addresses and networks, as 192.0.2.0/24",
        is_network,
    )
    trusted_proxies: tuple[str, ...] = _list(
        "Proxies and load balancers in front of this server. Only from them, the address of the client is read from "
        "`X-Forwarded-For`, to which each proxy must append the address from which it was asked.",
        "a list of addresses and networks, as 192.0.2.0/24",
        is_network,
    )
    source_ipv4_prefix: int = _number(
        "The bits of an IPv4 address that make one source. Connections and work are shared fairly among sources, "
        "and refusals of unknown names are logged for each source.",
        8,
        32,
        32,
    )
    source_ipv6_prefix: int = _number("The same for IPv6: one customer of a provider has a /64 or more.", 16, 128, 64)
    smtp_host: str = _text(
        "The mail server for notices and alarms. Empty: none are sent (docs/notices.md).",
        "a host name or address",
        lambda text: not text or is_host(text),
    )
    smtp_port: int = _number(
        "The port of the mail server: usually 587 with `starttls`, 465 with `implicit`.", 1, 65_535, 587
    )
    smtp_tls: str = _choice(
        "The kind of TLS to the mail server. `off`: no TLS, only on a loopback address.", SMTP_TLS, "starttls"
    )
    smtp_ca: str = _text(
        "The CA that signed the mail server's certificate. Empty: the CAs that this machine trusts.",
        "the path of a PEM file",
    )
    smtp_user: str = _text("The user name at the mail server. Empty: no login.", "a name")
    smtp_password: Secret[str] = _secret_text("The password at the mail server.", "a password")
    mail_from: str = _text(
        "The sender address of notices.",
        "a mail address",
        lambda text: not text or is_mail_address(text),
    )
    alarm_mail: tuple[str, ...] = _list("The recipients of alarms.", "a list of mail addresses", is_mail_address)
    syslog: str = _text(
        "A collector for all events of the audit log: syslog (RFC 5424) over TLS (RFC 5425), usually port 6514. "
        "Empty: none.",
        "`HOST:PORT`, an IPv6 address in brackets",
        lambda text: not text or _is_listen(text),
    )
    syslog_ca: str = _text(
        "The CA that signed the collector's certificate. Empty: the CAs that this machine trusts.",
        "the path of a PEM file",
    )
    log_level: str = _choice("The level of the log on standard error, one JSON object per line.", LOG_LEVELS, "info")

    def database_url(self, directory: Path) -> str:
        """Return the SQLAlchemy URL."""
        return self.database.reveal() or f"sqlite:///{directory.resolve() / DATABASE_FILE}"

    @property
    def address(self) -> tuple[str, int]:
        """Return the listening host and port."""
        return split_listen(self.listen)

    @property
    def source_prefixes(self) -> SourcePrefixes:
        """Return the bits of an address that make one source."""
        return SourcePrefixes(self.source_ipv4_prefix, self.source_ipv6_prefix)

    @property
    def url(self) -> str:
        """Return the address for devices: the first of `names`, else the listening address; "" if neither is usable."""
        host, port = self.address
        host = self.names[0] if self.names else "" if host in _ANY_ADDRESS else self._here
        if not host or self.tls == "off":  # then agents connect through a proxy, whose address is not known here
            return ""
        return f"https://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def listening_url(self) -> str:
        """Return the address of the server as seen from this machine."""
        scheme, host, port = "http" if self.tls == "off" else "https", self._here, self.address[1]
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def _here(self) -> str:
        """Return the listening host; `localhost` for 127.0.0.1, because passkeys are bound to a name.

        If TLS uses a certificate of the operator, 127.0.0.1 stays: the certificate may not be valid for `localhost`.
        """
        host = self.address[0]
        return "localhost" if host == "127.0.0.1" and self.tls != "own" else host

    @property
    def console_url(self) -> str:
        """Return the address of the console: with a name, because passkeys are bound to one."""
        if self.origins:
            return self.origins[0]
        host, port = self.address
        if self.tls == "off":  # then through a proxy, whose name is not known here, or on this machine
            return f"http://localhost:{port}"
        host = self.names[0] if self.names else "localhost" if host in _ANY_ADDRESS or _is_loopback(host) else host
        return f"https://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def local_only(self) -> bool:
        """Return True if only this machine can reach `url`, according to the settings."""
        return not self.names and _is_loopback(self.address[0])

    @property
    def syslog_address(self) -> tuple[str, int] | None:
        """Return host and port of the collector."""
        return split_listen(self.syslog) if self.syslog else None


def _setting(field: dataclasses.Field[object]) -> Setting:
    default = "" if field.default is dataclasses.MISSING else field.default
    return Setting(name=field.name, default=default, **field.metadata)


SETTINGS: Final[Mapping[str, Setting]] = {field.name: _setting(field) for field in dataclasses.fields(Settings)}


def read_settings(directory: Path, environment: Mapping[str, str], **given: str) -> Settings:
    """Return the settings of a data directory; `given` (from the command line) takes precedence. Raises
    SettingsError."""
    path = directory / FILE
    texts = _read_file(path)
    unknown = sorted(texts.keys() - SETTINGS.keys())
    if unknown:
        raise SettingsError(str(path), f"there is no setting {unknown[0]!r}", f"settings: {', '.join(SETTINGS)}")
    values: dict[str, Any] = {}
    for name, setting in SETTINGS.items():
        sources = ((given, "the command line"), (environment, setting.variable), (texts, f"{path}, {name}"))
        for source, where in sources:
            key = setting.variable if source is environment else name
            if source is environment and source.get(key) == "":
                raise SettingsError(where, "is set, but empty", "give it a value, or unset it")
            if key in source:
                values[name] = read_value(setting, source[key], where)
                break
    settings = Settings(**values)
    _verify_together(settings, str(path))
    return settings


def read_value(setting: Setting, value: object, where: str) -> Any:
    """Return the value of one setting, read from text. Raises SettingsError."""
    try:
        return setting.read(value)
    except ValueError:
        shown = "that value" if setting.is_secret else repr(value)
        raise SettingsError(where, f"{shown} is not allowed", f"give {setting.allowed}") from None


def _read_file(path: Path) -> Mapping[str, object]:
    try:
        status = path.stat()
        content = path.read_bytes()
    except FileNotFoundError:
        raise SettingsError(str(path), "no server found here", "run `sparekey init`, or pass another --data") from None
    except OSError as error:
        raise SettingsError(str(path), f"cannot be read ({error.strerror})", "run as the owner of the file") from None
    if status.st_uid not in (0, os.geteuid()):
        raise SettingsError(str(path), "belongs to another user", do_about_owner(path, directory=path.parent))
    if status.st_mode & (stat.S_IWGRP | stat.S_IRWXO):
        raise SettingsError(str(path), "others may read or change the settings", f"run: chmod 600 {path}")
    try:
        texts = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        place = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "no UTF-8"
        raise SettingsError(
            str(path), f"is not valid TOML ({place})", "correct it, or restore it from a backup"
        ) from None
    if not texts:
        raise SettingsError(str(path), "is empty", "restore it from its backup, or write at least: listen = ...")
    return texts


def _verify_together(settings: Settings, where: str) -> None:
    own = (settings.certificate, settings.key, settings.ca)
    if settings.tls == "own" and not all(own):
        raise SettingsError(where, "tls = 'own' needs certificate, key and ca", "give the paths of three PEM files")
    if settings.tls != "own" and any(own):
        raise SettingsError(where, "certificate, key and ca need tls = 'own'", "set tls to own, or leave them out")
    if settings.tls == "off" and not _is_loopback(settings.address[0]):
        raise SettingsError(
            where, "tls = 'off' is allowed only on a loopback address", "listen on 127.0.0.1, or use TLS"
        )
    if settings.tls != "off" and any(origin.startswith("http:") for origin in settings.origins):
        raise SettingsError(where, "an origin with http needs tls = 'off'", "write it with https")
    _verify_mail(settings, where)


def _verify_mail(settings: Settings, where: str) -> None:
    """Verify that the mail settings are complete or absent."""
    if not settings.smtp_host:
        if settings.mail_from or settings.alarm_mail or settings.smtp_user:
            raise SettingsError(
                where, "mail settings need a mail server", "set smtp_host, or remove the other mail settings"
            )
        return
    if not settings.mail_from:
        raise SettingsError(where, "smtp_host needs mail_from", "set the address that notices come from")
    if settings.smtp_tls == "off" and not _is_loopback(settings.smtp_host):
        raise SettingsError(
            where, "smtp_tls = 'off' is allowed only for a loopback address", "use starttls or implicit"
        )
    if bool(settings.smtp_user) is not bool(settings.smtp_password):
        raise SettingsError(where, "smtp_user and smtp_password must be set together", "set both, or neither")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
