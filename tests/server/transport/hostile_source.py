"""A hostile host as a process of its own: keeps many connections open, and opens each again when it is closed.

    python -m tests.server.transport.hostile_source PORT KIND COUNT ADDRESS

KIND: `silent` (TCP alone), `idle` (TLS, and nothing more), `head` (a byte of a head every half second), or `body` (a
head, and half of the body that it announces). Prints `open` when all have been opened once.
"""

import asyncio
import contextlib
import resource
import socket
import ssl
import sys

_HEAD = (
    b"POST /v1/sign-ins HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000\r\nContent-Type: application/json\r\n\r\n"
)
_PAUSE = 0.5
_AT_ONCE = 50


async def main(port: int, kind: str, count: int, address: str) -> None:
    """Keep `count` connections of this kind open for ever."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opening, opened = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(0)

    async def keep() -> None:
        first = True
        while True:
            try:
                async with opening:
                    reader, writer = await _connect(port, address, None if kind == "silent" else context)
                if first:
                    opened.release()
                    first = False
                await _hold(reader, writer, kind)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(_PAUSE)

    tasks = [asyncio.create_task(keep()) for _ in range(count)]
    for _ in range(count):
        await opened.acquire()
    print("open", flush=True)
    await asyncio.gather(*tasks)


async def _connect(
    port: int, address: str, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0), ssl=context, family=socket.AF_INET)


async def _hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str) -> None:
    """Hold a connection until the server closes it."""
    try:
        if kind == "body":
            writer.write(_HEAD + bytes(4_000))
        closed = asyncio.create_task(reader.read())
        while not closed.done():
            if kind == "head":
                writer.write(_HEAD[:1])
            await asyncio.wait([closed], timeout=_PAUSE if kind == "head" else None)
        await closed
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]))
