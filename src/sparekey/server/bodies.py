"""Reads the body of a request, never more than it may have, not for ever, and few files at once (S08).

Who reads one takes the time anew afterwards: what counts is what is so when the body has come.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.requests import ClientDisconnect, Request

from sparekey.server.replies import Refusal
from sparekey.server.work import Busy

_MOST_FILES: Final = 4  # that are taken in at once by one process
_PATIENCE: Final = 30.0  # seconds for any body
_SLOWEST: Final = 64 * 1024  # bytes a second: as much longer may a large one take


class Files:
    """How many bodies larger than any other are in memory."""

    def __init__(self) -> None:
        self._inside = 0

    @contextmanager
    def one(self, *, is_file: bool) -> Iterator[None]:
        """Raises Busy where they are too many; what is no file has its place anyhow."""
        if is_file and self._inside >= _MOST_FILES:
            raise Busy
        self._inside += is_file
        try:
            yield
        finally:
            self._inside -= is_file


async def read_body(request: Request, most: int, patience: float = _PATIENCE) -> bytes:
    """The body, at most `most` bytes; raises Refusal (413) as soon as it is longer, whatever its header says.

    `patience`: the seconds for the first of it; where it does not come in time, Refusal (408).
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > most:
        raise _too_large(most)
    parts, size = [], 0
    try:
        async with asyncio.timeout(patience + int(announced) / _SLOWEST):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _too_large(most)
                parts.append(part)
    except ClientDisconnect:
        raise Refusal(400, "bad-request", "the request is incomplete", "send it again") from None
    except TimeoutError:
        raise Refusal(408, "too-slow", "the request was not complete in time", "send it again") from None
    return b"".join(parts)


def _too_large(most: int) -> Refusal:
    return Refusal(413, "too-large", f"the body has more than {most} bytes", "send less at once")
