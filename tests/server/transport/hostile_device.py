"""The attacker's program on an enrolled device as a process of its own: it has the key of the device.

    python -m tests.server.transport.hostile_device PORT ADDRESS

Standard input: a JSON object with `device`, `key` (PEM) and `plans`. A plan has the `path` of its requests, their
`body` (base64), the number of its `connections`, and `is_signed`, `is_whole`:
- `is_signed` false: the signature is random bytes, as a stranger sends who knows the id of the device.
- `is_whole` false: the head is signed for this body, and another body of the same length follows.

Each connection sends one request after the other, and looks at no answer. The process runs only when the machine has
nothing else to do, because a real attacker has a processor of its own. It prints `open` when each connection has had an
answer.
"""

import asyncio
import base64
import contextlib
import json
import os
import re
import secrets
import ssl
import sys
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sparekey.clock import now as clock_now
from sparekey.wire import signing

_PAUSE_SECONDS: Final = 0.2  # before a new connection


@dataclass(frozen=True)
class Plan:
    """The requests of a connection; see above."""

    path: str
    body: bytes
    is_signed: bool
    is_whole: bool


@dataclass(frozen=True)
class HostileDevice:
    """The id and the key of the device."""

    device_id: str
    key: ec.EllipticCurvePrivateKey

    def request(self, plan: Plan) -> bytes:
        """Return the bytes of a request with the time of now."""
        head, now = signing.BodyHead.of(plan.body), clock_now()
        message = signing.request_bytes("POST", plan.path, self.device_id, now, head)
        signature = signing.sign(self.key, message) if plan.is_signed else secrets.token_bytes(70)
        headers = {
            "Host": "localhost",
            "Content-Type": "application/json",
            "Content-Length": str(head.length),
            signing.DEVICE_HEADER: self.device_id,
            signing.TIME_HEADER: str(now),
            signing.BODY_HEADER: head.to_header(),
            signing.SIGNATURE_HEADER: signing.to_header(signature),
        }
        lines = [f"POST {plan.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        body = plan.body if plan.is_whole else plan.body[:-1] + b" "
        return "\r\n".join([*lines, "", ""]).encode() + body


async def main(port: int, address: str, device: HostileDevice, plans: list[Plan]) -> None:
    """Send the requests of each plan for ever, each plan on a connection of its own."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    answered = asyncio.Semaphore(0)

    async def send(plan: Plan) -> None:
        was_answered = False
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0), ssl=context)
                try:
                    while True:
                        writer.write(device.request(plan))
                        await _read_answer(reader)
                        if not was_answered:
                            answered.release()
                        was_answered = True
                finally:
                    writer.close()
            await asyncio.sleep(_PAUSE_SECONDS)

    tasks = [asyncio.create_task(send(plan)) for plan in plans]
    for _ in tasks:
        await answered.acquire()
    print("open", flush=True)
    await asyncio.gather(*tasks)


async def _read_answer(reader: asyncio.StreamReader) -> None:
    """Read an answer, also if it comes before the body was sent. Raises IncompleteReadError at the server's end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE)
    await reader.readexactly(int(length[1]) if length else 0)


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    given = json.load(sys.stdin)
    key = serialization.load_pem_private_key(given["key"].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    wanted = [
        Plan(plan["path"], base64.b64decode(plan["body"]), plan["is_signed"], plan["is_whole"])
        for plan in given["plans"]
        for _ in range(plan["connections"])
    ]
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], HostileDevice(given["device"], key), wanted))
