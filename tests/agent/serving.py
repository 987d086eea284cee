"""The daemon's socket in one process: a device is served on it, and asked by this user or by another one."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparekey.agent.contact.scheduler import ContactScheduler
from sparekey.agent.local_socket.frames import FRAME_TIMEOUT, receive
from sparekey.agent.local_socket.server import LocalSocketServer
from sparekey.agent.platform.posix import connect, listen
from sparekey.agent.sign_in.remote import FLOOR
from sparekey.wire.local_socket import LONGEST_FRAME, Frame, FrameKind, decode_frame, encode_frame, frame
from tests.agent.devices import World

NOBODY = 65534
CLIENT = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1])
def reply():
    n = int.from_bytes(s.recv(4, socket.MSG_WAITALL), "big"); body = s.recv(n, socket.MSG_WAITALL)
    print(body.hex()); return body
for request in sys.argv[2:]:
    s.sendall(bytes.fromhex(request))
    while reply()[1] == PROGRESS: pass
"""


@dataclass
class Served:
    world: World
    path: Path

    @contextlib.contextmanager
    def connection(self) -> Iterator[socket.socket]:
        with connect(self.path, 20) as connection:
            yield connection

    def ask(self, connection: socket.socket, request: Frame) -> Frame:
        connection.sendall(encode_frame(request))
        return receive(connection, LONGEST_FRAME)

    def ask_as_nobody(self, *requests: Frame) -> Frame:
        """The last of `replies_to_nobody`."""
        return self.replies_to_nobody(*requests)[-1]

    def replies_to_nobody(self, *requests: Frame) -> list[Frame]:
        """Return the replies to a process of another user, on one connection. The kernel tells the agent its uid."""
        frames = [encode_frame(request).hex() for request in requests]
        line = [
            "/usr/bin/python3",
            "-I",
            "-c",
            f"PROGRESS = {FrameKind.PROGRESS.value}{CLIENT}",
            str(self.path),
            *frames,
        ]
        done = subprocess.run(
            line,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            env={},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return [decode_frame(bytes.fromhex(reply)) for reply in done.stdout.split()]


@contextlib.contextmanager
def serving(world: World, frame_timeout: float = FRAME_TIMEOUT, floor: float = FLOOR) -> Iterator[Served]:
    """The device of `world` with its scheduler, behind a socket that every user reaches."""
    scheduler = ContactScheduler(world.device)
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    listener = listen(directory / "socket", 16)
    threads = [threading.Thread(target=scheduler.run)]
    threads.append(
        threading.Thread(target=LocalSocketServer(world.device, scheduler, listener, frame_timeout, floor).run)
    )
    for thread in threads:
        thread.start()
    try:
        yield Served(world, directory / "socket")
    finally:
        scheduler.stop()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
            thread.join()
        shutil.rmtree(directory)


def login_frame(world: World, user: str = "alice") -> Frame:
    return frame(FrameKind.LOGIN, user=user, passcode=world.passcode())
