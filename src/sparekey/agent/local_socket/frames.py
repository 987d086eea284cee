"""A frame from the other end of a local socket: begun when that end likes, and whole soon after."""

import socket
from typing import Final

from sparekey import clock
from sparekey.wire.local_socket import HEAD_BYTES, Frame, decode_frame, read_length

FRAME_TIMEOUT: Final = 10.0  # seconds, from the first byte of a frame to its last


class _Gone(OSError):
    """The other end closed the connection."""


def receive(connection: socket.socket, longest: int, frame_timeout: float = FRAME_TIMEOUT) -> Frame:
    """The next frame: begun within the connection's time-out, and whole `frame_timeout` seconds later. Raises
    `BadFrame`, or OSError."""
    idle = connection.gettimeout()
    head = _received(connection, 1)
    ends = clock.monotonic() + frame_timeout
    try:
        head += _exactly(connection, HEAD_BYTES - 1, ends)
        return decode_frame(_exactly(connection, read_length(head, longest), ends))
    finally:
        connection.settimeout(idle)


def _exactly(connection: socket.socket, count: int, ends: float) -> bytes:
    data = b""
    while len(data) < count:
        left = ends - clock.monotonic()
        if left <= 0:
            raise TimeoutError("a frame that has begun did not end in time")
        connection.settimeout(left)
        data += _received(connection, count - len(data))
    return data


def _received(connection: socket.socket, most: int) -> bytes:
    data = connection.recv(most)
    if not data:
        raise _Gone("the other end closed the connection")
    return data
