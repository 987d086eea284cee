"""Read request bodies: limited in size, in time, and in the number of files at once (S08).

Callers must read the clock again afterwards, and check again: the client may have been revoked during a slow upload.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.requests import ClientDisconnect, Request

from sparekey.server.errors import RequestRejected
from sparekey.server.work import Busy

_MOST_FILES: Final = 4  # files in memory at once, in one process
ANONYMOUS_BODY: Final = 16_384  # bytes from a client that has not proved its identity
_ANONYMOUS_PATIENCE: Final = 3.0  # seconds for a body of that size
_PATIENCE: Final = 30.0  # seconds for a larger one
_NO_SIZE: Final = 1 << 62  # larger than any limit
_SLOWEST: Final = 64 * 1024  # bytes a second: a large body may take longer, by its size at this rate


class LargeBodyLimit:
    """Limits how many bodies larger than all others are in memory."""

    def __init__(self) -> None:
        self._inside = 0

    @contextmanager
    def one(self, *, is_file: bool) -> Iterator[None]:
        """Reserve memory for a file; smaller bodies need no reservation. Raises Busy if there are too many."""
        if is_file and self._inside >= _MOST_FILES:
            raise Busy
        self._inside += is_file
        try:
            yield
        finally:
            self._inside -= is_file


async def read_body(request: Request, most: int, patience: float | None = None) -> bytes:
    """Return the body, at most `most` bytes. Raises RequestRejected: 413 as soon as it is longer, even if its header
    names a smaller length; 408 if it does not come in time.

    Pass more than ANONYMOUS_BODY only after the client has proved its identity: such a body has more time, too.
    `patience`: other seconds for its first bytes.
    """
    if patience is None:
        patience = _PATIENCE if most > ANONYMOUS_BODY else _ANONYMOUS_PATIENCE
    announced = announced_size(request)
    if announced > most:
        raise too_large(most)
    parts, size = [], 0
    try:
        async with asyncio.timeout(patience + announced / _SLOWEST):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise too_large(most)
                parts.append(part)
    except ClientDisconnect:
        raise RequestRejected(400, "bad-request", "the request is incomplete", "send it again") from None
    except TimeoutError:
        raise RequestRejected(408, "too-slow", "the request was not complete in time", "send it again") from None
    return b"".join(parts)


def announced_size(request: Request) -> int:
    """Return the size of the body in bytes according to its header; 0 without one, which is no limit."""
    announced = request.headers.get("content-length", "0")
    return int(announced) if announced.isascii() and announced.isdigit() else _NO_SIZE


def too_large(most: int) -> RequestRejected:
    """Return the refusal of a longer body than `most` bytes."""
    return RequestRejected(413, "too-large", f"the body has more than {most} bytes", "send less at once")
