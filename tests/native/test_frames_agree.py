"""The codec in C and the one in Python (wire/local_socket.py) take and refuse the same bytes; sanitizers watch."""

import subprocess
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
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
from tests.native.built import check

pytestmark = pytest.mark.services  # starts a process, and a compiler before it

FOR_A_SHIM = {FrameKind.ANSWER, FrameKind.DONE, FrameKind.SECRET, FrameKind.FAILED}
TEXTS = [Tag.RESULT, Tag.MODE, Tag.METHOD, Tag.MESSAGE, Tag.REASON, Tag.REPLY_TO, Tag.ASK]
SHOWN = [*TEXTS[:5], Tag.MISREAD, *TEXTS[5:], Tag.SECRET]
NUMBERS = [Tag.DAYS_LEFT, Tag.EMERGENCY_EXPIRES, Tag.DONE]
Ask = Callable[..., str]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """One line to the codec in C, one line back."""
    line = [str(check("asan/frames_driver"))]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def exchange(*words: str | bytes) -> str:
            texts = [word.hex() or "-" if isinstance(word, bytes) else word for word in words]
            stdin.write(" ".join(texts) + "\n")
            stdin.flush()
            return stdout.readline().strip() or "it ended"

        yield exchange
        stdin.close()
        assert process.wait(20) == 0


def as_python_reads_it(data: bytes) -> str:
    try:
        length = read_length(data[:HEAD_BYTES])
        found = decode_frame(data[HEAD_BYTES:])
        if length != len(data) - HEAD_BYTES or found.kind not in FOR_A_SHIM:
            return "refused"
        for tag in TEXTS:
            found.text(tag)
        words = [str(found.kind.value), *(str(found.number(tag)) for tag in NUMBERS)]
    except BadFrame:
        return "refused"
    return " ".join([*words, *(found.fields.get(tag, b"").hex() or "-" for tag in SHOWN)])


def joined(kind: int, fields: list[tuple[int, bytes]], version: int = 1) -> bytes:
    rest = bytes([version, kind])
    for tag, value in fields:
        rest += bytes([tag]) + len(value).to_bytes(2, "big") + value
    return len(rest).to_bytes(HEAD_BYTES, "big") + rest


def changed(data: bytes, at: int, piece: bytes, *, cut: int, settles: bool) -> bytes:
    """Return the frame with some bytes removed and others inserted; its length may be right or wrong."""
    at %= len(data)
    data = data[:at] + piece + data[at + cut :]
    return max(0, len(data) - HEAD_BYTES).to_bytes(HEAD_BYTES, "big") + data[HEAD_BYTES:] if settles else data


texts = st.text(max_size=20).map(str.encode) | st.sampled_from([b"granted", b"denied", b"", b"granted\0"])
bad_texts = st.binary(max_size=8) | st.sampled_from([b"\xed\xa0\x80", b"\xc0\x80", b"a\xff"])
good_fields = (
    st.tuples(st.sampled_from(TEXTS), texts)
    | st.tuples(st.sampled_from(NUMBERS), st.binary(min_size=8, max_size=8))
    | st.tuples(st.sampled_from([Tag.MISREAD, Tag.SECRET]), st.binary(max_size=20))
)
answer_fields = good_fields.filter(lambda each: each[0] not in {Tag.SECRET, Tag.DONE})
good = st.builds(
    joined, st.just(FrameKind.ANSWER), st.lists(answer_fields, max_size=10, unique_by=lambda each: each[0])
)
nearly = st.builds(joined, st.sampled_from(sorted(FrameKind)), st.lists(good_fields, max_size=3))
odd_fields = st.tuples(st.sampled_from(sorted(Tag)) | st.integers(0, 255), texts | bad_texts | st.binary(max_size=9))
odd = st.builds(
    joined,
    st.sampled_from(sorted(FrameKind)) | st.integers(0, 255),
    st.lists(odd_fields, max_size=3),
    st.sampled_from([1, 1, 1, 0, 2]),
)
any_frame = st.one_of(
    good,
    nearly,
    odd,
    st.binary(min_size=1, max_size=12),
    st.builds(
        changed, good | nearly, st.integers(0, 400), st.binary(max_size=4), cut=st.integers(0, 4), settles=st.booleans()
    ),
)
same_process = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@same_process
@given(st.lists(any_frame, min_size=5, max_size=20))
def test_s64_both_readers_accept_and_refuse_the_same_replies(ask: Ask, frames: list[bytes]) -> None:
    for data in frames:
        assert ask("reply", data) == as_python_reads_it(data), data.hex()


