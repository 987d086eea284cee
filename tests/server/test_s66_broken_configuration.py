"""S66: a broken or empty configuration denies everyone: nothing is guessed, and the server does not begin to answer."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.app.ports import KeystoreError
from sparekey.app.vault import VaultError
from sparekey.clock import now as clock_now
from sparekey.secret import Secret
from sparekey.server.settings import FILE, Settings, SettingsError, read_settings
from sparekey.storage.schema import SchemaError
from sparekey.wiring.server import NewServer, create_server, open_instance
from tests.builders import ROOT
from tests.server.serving import SPAREKEY, a_data_directory, free_port

pytestmark = pytest.mark.real_argon2


def written(directory: Path, content: bytes) -> Path:
    path = directory / FILE
    path.write_bytes(content)
    path.chmod(0o600)
    return path


BROKEN = {
    "empty": b"",
    "only a comment": b"# listen = '127.0.0.1:8443'\n",
    "not valid TOML": b"listen: 127.0.0.1:8443\n",
    "cut off": b'listen = "127.0.0.1:84',
    "no UTF-8": b"listen = '\xff'\n",
    "unknown key": b'listen = "127.0.0.1:8443"\nlistne = "x"\n',
    "table": b"[listen]\nhost = 1\n",
    "number for text": b"listen = 8443\n",
    "text for a number": b"workers = 'many'\n",
    "true for a number": b"workers = true\n",
    "a fraction": b"workers = 1.5\n",
    "too many": b"workers = 65\n",
    "floor off": b"refusal_floor_ms = 0\n",
    "no port": b"listen = '127.0.0.1'\n",
    "no IPv6 brackets": b"listen = '::1:8443'\n",
    "port 0": b"listen = '127.0.0.1:0'\n",
    "unknown tls": b"tls = 'maybe'\n",
    "tls off for all": b"tls = 'off'\nlisten = '0.0.0.0:8443'\n",
    "own without files": b"tls = 'own'\n",
    "files without own": b"ca = '/etc/ca.pem'\n",
    "names as text with spaces": b"names = ['a b']\n",
    "unknown level": b"log_level = 'silent'\n",
    "mail without a server": b'mail_from = "a@example.org"\n',
    "alarms without a server": b'alarm_mail = ["a@example.org"]\n',
    "mail from nobody": b'smtp_host = "mail.example.org"\n',
    "no mail address": b'smtp_host = "mail.example.org"\nmail_from = "sparekey"\n',
    "two lines of a mail address": b'smtp_host = "mail"\nmail_from = "a@example.org\\r\\nBcc: b@example.org"\n',
    "a password without a user": b'smtp_host = "mail"\nmail_from = "a@b.example"\nsmtp_password = "x"\n',
    "mail without TLS": b'smtp_host = "mail"\nmail_from = "a@b.example"\nsmtp_tls = "off"\n',
    "an origin with a path": b'origins = ["https://login.example.org/console"]\n',
    "an origin without TLS": b'origins = ["http://localhost:8080"]\n',
    "a collector without a port": b'syslog = "logs.example.org"\n',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_s66_broken_settings_are_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path, content)
    with pytest.raises(SettingsError) as caught:
        read_settings(tmp_path, {})
    assert str(path) in caught.value.message
    assert caught.value.do


@given(content=st.binary(max_size=200))
def test_s66_any_file_gives_settings_or_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    directory = tmp_path_factory.mktemp("data")
    written(directory, content)
    with contextlib.suppress(SettingsError):
        assert isinstance(read_settings(directory, {}), Settings)


def test_s66_settings_that_others_may_read_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, b"workers = 1\n")
    for mode in (0o604, 0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(SettingsError, match="chmod 600"):
            read_settings(tmp_path, {})


@pytest.mark.parametrize("variable", ["SPAREKEY_LISTEN", "SPAREKEY_WORKERS", "SPAREKEY_TLS", "SPAREKEY_LOG_LEVEL"])
def test_s66_a_bad_variable_is_named(tmp_path: Path, variable: str) -> None:
    written(tmp_path, b"workers = 1\n")
    with pytest.raises(SettingsError, match=variable):
        read_settings(tmp_path, {variable: "broken"})


@pytest.mark.parametrize(
    "content", [b"database = ['postgresql://sparekey:canary@db/sparekey']\n", b"smtp_password = ['canary']\n"]
)
def test_s66_an_error_never_repeats_a_password(tmp_path: Path, content: bytes) -> None:
    written(tmp_path, content)
    with pytest.raises(SettingsError) as caught:
        read_settings(tmp_path, {})
    assert "canary" not in str(caught.value)


def _no_keys(data: Path) -> None:
    shutil.rmtree(data / "keys")


def _other_keys(data: Path) -> None:
    other = data.parent / "other"
    create_server(other, NewServer(Secret("")), ROOT, clock_now())
    shutil.rmtree(data / "keys")
    shutil.copytree(other / "keys", data / "keys")


def _one_key_short(data: Path) -> None:
    (data / "keys" / "master.key").write_bytes(b"short")


def _no_ca(data: Path) -> None:
    (data / "keys" / "ca.pem").write_bytes(b"")


def _empty_database(data: Path) -> None:
    for path in data.glob("sparekey.db*"):
        path.unlink()


def _no_data_key(data: Path) -> None:
    import sqlite3  # noqa: PLC0415 -- an intruder's tool, not ours

    connection = sqlite3.connect(data / "sparekey.db")
    connection.execute("DELETE FROM data_key")
    connection.commit()
    connection.close()


DAMAGES: list[Callable[[Path], None]] = [_no_keys, _other_keys, _one_key_short, _no_ca, _empty_database, _no_data_key]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_s66_without_its_keys_or_tables_nothing_opens(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    data = a_data_directory(tmp_path)
    damage(data)
    with pytest.raises((KeystoreError, VaultError, SchemaError)):
        open_instance(data, read_settings(data, {}))


@pytest.mark.services
@pytest.mark.parametrize("damage", [_no_keys, _empty_database, lambda data: written(data, b"")])
def test_s66_a_broken_server_does_not_begin_to_answer(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    data, port = a_data_directory(tmp_path), free_port()
    damage(data)
    command = [str(SPAREKEY), "--data", str(data), "serve", "--listen", f"127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=dict(os.environ))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("sparekey: ")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
