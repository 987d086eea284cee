"""The mark that the rows are sealed: a file beside the keys, which fits its port."""

import stat
from pathlib import Path

import pytest

from sparekey.app.ports import KeystoreError, SealMark
from sparekey.keystore.seal_mark import SealMarkFile
from tests.memory_keystore import MemorySealMark


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_mark_is_kept(kind: str, tmp_path: Path) -> None:
    mark: SealMark = SealMarkFile(tmp_path) if kind == "file" else MemorySealMark()
    assert mark.sealed_at() is None
    mark.keep("0013")
    mark.keep("0014")
    assert mark.sealed_at() == "0014"


def test_the_file_is_private_and_alone(tmp_path: Path) -> None:
    SealMarkFile(tmp_path).keep("0013")
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SealMarkFile(tmp_path).sealed_at() == "0013"


def test_a_damaged_or_unreadable_mark_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows-sealed"
    for text in ("", "13", "0013x", "9" * 100):
        path.write_text(text)
        with pytest.raises(KeystoreError, match="backup"):
            SealMarkFile(tmp_path).sealed_at()
    path.unlink()
    path.mkdir()
    with pytest.raises(KeystoreError, match="cannot"):
        SealMarkFile(tmp_path).sealed_at()
    with pytest.raises(KeystoreError, match="cannot write"):
        SealMarkFile(tmp_path).keep("0013")
