"""Read forms: limited in size, UTF-8 only, and files only in memory (S08, S65).

Rules:
- A form is sent as browsers send the forms of our pages. `text/plain` is no form: another site can make a browser send
  any text of that type, unasked (S61).
- A form with a file is parsed in a thread, because all other requests would wait for its many megabytes.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from sparekey.server.bodies import ANONYMOUS_BODY, read_body
from sparekey.server.errors import RequestRejected
from sparekey.server.service import Service
from sparekey.server.web.fields import BadFields, Fields, SentFile
from sparekey.server.web.visits import Visit
from sparekey.server.work import WorkPool

_FIELDS: Final = b"application/x-www-form-urlencoded"
_PARTS: Final = b"multipart/form-data"


async def with_form(
    service: Service, request: Request, visit: Visit, most: int = ANONYMOUS_BODY, pool: WorkPool | None = None
) -> Visit:
    """Return the visit with its form, and the time at which the form was complete. Raises RequestRejected.

    The time is read again because a client can send a form slowly. Otherwise the client could keep an expired
    challenge, code or session valid, and no lock would apply (S01, S06, S61). `pool`: the threads that parse a form
    with a file; raises Busy if it is full.
    """
    form = await read_form(request, most, pool)
    return replace(visit, form=form, now=service.now())


async def read_form(request: Request, most: int, pool: WorkPool | None = None) -> Fields:
    """Return the fields of a form. Raises RequestRejected if it is not a form, or too large."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    body = await read_body(request, most)
    no_form = RequestRejected(
        400, "bad-request", "the form could not be read", "reload the page and send the form again"
    )
    if kind not in (_FIELDS, _PARTS) or options.get(b"charset", b"utf-8").lower() != b"utf-8":
        raise no_form  # browsers send UTF-8 only, and some other encodings can take hours to read (S08)
    try:
        if kind == _FIELDS:
            return Fields.of(body.decode("ascii"))
        if pool is None:
            return await _multipart(request.headers, body)
        return await pool.run(lambda: asyncio.run(_multipart(request.headers, body)))
    except (BadFields, UnicodeDecodeError, MultiPartException):
        raise no_form from None


async def _multipart(headers: Headers, body: bytes) -> Fields:
    async def parts() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(headers, parts(), max_files=4, max_fields=200)
    parser.spool_max_size = len(body) + 1  # everything stays in memory, because a file may contain seeds
    data = await parser.parse()
    pairs, files = [], {}
    for name, value in data.multi_items():
        if isinstance(value, UploadFile):
            files[name] = SentFile(value.filename or "", await value.read())
        else:
            pairs.append((name, value))
    await data.close()
    return Fields(pairs, files)
