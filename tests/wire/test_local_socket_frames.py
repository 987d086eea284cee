"""The frames of the local socket: written frames are read back, and nothing else is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.wire.local_socket import (
    HEAD_BYTES,
    LONGEST_FRAME,
    LONGEST_REQUEST,
    BadFrame,
    Frame,
    FrameKind,
    Tag,
    decode_frame,
    encode_frame,
    frame,
    read_length,
)

LOGIN = frame(FrameKind.LOGIN, user="alice", passcode="2468123456")


def test_the_bytes_of_a_sign_in() -> None:
    expected = "0000001a" + "01" + "01" + "01" + "0005" + b"alice".hex() + "02" + "000a" + b"2468123456".hex()
    assert encode_frame(LOGIN).hex() == expected.replace("0000001a", f"{len(expected) // 2 - 4:08x}")


@given(st.text(max_size=200), st.text(max_size=200))
def test_written_messages_are_read_back(user: str, passcode: str) -> None:
    written = encode_frame(frame(FrameKind.LOGIN, user=user, passcode=passcode))
    assert read_length(written[:HEAD_BYTES]) == len(written) - HEAD_BYTES
    read = decode_frame(written[HEAD_BYTES:])
    assert (read.text(Tag.USER), read.text(Tag.PASSCODE), read.text(Tag.REPLY_TO)) == (user, passcode, "")


@given(st.integers(0, 2**64 - 1))
def test_numbers(value: int) -> None:
    read = decode_frame(encode_frame(frame(FrameKind.PROGRESS, done=value))[HEAD_BYTES:])
    assert read.number(Tag.DONE) == value


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    try:
        read = decode_frame(data)
    except BadFrame:
        return
    assert encode_frame(read)[HEAD_BYTES:] == data


@given(st.integers(0, len(encode_frame(LOGIN)) - 5), st.integers(1, 255))
def test_a_changed_byte_is_another_frame_or_refused(at: int, change: int) -> None:
    rest = bytearray(encode_frame(LOGIN)[HEAD_BYTES:])
    rest[at] ^= change
    try:
        assert decode_frame(bytes(rest)) != LOGIN
    except BadFrame:
        return


@pytest.mark.parametrize("cut", range(1, len(encode_frame(LOGIN)) - HEAD_BYTES))
def test_a_frame_cut_short_is_never_the_whole(cut: int) -> None:
    try:
        assert decode_frame(encode_frame(LOGIN)[HEAD_BYTES:-cut]).fields.keys() != LOGIN.fields.keys()
    except BadFrame:
        return


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"\1",
        b"\2\1",  # another version
        b"\1\x3f",  # no such type
        b"\1\1\1\0\0\1\0\0",  # a tag twice
        b"\1\1\x63\0\0",  # no such tag
        b"\1\4\1\0\0",  # a tag that the type does not have
        b"\1\1\1\0\2a",  # a field beyond the end
        b"\1\1\1\0",
    ],
)
def test_malformed_messages_are_refused(rest: bytes) -> None:
    with pytest.raises(BadFrame):
        decode_frame(rest)


def test_lengths_are_capped() -> None:
    assert read_length((LONGEST_REQUEST).to_bytes(4, "big"), LONGEST_REQUEST) == LONGEST_REQUEST
    for head in ((LONGEST_REQUEST + 1).to_bytes(4, "big"), b"\0\0\0\1", b"\0\0\0"):
        with pytest.raises(BadFrame):
            read_length(head, LONGEST_REQUEST)
    with pytest.raises(BadFrame):
        encode_frame(Frame(kind=FrameKind.REPORT, fields={Tag.REPORT: bytes(LONGEST_FRAME)}))
    with pytest.raises(BadFrame):
        frame(FrameKind.LOGIN, user=b"\xff").text(Tag.USER)
    with pytest.raises(BadFrame):
        frame(FrameKind.PROGRESS, done=b"1").number(Tag.DONE)


def test_a_passcode_does_not_print() -> None:
    assert "2468123456" not in repr(LOGIN)
