"""Checkpoints as text, and their signatures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.app.ports import KeyPurpose
from sparekey.core.audit_log.checkpoint import Checkpoint, CheckpointError, signed_message
from tests.memory_keystore import MemoryKeystore

KEYS = MemoryKeystore()


def a_checkpoint(
    number: int = 7, total: int = 900, signed_at: int = 1_800_000_000, digest: bytes = b"h" * 32
) -> Checkpoint:
    signature = KEYS.sign(KeyPurpose.CHECKPOINT, signed_message(number, total, signed_at, digest))
    return Checkpoint(number, total, signed_at, digest, signature)


@given(
    number=st.integers(1, 10**17),
    total=st.integers(1, 10**17),
    signed_at=st.integers(0, 10**17),
    digest=st.binary(min_size=32, max_size=32),
)
def test_the_text_reads_back_and_verifies(number: int, total: int, signed_at: int, digest: bytes) -> None:
    checkpoint = a_checkpoint(number, total, signed_at, digest)
    again = Checkpoint.parse(checkpoint.text)
    assert again == checkpoint
    again.verify(KEYS.public_key(KeyPurpose.CHECKPOINT))
    assert len(checkpoint.text) <= 275


def test_any_other_value_is_not_signed() -> None:
    good = a_checkpoint()
    for change in (
        {"number": 8},
        {"total": 901},
        {"signed_at": 1_800_000_001},
        {"hash": b"H" * 32},
        {"signature": b"s" * 64},
        {"signature": b""},
        {"hash": b""},
    ):
        with pytest.raises(CheckpointError):
            Checkpoint(**vars(good) | change).verify(KEYS.public_key(KeyPurpose.CHECKPOINT))


def test_another_servers_key_does_not_verify() -> None:
    with pytest.raises(CheckpointError):
        a_checkpoint().verify(MemoryKeystore().public_key(KeyPurpose.CHECKPOINT))


def test_only_an_exact_checkpoint_line_is_read() -> None:
    line = a_checkpoint().text
    for other in (
        "",
        line.replace(" 7 ", " 07 "),
        line.replace(" 7 ", " -7 "),
        line.replace(" 7 ", " \u0667 "),
        line.replace(" 7 ", "  7 "),
        line.upper(),
        line[:-1],
        line + "0",
        line + " x",
        line + "\n" + line,
        line.replace("checkpoint/1", "checkpoint/2"),
    ):
        with pytest.raises(CheckpointError):
            Checkpoint.parse(other)
