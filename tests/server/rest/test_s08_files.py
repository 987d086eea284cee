"""S08 for files over REST: users cannot fill the server's memory by files they may not send, nor by many at once."""

import asyncio
import json

import pytest
from starlette.types import Message

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.rest.operation import LARGEST_BODY, MOST_MARKS
from sparekey.app.sessions import clients
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from tests.builders import NOW, ROOT
from tests.server.asgi import ask
from tests.server.interfaces import run
from tests.server.operation_world import World, an_administrator

FILES = ("/v1/user-imports", "/v1/token-imports")
AT_ONCE = 4


class Sender:
    """A client that sends a part of a file, and its end only when the test releases it."""

    def __init__(self, world: World, path: str, token: Secret[str]) -> None:
        self.asked = 0  # number of the server's reads
        self.may_end = asyncio.Event()
        self.began = asyncio.Event()
        self.status = 0
        self._world, self._path, self._token = world, path, token

    async def send(self) -> int:
        await self._world.interfaces.app(self._scope(), self._receive, self._reply)
        return self.status

    def _scope(self) -> dict[str, object]:
        headers = [(b"authorization", f"Bearer {self._token.reveal()}".encode())]
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "https",
            "path": self._path,
            "raw_path": self._path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": ("192.0.2.7", 50_000),
            "server": ("127.0.0.1", 8443),
        }

    async def _receive(self) -> Message:
        self.asked += 1
        self.began.set()
        if self.asked == 1:
            return {"type": "http.request", "body": b"[" * 65_536, "more_body": True}
        await self.may_end.wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _reply(self, message: Message) -> None:
        self.status = message.get("status", self.status)


@pytest.mark.parametrize("path", FILES)
def test_s08_a_caller_without_permission_cannot_upload(world: World, path: str) -> None:
    program = clients.add_client(world.instance, ROOT, "desk", TOP_DOMAIN, now=NOW)
    for token in (program, an_administrator(world.instance, "auditor", TOP_DOMAIN)):

        async def refused(token: Secret[str] = token) -> tuple[int, int]:
            sender = Sender(world, path, token)
            return await asyncio.wait_for(sender.send(), 10), sender.asked

        assert run(refused()) == (403, 0)


def test_s08_few_files_are_taken_in_at_once(world: World) -> None:
    token = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)

    async def statuses() -> tuple[int, list[int], int]:
        senders = [Sender(world, FILES[number % 2], token) for number in range(AT_ONCE)]
        under_way = [asyncio.create_task(sender.send()) for sender in senders]
        for sender in senders:
            await asyncio.wait_for(sender.began.wait(), 10)
        turned_away = await asyncio.wait_for(Sender(world, FILES[0], token).send(), 10)
        for sender in senders:
            sender.may_end.set()
        first = await asyncio.gather(*under_way)
        last = Sender(world, FILES[0], token)
        last.may_end.set()
        return turned_away, first, await last.send()

    turned_away, first, after = run(statuses())
    assert turned_away == 503
    assert [*first, after] == [400] * (AT_ONCE + 1)  # no file, but read to the end


def test_s08_a_large_body_of_small_values_is_refused_before_it_is_decoded(world: World) -> None:
    """Decoding millions of values would keep all other requests waiting. A file is one value."""
    token = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    headers = {"Authorization": f"Bearer {token.reveal()}"}
    for body in (
        b'{"data":[' + b"1," * MOST_MARKS + b"1]}",
        b'{"data":' + b"[" * MOST_MARKS,
        b"{" * MOST_MARKS + b",,",
    ):
        reply = run(ask(world.interfaces.app, "POST", FILES[0], body, headers))
        assert (reply.status, "fewer values" in reply.json["message"]) == (400, True)
    rows = "".join(f"many{number},,,,\n" for number in range(MOST_MARKS // 4))
    body = json.dumps({"data": ("login,name,domain,mail,expires\n" + rows).encode().hex(), "dry_run": True}).encode()
    assert len(body) > LARGEST_BODY
    reply = run(ask(world.interfaces.app, "POST", FILES[0], body, headers))
    assert (reply.status, reply.json["added"]) == (200, MOST_MARKS // 4)