@pytest.mark.parametrize("size", [0, 1, 2, 65_535, 65_536, 65_537, 65_538, 0xFFFFFFFF])
def test_s64_a_length_out_of_range_is_refused(ask: Ask, size: int) -> None:
    longest = LONGEST_FRAME - 2
    fields = b"".join(
        bytes([tag]) + length.to_bytes(2, "big") + b"x" * length
        for tag, length in ((Tag.MESSAGE, 60_000), (Tag.METHOD, max(0, min(size, 70_000) - 60_008)))
        if size > longest - 10
    )
    data = min(size, 70_000).to_bytes(4, "big") if size != 0xFFFFFFFF else b"\xff" * 4
    data += bytes([1, FrameKind.ANSWER])[: min(size, 2)] + fields
    assert ask("reply", data) == as_python_reads_it(data)
    assert (ask("reply", data) == "refused") == (size not in {2, 65_535, 65_536})


@pytest.mark.parametrize(
    "value",
    [
        b"\x80",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xff",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xc2",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\xc2\x80",
        b"\xef\xbf\xbf",
        b"\xf4\x8f\xbf\xbf",
        b"\xed\x9f\xbf",
        b"\xc3\x28",
        b"\xe2\x28\xa1",
    ],
)
def test_both_readers_agree_on_text(ask: Ask, value: bytes) -> None:
    data = encode_frame(Frame(kind=FrameKind.ANSWER, fields={Tag.RESULT: b"granted", Tag.MESSAGE: b"a" + value}))
    assert ask("reply", data) == as_python_reads_it(data)


words = st.text(max_size=40) | st.integers(4060, 4100).map(lambda size: "a" * size)
secrets = st.binary(max_size=40) | st.integers(4060, 4100).map(bytes)


@same_process
@given(user=words, passcode=words, reply_to=words, secret=secrets, remote=st.booleans())
def test_both_writers_make_the_same_requests(
    ask: Ask, user: str, passcode: str, reply_to: str, secret: bytes, remote: bool
) -> None:
    login = frame(FrameKind.LOGIN, user=user, passcode=passcode, reply_to=reply_to, remote=int(remote))
    for line, expected in (
        (("login", user.encode(), passcode.encode(), reply_to.encode(), b"1" if remote else b""), login),
        (("keep", user.encode(), secret), frame(FrameKind.KEEP, purpose=user, secret=secret)),
        (("open", user.encode()), frame(FrameKind.OPEN, purpose=user)),
    ):
        data = encode_frame(expected)
        fits = len(data) - HEAD_BYTES <= LONGEST_REQUEST
        assert ask(*line) == (data.hex() if fits else "refused")


def test_a_request_is_never_longer_than_its_room(ask: Ask) -> None:
    data = encode_frame(frame(FrameKind.LOGIN, user="alice"))
    for room in range(len(data) + 2):
        assert ask("room", str(room), b"alice") == (data.hex() if room >= len(data) else "refused")
    for parts in ((b"a" * 70_000, b"", b""), (b"a" * 4089, b"", b""), (b"a" * 4091, b"", b""), (b"a" * 4092, b"", b"")):
        expected = "refused" if len(parts[0]) > LONGEST_REQUEST - 5 else ""
        assert ask("login", *parts).startswith(expected or "0000")


def test_a_text_that_is_none_is_not_sent(ask: Ask) -> None:
    assert ask("login", b"alice", b"\xff", b"") == "refused"
    assert ask("keep", b"os-password", b"\xff") != "refused"  # bytes
