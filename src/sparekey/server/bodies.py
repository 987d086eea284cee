"""Reads the body of a request, never more than it may have (S08)."""

from starlette.requests import ClientDisconnect, Request

from sparekey.server.replies import Refusal


async def read_body(request: Request, most: int) -> bytes:
    """The body, at most `most` bytes; raises Refusal (413) as soon as it is longer, whatever its header says."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > most:
        raise _too_large(most)
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise _too_large(most)
            parts.append(part)
    except ClientDisconnect:
        raise Refusal(400, "bad-request", "the request broke off", "send it again") from None
    return b"".join(parts)


def _too_large(most: int) -> Refusal:
    return Refusal(413, "too-large", f"the body has more than {most} bytes", "send less at once")
