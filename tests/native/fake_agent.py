"""An agent with the answers of a test, right or wrong: a real listener with prepared answers."""

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sparekey.wire.local_socket import HEAD_BYTES, Frame, FrameKind, decode_frame, encode_frame, frame


@dataclass(frozen=True)
class Raw:
    """Bytes to send as they are; then the connection stays open in silence, or closes."""

    data: bytes
    closes: bool = False


SILENCE = Raw(b"")
GONE = Raw(b"", closes=True)
Reply = Frame | Raw


@dataclass
class FakeAgent:
    """An agent with its socket, its answers in order, and the received requests by connection."""

    path: Path
    replies: list[Reply]
    connections: list[list[Frame]] = field(default_factory=list)

    @property
    def requests(self) -> list[Frame]:
        return [request for requests in self.connections for request in requests]

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections.append([])
            with connection, contextlib.suppress(OSError):
                connection.settimeout(20)
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        while head := connection.recv(HEAD_BYTES, socket.MSG_WAITALL):
            rest = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
            self.connections[-1].append(decode_frame(rest))
            reply = self.replies.pop(0) if self.replies else GONE
            connection.sendall(reply.data if isinstance(reply, Raw) else encode_frame(reply))
            if isinstance(reply, Raw) and reply.closes:
                return


@contextlib.contextmanager
def fake_agent(*replies: Reply) -> Iterator[FakeAgent]:
    """Listen as this process's user until the block ends."""
    directory = Path(tempfile.mkdtemp(prefix="agent-"))
    agent = FakeAgent(directory / "socket", list(replies))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(agent.path))
        listener.listen(8)
        thread = threading.Thread(target=agent.serve, args=(listener,))
        thread.start()
        try:
            yield agent
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            shutil.rmtree(directory)


def granted(message: str = "Signed in.") -> Frame:
    return frame(FrameKind.ANSWER, result="granted", mode="online", method="tokencode", days_left=3, message=message)


def denied(reason: str = "wrong-passcode", message: str = "No.") -> Frame:
    return frame(FrameKind.ANSWER, result="denied", mode="online", reason=reason, message=message)


def asks(what: str, reply_to: str = "q1", message: str = "A PIN has 4 to 8 digits.") -> Frame:
    return frame(FrameKind.ANSWER, result="ask", mode="online", ask=what, reply_to=reply_to, message=message)
