"""Settings: file, environment and command line, and the resulting values."""

from pathlib import Path

import pytest

from sparekey.secret import Secret
from sparekey.server.settings import FILE, SETTINGS, Settings, read_settings, split_listen


def written(directory: Path, text: str) -> Path:
    (directory / FILE).write_text(text)
    (directory / FILE).chmod(0o600)
    return directory


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    written(tmp_path, 'listen = "127.0.0.1:1"\nworkers = 2\nlog_level = "error"\n')
    environment = {"SPAREKEY_LISTEN": "127.0.0.1:2", "SPAREKEY_WORKERS": "3", "SPAREKEY_OTHER": "ignored"}
    settings = read_settings(tmp_path, environment, listen="127.0.0.1:3")
    assert (settings.listen, settings.workers, settings.log_level) == ("127.0.0.1:3", 3, "error")


def test_missing_settings_have_defaults(tmp_path: Path) -> None:
    assert read_settings(written(tmp_path, "workers = 1\n"), {}) == Settings()
    assert Settings().database_url(tmp_path) == f"sqlite:///{tmp_path}/sparekey.db"


def test_names_are_a_list_or_separated_by_commas(tmp_path: Path) -> None:
    written(tmp_path, 'names = ["login.example.org", "2001:db8::1"]\n')
    assert read_settings(tmp_path, {}).names == ("login.example.org", "2001:db8::1")
    assert read_settings(tmp_path, {"SPAREKEY_NAMES": "a.example, 192.0.2.1,"}).names == ("a.example", "192.0.2.1")


def test_a_password_in_the_address_does_not_print() -> None:
    settings = Settings(database=Secret("postgresql://sparekey:canary@db/sparekey"))
    assert "canary" not in f"{settings} {settings!r}"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8443", "127.0.0.1", 8443),
        ("[::1]:1", "::1", 1),
        ("login.example.org:65535", "login.example.org", 65535),
    ],
)
def test_listening_addresses(text: str, host: str, port: int) -> None:
    assert split_listen(text) == (host, port)


@pytest.mark.parametrize(
    "text", ["", ":", "x:", ":80", "x:0", "x:65536", "::1:80", "a b:80", "-x:80", "x:\u0661", "x:+1"]
)
def test_invalid_listening_addresses(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|brackets"):
        split_listen(text)


def test_every_setting_has_an_explanation() -> None:
    for setting in SETTINGS.values():
        assert setting.meaning.endswith(".")
        assert setting.allowed
        assert setting.variable == f"SPAREKEY_{setting.name.upper()}"


@pytest.mark.parametrize(
    ("listen", "tls", "url"),
    [
        ("127.0.0.1:8443", "local", "https://localhost:8443"),
        ("127.0.0.1:8443", "off", "http://localhost:8443"),
        ("127.0.0.1:8443", "own", "https://127.0.0.1:8443"),  # its certificate may not stand for another name
        ("[::1]:8443", "local", "https://[::1]:8443"),
        ("0.0.0.0:8443", "local", "https://0.0.0.0:8443"),
    ],
)
def test_loopback_is_called_by_a_name_to_which_passkeys_can_be_bound(
    tmp_path: Path, listen: str, tls: str, url: str
) -> None:
    own = {"certificate": "c.pem", "key": "k.pem", "ca": "ca.pem"} if tls == "own" else {}
    settings = read_settings(written(tmp_path, "workers = 1\n"), {}, listen=listen, tls=tls, **own)
    assert settings.listening_url == url


def test_links_begin_with_the_address_that_browsers_use(tmp_path: Path) -> None:
    written(tmp_path, 'tls = "off"\norigins = ["https://login.example.org", "https://other.example.org:8443"]\n')
    assert read_settings(tmp_path, {}).console_url == "https://login.example.org"
    written(tmp_path, 'tls = "off"\norigins = ["http://localhost:8080"]\n')
    assert read_settings(tmp_path, {}).console_url == "http://localhost:8080"
