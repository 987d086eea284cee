"""The commands' side of the local socket: asks the daemon where one runs."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sparekey.agent.contact.contact import Progress
from sparekey.agent.ground.outcome import Ask, LoginAnswer, Mode, Reason, Result
from sparekey.agent.local_socket.frames import receive
from sparekey.agent.platform.posix import connect, effective_uid, peer_uid
from sparekey.wire.local_socket import LONGEST_FRAME, Frame, Kind, Tag, encode_frame

CONNECT_PATIENCE: Final = 20  # seconds for a place in the line of who connects
PATIENCE: Final = 120  # seconds for one answer
FOLLOW_PATIENCE: Final = 900  # a unit may take minutes to be sealed


class Failed(Exception):
    """The daemon refused the request; not a refused sign-in."""

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
        """One request, one reply; raises `Failed`."""
        self._connection.settimeout(PATIENCE)
        self._connection.sendall(encode_frame(request))
        return _not_failed(receive(self._connection, LONGEST_FRAME))

    def follow(self, request: Frame, report: Callable[[Progress], None]) -> Frame:
        """A request whose progress is reported until it is done; raises `Failed`."""
        self._connection.settimeout(FOLLOW_PATIENCE)
        self._connection.sendall(encode_frame(request))
        while (reply := _not_failed(receive(self._connection, LONGEST_FRAME))).kind is Kind.PROGRESS:
            report(
                Progress(reply.text(Tag.USER), reply.text(Tag.UNIT), reply.number(Tag.DONE), reply.number(Tag.TOTAL))
            )
        return reply


def find_daemon(path: Path, patience: float = CONNECT_PATIENCE) -> Daemon | None:
    """A connection, or None where no daemon listens. Raises `Failed` where none can be reached, and where another user
    does: it would hear passcodes, and say yes to any."""
    try:
        connection = connect(path, patience)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except BlockingIOError as error:
        words = f"too many connections wait on {path}; try again, and if it stays so: systemctl restart sparekey-agent"
        raise Failed("busy", words) from error
    except OSError as error:
        words = f"{path} cannot be reached ({error.strerror}): run this as root, or with the right --socket or --state"
        raise Failed("not-reached", words) from error
    if peer_uid(connection) not in {0, effective_uid()}:
        connection.close()
        words = f"what listens on {path} is not root's agent: find out who put it there; nothing was sent"
        raise Failed("unsafe", words)
    return Daemon(connection)


def answer_of(reply: Frame) -> LoginAnswer:
    """The answer in a frame; anything unexpected is no grant (ValueError)."""
    if reply.kind is not Kind.ANSWER:
        raise ValueError("the agent gave no answer to the sign-in")
    return LoginAnswer(
        Result(reply.text(Tag.RESULT)),
        Mode(reply.text(Tag.MODE)),
        method=reply.text(Tag.METHOD),
        days_left=reply.number(Tag.DAYS_LEFT),
        emergency_expires=reply.number(Tag.EMERGENCY_EXPIRES),
        message=reply.text(Tag.MESSAGE),
        reason=Reason(reply.text(Tag.REASON)),
        misread=tuple(reply.fields.get(Tag.MISREAD, b"")),
        ask=Ask(reply.text(Tag.ASK)),
        reply_to=reply.text(Tag.REPLY_TO),
    )


def _not_failed(reply: Frame) -> Frame:
    if reply.kind is Kind.FAILED:
        raise Failed(reply.text(Tag.REASON), reply.text(Tag.MESSAGE))
    return reply
