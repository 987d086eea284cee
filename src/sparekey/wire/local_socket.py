"""The frames between a login shim and the agent on the same computer (spec/local-socket.md).

There is no JSON, and every length is limited.

    frame = u32 length of the rest || u8 version || u8 type || fields
    field = u8 tag || u16 length || that many bytes

Integers are big-endian, text is UTF-8, a number is a field of 8 bytes. A frame is refused as a whole if a tag occurs
twice, a field ends beyond the frame, or its type does not have the field.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

VERSION: Final = 1
HEAD_BYTES: Final = 4
LONGEST_FRAME: Final = 65_536  # bytes after the length
LONGEST_REQUEST: Final = 4_096  # the agent rejects longer requests
NUMBER_BYTES: Final = 8


class BadFrame(ValueError):
    """The bytes are not a frame of this version. Nothing in them is used."""


class FrameKind(IntEnum):
    """The types of frames: requests below 64, replies from 64 on."""

    LOGIN = 1
    KEEP = 2
    OPEN = 3
    STATUS = 4
    SYNC = 5
    CLEAR = 6
    TEST = 7
    WATCH = 8
    FORGET = 9
    ANSWER = 64
    PROGRESS = 65
    DONE = 66
    SECRET = 67
    REPORT = 68
    FAILED = 69


class Tag(IntEnum):
    """The tags of fields: text, unless the comment names a number or bytes."""

    USER = 1
    PASSCODE = 2
    REPLY_TO = 3
    PURPOSE = 4
    SECRET = 5  # bytes
    REMOTE = 6  # number; 1 with LOGIN if the user comes over a network
    RESULT = 16
    MODE = 17
    METHOD = 18
    DAYS_LEFT = 19  # number
    EMERGENCY_EXPIRES = 20  # number, unix seconds
    MESSAGE = 21
    REASON = 22
    MISREAD = 23  # bytes, one for each group number
    DONE = 24  # number
    TOTAL = 25  # number
    UNIT = 26
    REPORT = 27  # JSON for the commands of the agent
    EVERYTHING = 28  # number; 1 with CLEAR to erase the enrolment too
    ASK = 29  # new-pin, confirm-pin, next-tokencode


_FIELDS_OF: Final[dict[FrameKind, frozenset[Tag]]] = {
    FrameKind.LOGIN: frozenset({Tag.USER, Tag.PASSCODE, Tag.REPLY_TO, Tag.REMOTE}),
    FrameKind.KEEP: frozenset({Tag.PURPOSE, Tag.SECRET}),
    FrameKind.OPEN: frozenset({Tag.PURPOSE}),
    FrameKind.STATUS: frozenset(),
    FrameKind.SYNC: frozenset(),
    FrameKind.CLEAR: frozenset({Tag.EVERYTHING}),
    FrameKind.TEST: frozenset({Tag.USER, Tag.PASSCODE}),
    FrameKind.WATCH: frozenset(),
    FrameKind.FORGET: frozenset({Tag.USER, Tag.PURPOSE}),
    FrameKind.ANSWER: frozenset(
        {
            Tag.RESULT,
            Tag.MODE,
            Tag.METHOD,
            Tag.DAYS_LEFT,
            Tag.EMERGENCY_EXPIRES,
            Tag.MESSAGE,
            Tag.REASON,
            Tag.MISREAD,
            Tag.REPLY_TO,
            Tag.ASK,
        }
    ),
    FrameKind.PROGRESS: frozenset({Tag.USER, Tag.UNIT, Tag.DONE, Tag.TOTAL}),
    FrameKind.DONE: frozenset({Tag.DONE, Tag.DAYS_LEFT, Tag.MESSAGE}),
    FrameKind.SECRET: frozenset({Tag.SECRET}),
    FrameKind.REPORT: frozenset({Tag.REPORT}),
    FrameKind.FAILED: frozenset({Tag.REASON, Tag.MESSAGE}),
}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One message. A missing field reads as empty, or 0. Fields may hold a passcode, so they never print."""

    kind: FrameKind
    fields: dict[Tag, bytes] = field(default_factory=dict, repr=False)

    def text(self, tag: Tag) -> str:
        """Return the text in this field. Raises BadFrame if it is not UTF-8."""
        try:
            return self.fields.get(tag, b"").decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadFrame("a text is not UTF-8") from error

    def number(self, tag: Tag) -> int:
        """Return the number in this field. Raises BadFrame if it has not 8 bytes."""
        value = self.fields.get(tag, bytes(NUMBER_BYTES))
        if len(value) != NUMBER_BYTES:
            raise BadFrame("a number does not have 8 bytes")
        return int.from_bytes(value, "big")


def frame(kind: FrameKind, **members: str | int | bytes) -> Frame:
    """Return a frame with these members, by the lower-case names of the tags. Empty members and 0 are left out."""
    return Frame(kind=kind, fields={Tag[name.upper()]: _to_bytes(value) for name, value in members.items() if value})


def encode_frame(message: Frame) -> bytes:
    """Return the bytes of the frame. Raises BadFrame if no reader would accept it."""
    fields = b""
    for tag, value in message.fields.items():
        if len(value) > 0xFFFF:
            raise BadFrame("a field is longer than 65535 bytes")
        fields += bytes([tag]) + len(value).to_bytes(2, "big") + value
    rest = bytes([VERSION, message.kind]) + fields
    if len(rest) > LONGEST_FRAME:
        raise BadFrame("the frame is too long")
    return len(rest).to_bytes(HEAD_BYTES, "big") + rest


def read_length(head: bytes, longest: int = LONGEST_FRAME) -> int:
    """Return the number of bytes after the first four. Raises BadFrame."""
    length = int.from_bytes(head, "big")
    if len(head) != HEAD_BYTES or not 2 <= length <= longest:
        raise BadFrame("not a frame, or longer than allowed here")
    return length


def decode_frame(rest: bytes) -> Frame:
    """Return the frame in all bytes after the length. Raises BadFrame."""
    if len(rest) < 2 or rest[0] != VERSION:
        raise BadFrame(f"not a frame of version {VERSION}")
    try:
        kind = FrameKind(rest[1])
    except ValueError as error:
        raise BadFrame("an unknown type of frame") from error
    fields: dict[Tag, bytes] = {}
    at = 2
    while at < len(rest):
        tag, value, at = _field(rest, at)
        if tag in fields or tag not in _FIELDS_OF[kind]:
            raise BadFrame("a field occurs twice, or this type of frame does not have it")
        fields[tag] = value
    return Frame(kind=kind, fields=fields)


def _field(rest: bytes, at: int) -> tuple[Tag, bytes, int]:
    start = at + 3
    end = start + int.from_bytes(rest[at + 1 : start], "big")
    if start > len(rest) or end > len(rest):
        raise BadFrame("a field ends beyond the frame")
    try:
        return Tag(rest[at]), rest[start:end], end
    except ValueError as error:
        raise BadFrame("an unknown field") from error


def _to_bytes(value: str | int | bytes) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bytes) else value.to_bytes(NUMBER_BYTES, "big")
