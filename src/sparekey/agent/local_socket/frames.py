"""Receives one frame from the other end of a local socket: it may start at any time, and must then be complete soon."""

import socket
from typing import Final

from sparekey import clock
from sparekey.wire.local_socket import HEAD_BYTES, Frame, decode_frame, read_length

FRAME_TIMEOUT: Final = 10.0  # seconds from the first byte of a frame to its last


class _Gone(OSError):
    """The other end closed the connection."""


def receive(connection: socket.socket, longest: int, frame_timeout: float = FRAME_TIMEOUT) -> Frame:
    """Return the next frame. It must begin within the connection's timeout and be complete `frame_timeout` seconds
    later. Raises BadFrame or OSError."""
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
            raise TimeoutError("a frame was not complete in time")
        connection.settimeout(left)
        data += _received(connection, count - len(data))
    return data


def _received(connection: socket.socket, most: int) -> bytes:
    data = connection.recv(most)
    if not data:
        raise _Gone("the other end closed the connection")
    return data
