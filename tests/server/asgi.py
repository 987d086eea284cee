"""Asks the application in this process, as uvicorn would: a request in, status, headers and body out."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Reply:
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    seconds: float  # from the request to the last byte

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The word for programs."""
        return str(self.json["error"])


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    address: str = "192.0.2.7",
    announced: bool = True,
    part_bytes: int = 65_536,
) -> Reply:
    """One request; `announced`: with a content-length, else in parts of unknown number."""
    target, _, query = path.partition("?")
    parts = [body[start : start + part_bytes] for start in range(0, len(body), part_bytes)] or [b""]
    given = {**(headers or {}), **({"content-length": str(len(body))} if announced else {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": unquote(target),
        "raw_path": target.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
        "client": (address, 50_000),
        "server": ("127.0.0.1", 8443),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    loop = asyncio.get_running_loop()
    begun = loop.time()
    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return Reply(sent[0]["status"], tuple(sent[0]["headers"]), content, loop.time() - begun)
