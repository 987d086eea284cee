"""Recognises the kind of a file of tokens and reads it.

Rules: the content decides the kind, not the file name; the size and the number of entries are limited; a file that is
wrong as a whole raises BadInput, at the latest when its last item is requested.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sparekey.core.errors import BadInput
from sparekey.secret import Secret
from sparekey.token_files.csv_file import read_csv
from sparekey.token_files.entries import Item
from sparekey.token_files.pskc import NAMESPACE, read_pskc
from sparekey.token_files.sdtid import read_sdtid
from sparekey.token_files.xml_entries import local_name, walk

LARGEST_FILE: Final = 128 * 1024 * 1024  # bytes: 100,000 encrypted tokens of PSKC are about 71 MiB
MOST_ENTRIES: Final = 200_000  # in one file: each waits in memory until all are known


@dataclass(frozen=True)
class TokenFile:
    """A file of tokens; its items can be read once."""

    kind: str  # csv, pskc or sdtid
    items: Iterator[Item]


def read_token_file(data: bytes, password: Secret[str] | None, now: int) -> TokenFile:
    """Read a file. `password`: passphrase or key of an encrypted file; `now` in unix seconds. Raises BadInput."""
    if len(data) > LARGEST_FILE:
        raise BadInput(f"the file has {len(data)} bytes; at most {LARGEST_FILE} are read", "import it in parts")
    if not data.strip():
        raise BadInput("the file is empty", "give a file of tokens")
    kind, items = _opened(data, password, now)
    return TokenFile(kind, _bounded(items))


def _opened(data: bytes, password: Secret[str] | None, now: int) -> tuple[str, Iterator[Item]]:
    if not data.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n").startswith(b"<"):
        if password is not None:
            raise BadInput("a CSV file is not encrypted, but a password was given", "import it without one")
        return "csv", read_csv(data)
    elements = walk(data)
    root = next(elements)
    if root.tag == "TKNBatch":
        return "sdtid", read_sdtid(elements, password)
    if root.tag == f"{{{NAMESPACE}}}KeyContainer":
        return "pskc", read_pskc(elements, password, now)
    if local_name(root) in {"KeyContainer", "SecretContainer"}:
        raise BadInput("the file is PSKC of a draft before RFC 6030", "export it in the form of RFC 6030")
    raise BadInput("the file is XML, but neither PSKC nor .sdtid", "give a file of tokens")


def _bounded(items: Iterator[Item]) -> Iterator[Item]:
    for number, item in enumerate(items, 1):
        if number > MOST_ENTRIES:
            raise BadInput(f"the file has more than {MOST_ENTRIES} records", "import it in parts")
        yield item
