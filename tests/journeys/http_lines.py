"""Many plain HTTP connections to servers that are processes: each request goes out at the same moment as the others."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparekey.wire import agent_api as api
from sparekey.wire.messages import encode
from tests.builders import Device
from tests.server.interfaces import headers_of

REST = "/v1/sign-ins"


@dataclass(frozen=True)
class Request:
    """One POST of these bytes."""

    path: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def encoded(self) -> bytes:
        lines = [f"POST {self.path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def is_granted(self) -> bool:
        return self.status == 200 and self.json["result"] == "granted"


def by_client(key: str, login: str, typed: str) -> Request:
    """A program asks at the REST API."""
    body = json.dumps({"user": login, "passcode": typed}).encode()
    return Request(REST, body, {"Authorization": f"Bearer {key}"})


def by_device(device: Device, login: str, typed: str, now: int) -> Request:
    """A device asks at the agent API."""
    body = encode(api.SignInRequest(login=login, passcode=typed, check=""))
    return Request(api.SIGN_INS, body, headers_of(device, api.SIGN_INS, body, now))


class Line:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Request) -> Reply | None:
        """The reply; None where the server broke off, which is no answer."""
        try:
            reader, writer = self._streams = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(request.encoded)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").lower()
            length = next(int(line[15:]) for line in head.splitlines() if line.startswith("content-length:"))
            return Reply(int(head.split(" ", 2)[1]), await reader.readexactly(length))
        except (OSError, EOFError):
            self.close()
            return None

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def ask_all(lines: Sequence[Line], requests: Sequence[Request]) -> list[Reply | None]:
    """Ask all at the same time, one on each line."""
    return await asyncio.gather(*(line.ask(request) for line, request in zip(lines, requests, strict=True)))
