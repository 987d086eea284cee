"""A hostile host as a process of its own: keeps many connections open, and opens each again when it is closed.

    python -m tests.server.transport.hostile_source PORT ADDRESS KIND=COUNT ...

Kinds:
- `silent`: TCP alone; `idle`: TLS, and nothing more.
- `head`: a byte of a head every half second; `body`: a head, and half of the body that it announces.
- `console`, `self-service`, `session`: sign-ins of an unknown name, one after the other, with the slowest text.
- `key`: REST with a key that is not valid; `device`: requests of devices that are not enrolled; `page`: sign-in pages.

It runs only when the machine has nothing else to do, because a real one has a processor of its own. Prints `open` when
each connection was opened once and, if it asks anything, answered once.
"""

import asyncio
import contextlib
import os
import re
import resource
import secrets
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from sparekey.wire import agent_api as api
from sparekey.wire import signing

_PAUSE: Final = 0.5
_AT_ONCE: Final = 50
_HALF_BODY: Final = (
    b"POST /v1/sign-ins HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000\r\nContent-Type: application/json\r\n\r\n"
) + bytes(4_000)
_SLOWEST_TEXT: Final = "47120003700106"  # it can begin with most PINs, and each is hashed


@dataclass(frozen=True)
class Open:
    """An open connection. `used`: notes that it is in use as intended."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: Callable[[], None]

    async def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str, str]:
        """Return status, head and body of the answer."""
        sent = {"Host": "localhost", "Content-Length": str(len(body)), **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in sent.items())]
        self.writer.write("\r\n".join([*lines, "", body]).encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE)
        content = await self.reader.readexactly(int(length[1]) if length else 0)
        self.used()
        return int(head.split(" ")[1]), head, content.decode()

    async def closed(self) -> None:
        """Wait until the server closes."""
        while await self.reader.read(65_536):
            pass


async def _nothing(it: Open) -> None:
    it.used()
    await it.closed()


async def _slow_head(it: Open) -> None:
    it.used()
    closed = asyncio.create_task(it.closed())
    for byte in _HALF_BODY:  # its head is never complete: the server has closed before
        it.writer.write(bytes([byte]))
        await asyncio.wait([closed], timeout=_PAUSE)
        if closed.done():
            break
    await closed


async def _half_body(it: Open) -> None:
    it.writer.write(_HALF_BODY)
    await _nothing(it)


def _sign_ins_at(path: str) -> Callable[[Open], Awaitable[None]]:
    async def ask(it: Open) -> None:
        _, head, page = await it.ask("GET", path)
        cookies = "; ".join(re.findall(r"(?im)^set-cookie: ([^;\s]+)", head))
        mark = dict(re.findall(r'name="(\w+)" value="([0-9a-f]{64})"', page))
        typed = urlencode({**mark, "user": "nobody", "passcode": _SLOWEST_TEXT})
        form = {"Cookie": cookies, "Origin": "https://localhost", "Content_Type": "application/x-www-form-urlencoded"}
        while True:
            await it.ask("POST", path, typed, **form)

    return ask


async def _sessions(it: Open) -> None:
    body = f'{{"user": "nobody", "passcode": "{_SLOWEST_TEXT}"}}'
    while True:
        await it.ask("POST", "/v1/sessions", body, Content_Type="application/json")


async def _keys(it: Open) -> None:
    while True:
        await it.ask("POST", "/v1/sign-ins", "{}", Authorization=f"Bearer {secrets.token_urlsafe(32)}")


async def _devices(it: Open) -> None:
    while True:
        headers = {
            signing.DEVICE_HEADER: secrets.token_hex(16),
            signing.TIME_HEADER: "1",
            signing.BODY_HEADER: signing.BodyHead.of(b"").to_header(),
            signing.SIGNATURE_HEADER: signing.to_header(secrets.token_bytes(70)),
        }
        await it.ask("POST", api.SYNC, **headers)


async def _pages(it: Open) -> None:
    while True:
        await it.ask("GET", "/console/sign-in")


_KINDS: Final = {
    "silent": _nothing,
    "idle": _nothing,
    "head": _slow_head,
    "body": _half_body,
    "console": _sign_ins_at("/console/sign-in"),
    "self-service": _sign_ins_at("/self-service/sign-in"),
    "session": _sessions,
    "key": _keys,
    "device": _devices,
    "page": _pages,
}


async def main(port: int, address: str, counts: dict[str, int]) -> None:
    """Keep so many connections of each kind open for ever."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opening, in_use = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(0)

    async def keep(kind: str) -> None:
        tls = None if kind == "silent" else context
        was_used = False

        def used() -> None:
            nonlocal was_used
            if not was_used:
                in_use.release()
            was_used = True

        while True:
            try:
                async with opening:
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", port, local_addr=(address, 0), ssl=tls, family=socket.AF_INET
                    )
                await _hold(Open(reader, writer, used), kind)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(_PAUSE)

    tasks = [asyncio.create_task(keep(kind)) for kind, count in counts.items() for _ in range(count)]
    for _ in tasks:
        await in_use.acquire()
    print("open", flush=True)
    await asyncio.gather(*tasks)


async def _hold(it: Open, kind: str) -> None:
    """Use a connection until the server closes it."""
    try:
        await _KINDS[kind](it)
    finally:
        it.writer.close()
        with contextlib.suppress(OSError):
            await it.writer.wait_closed()


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    pairs = (each.split("=") for each in sys.argv[3:])
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], {kind: int(count) for kind, count in pairs}))
