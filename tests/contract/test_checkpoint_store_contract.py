"""The contract of every store of checkpoints."""

from pathlib import Path

import pytest

from sparekey.app.ports import CheckpointStore
from sparekey.core.audit_log.checkpoint import Checkpoint
from sparekey.keystore.checkpoint_file import CheckpointFile
from tests.memory_keystore import MemoryCheckpoints


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CheckpointStore:
    return MemoryCheckpoints() if request.param == "memory" else CheckpointFile(tmp_path / "checkpoint")


def a_checkpoint(number: int = 1) -> Checkpoint:
    return Checkpoint(number=number, total=number * 3, signed_at=1_800_000_000, hash=b"h" * 32, signature=b"s" * 64)


def test_a_new_store_holds_none(store: CheckpointStore) -> None:
    assert store.newest() is None


def test_the_last_stored_checkpoint_is_the_newest(store: CheckpointStore) -> None:
    store.keep(a_checkpoint(1))
    store.keep(a_checkpoint(2))
    assert store.newest() == a_checkpoint(2)


def test_a_checkpoint_set_aside_makes_room(store: CheckpointStore) -> None:
    store.keep(a_checkpoint(5))
    store.set_aside()
    assert store.newest() is None
    store.keep(a_checkpoint(3))
    assert store.newest() == a_checkpoint(3)
