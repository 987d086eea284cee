"""The key directory: its permissions, its refusals, and no keys over existing ones."""

import os
import stat
from pathlib import Path

import pytest

from sparekey.app.ports import KeyPurpose, KeystoreError
from sparekey.keystore.file import FileKeystore

FILES = ["checkpoint.key", "master.key", "offline.key"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    FileKeystore.create(tmp_path / "keys")
    return tmp_path / "keys"


def refusal(directory: Path) -> str:
    with pytest.raises(KeystoreError) as refused:
        FileKeystore(directory)
    return str(refused.value)


def test_s26_only_the_owner_can_read_the_keys(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FileKeystore.create(tmp_path / "keys")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == FILES
    for path in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_size == 32


def test_the_keys_are_the_same_when_opened_again(directory: Path) -> None:
    first, second = FileKeystore(directory), FileKeystore(directory)
    assert [first.public_key(purpose) for purpose in KeyPurpose] == [
        second.public_key(purpose) for purpose in KeyPurpose
    ]
    assert second.unwrap(first.wrap(b"k" * 32, b"c"), b"c") == b"k" * 32


def test_an_empty_directory_is_used(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    FileKeystore.create(tmp_path / "keys")
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_existing_keys_are_never_replaced(directory: Path) -> None:
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(KeystoreError, match="missing or empty"):
        FileKeystore.create(directory)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    assert [path.name for path in directory.parent.iterdir()] == ["keys"]


def test_keys_need_a_parent_directory(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="cannot make keys"):
        FileKeystore.create(tmp_path / "missing" / "keys")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "keys") in refusal(tmp_path / "keys")


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o701, 0o777])
def test_s26_a_directory_open_to_others_is_refused(directory: Path, mode: int) -> None:
    directory.chmod(mode)
    assert f"chmod 700 {directory}" in refusal(directory)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_s26_a_key_open_to_others_is_refused(directory: Path, name: str, mode: int) -> None:
    (directory / name).chmod(mode)
    assert f"chmod 600 {directory / name}" in refusal(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", [".", "master.key"])
def test_s26_keys_of_another_user_are_refused(directory: Path, name: str) -> None:
    os.chown(directory / name, 65534, -1)
    astray = "belongs to user 65534, this runs as 0; give it back to the directory's owner, as root: chown 0 "
    assert f"{astray}{directory}" in refusal(directory)
    os.chown(directory.parent, 65534, -1)
    assert f"; run: runuser -u nobody -- sparekey --data {directory.parent} ..." in refusal(directory)


@pytest.mark.parametrize("name", FILES)
def test_s26_a_link_in_the_place_of_a_key_is_refused(directory: Path, name: str) -> None:
    (directory / name).rename(directory.parent / "elsewhere.key")
    (directory / name).symlink_to(directory.parent / "elsewhere.key")
    assert str(directory / name) in refusal(directory)


def test_s26_a_link_in_the_place_of_the_directory_is_refused(directory: Path) -> None:
    link = directory.parent / "link"
    link.symlink_to(directory)
    assert str(link) in refusal(link)


def test_a_pipe_in_the_place_of_a_key_is_refused_at_once(directory: Path) -> None:
    (directory / "master.key").unlink()
    os.mkfifo(directory / "master.key", 0o600)
    assert "no regular file" in refusal(directory)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_key_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    assert str(directory / name) in refusal(directory)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(directory: Path, length: int) -> None:
    (directory / "offline.key").write_bytes(bytes(length))
    assert "exactly 32 bytes" in refusal(directory)


def test_nothing_of_the_keys_shows(directory: Path) -> None:
    keystore = FileKeystore(directory)
    shown = repr(keystore) + str(vars(keystore))
    for path in directory.iterdir():
        assert path.read_bytes().hex() not in shown
        assert repr(path.read_bytes()) not in shown
