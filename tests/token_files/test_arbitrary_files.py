"""Whatever the bytes, a file gives records and refusals, or is refused as a whole: nothing else comes of it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparekey.core.errors import BadInput
from sparekey.token_files import RefusedEntry, TokenEntry
from tests.token_files.read import items
from tools.token_files import csv_file, pskc_file, sdtid_file, tokens

KEY = bytes(range(16))
FILES: dict[str, tuple[bytes, str | None]] = {
    "csv": (csv_file(tokens(2)), None),
    "pskc": (pskc_file(tokens(2)), None),
    "pskc with a key": (pskc_file(tokens(2), key=KEY), KEY.hex()),
    "pskc with a password": (pskc_file(tokens(2), password="x", iterations=1), "x"),
    "sdtid": (sdtid_file(tokens(2, seed_bytes=16)), None),
}


def read(data: bytes, password: str | None) -> None:
    try:
        found = items(data, password)
    except BadInput:
        return
    assert all(isinstance(each, TokenEntry | RefusedEntry) for each in found)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: f"serial,type,seed\n{text}".encode()))
@example(b"\xff\xfe<")
@example(b"<")
@example(b"serial,type,seed\n\x00\n")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read(data, None)


@pytest.mark.parametrize("kind", FILES)
@given(data=st.data())
def test_any_change_of_a_file_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    content, password = FILES[kind]
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 200)))
    new = data.draw(st.binary(max_size=20) | st.sampled_from([b"", b"<x/>", b"&amp;", b"-", b"9" * 30, b"\n", b'"']))
    read(content[:start] + new + content[end:], password)
