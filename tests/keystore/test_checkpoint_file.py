"""The file that keeps the newest checkpoint, and those the database no longer answers for."""

import stat
from pathlib import Path

import pytest

from sparekey.core.audit_log.checkpoint import Checkpoint, CheckpointError
from sparekey.keystore.checkpoint_file import CheckpointFile


def a_checkpoint(number: int = 1) -> Checkpoint:
    return Checkpoint(number=number, total=number * 3, signed_at=1_800_000_000, hash=b"h" * 32, signature=b"s" * 64)


def test_a_checkpoint_file_is_one_line_readable_by_its_owner_only(tmp_path: Path) -> None:
    CheckpointFile(tmp_path / "checkpoint").keep(a_checkpoint())
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    assert (tmp_path / "checkpoint").read_text() == a_checkpoint().text + "\n"
    assert stat.S_IMODE((tmp_path / "checkpoint").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"sparekey-checkpoint/1\n", b"\xff\xfe", b"x" * 1000])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(content)
    with pytest.raises(CheckpointError):
        CheckpointFile(tmp_path / "checkpoint").newest()


def test_checkpoints_set_aside_remain_witnesses(tmp_path: Path) -> None:
    store = CheckpointFile(tmp_path / "checkpoint")
    for number in (7, 5, 9):
        store.keep(a_checkpoint(number))
        store.set_aside()
    store.keep(a_checkpoint(3))
    (tmp_path / "checkpoint.lost-4").write_text("damaged")
    assert sorted(witness.number for witness in store.witnesses()) == [3, 5, 7, 9]
    assert store.newest() == a_checkpoint(3)
