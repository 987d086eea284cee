"""The client of the local socket for the commands: asks the daemon if it runs."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sparekey.agent.contact.contact import Progress
from sparekey.agent.ground.outcome import LoginAnswer, Mode, Prompt, RefusalReason, Result
from sparekey.agent.local_socket.frames import receive
from sparekey.agent.platform.posix import connect, effective_uid, peer_uid
from sparekey.wire.local_socket import LONGEST_FRAME, Frame, FrameKind, Tag, encode_frame

CONNECT_PATIENCE: Final = 20  # seconds in the queue of connections
PATIENCE: Final = 120  # seconds for one answer
FOLLOW_PATIENCE: Final = 900  # seconds; a unit can take minutes to be sealed


class Failed(Exception):
    """The daemon refused the request. This is not a refused sign-in."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.word = reason


class Daemon:
    """A connection to the running daemon."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def close(self) -> None:
        self._connection.close()

    def ask(self, request: Frame) -> Frame:
        """Send one request and return its reply. Raises Failed."""
        self._connection.settimeout(PATIENCE)
        self._connection.sendall(encode_frame(request))
        return _not_failed(receive(self._connection, LONGEST_FRAME))

    def follow(self, request: Frame, report: Callable[[Progress], None]) -> Frame:
        """Send a request and report its progress until it is done. Raises Failed."""
        self._connection.settimeout(FOLLOW_PATIENCE)
        self._connection.sendall(encode_frame(request))
        while (reply := _not_failed(receive(self._connection, LONGEST_FRAME))).kind is FrameKind.PROGRESS:
            report(
                Progress(reply.text(Tag.USER), reply.text(Tag.UNIT), reply.number(Tag.DONE), reply.number(Tag.TOTAL))
            )
        return reply


def find_daemon(path: Path, patience: float = CONNECT_PATIENCE) -> Daemon | None:
    """Return a connection to the daemon; None if none listens. Raises Failed if it cannot be reached, or if another
    user's program listens: it would get passcodes and could accept any."""
    try:
        connection = connect(path, patience)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except BlockingIOError as error:
        message = (
            f"too many connections wait on {path}; try again. If it stays so, run `systemctl restart sparekey-agent`"
        )
        raise Failed("busy", message) from error
    except OSError as error:
        message = (
            f"{path} cannot be reached ({error.strerror}); run this as root, or with the right --socket or --state"
        )
        raise Failed("not-reached", message) from error
    if peer_uid(connection) not in {0, effective_uid()}:
        connection.close()
        message = f"the program that listens on {path} is not root's; nothing was sent to it. Find out who started it"
        raise Failed("unsafe", message)
    return Daemon(connection)


def answer_of(reply: Frame) -> LoginAnswer:
    """Return the answer in a frame. Raises ValueError for anything unexpected, so that it never counts as
    a grant."""
    if reply.kind is not FrameKind.ANSWER:
        raise ValueError("the agent gave no answer to the sign-in")
    return LoginAnswer(
        Result(reply.text(Tag.RESULT)),
        Mode(reply.text(Tag.MODE)),
        method=reply.text(Tag.METHOD),
        days_left=reply.number(Tag.DAYS_LEFT),
        emergency_expires=reply.number(Tag.EMERGENCY_EXPIRES),
        message=reply.text(Tag.MESSAGE),
        reason=RefusalReason(reply.text(Tag.REASON)),
        misread=tuple(reply.fields.get(Tag.MISREAD, b"")),
        ask=Prompt(reply.text(Tag.ASK)),
        reply_to=reply.text(Tag.REPLY_TO),
    )


def _not_failed(reply: Frame) -> Frame:
    if reply.kind is FrameKind.FAILED:
        raise Failed(reply.text(Tag.REASON), reply.text(Tag.MESSAGE))
    return reply
