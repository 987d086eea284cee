"""A desktop's session bus, real, with a small service on it that takes notices as a desktop does and remembers them.

The service speaks the D-Bus wire format itself, as far as it needs to: little-endian, strings and numbers.
"""

import contextlib
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

NAME = "org.freedesktop.Notifications"
_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"""
_CALL, _RETURN = 1, 2
_MEMBER, _REPLY_SERIAL, _SENDER = 3, 5, 7


@dataclass
class Desktop:
    """The notices on a desktop, by number, and the count of those shown."""

    address: str
    standing: dict[int, str] = field(default_factory=dict)
    shown: int = 0

    def take(self, member: str, body: bytes) -> bytes:
        """One call; the body of the answer."""
        if member == "CloseNotification":
            self.standing.pop(struct.unpack_from("<I", body)[0], None)
            return b""
        _, at = _string(body, 0)
        (replaces,) = struct.unpack_from("<I", body, _aligned(at, 4))
        at = _aligned(at, 4) + 4
        texts = []
        for _ in range(3):
            text, at = _string(body, at)
            texts.append(text)
        self.shown += 1
        number = replaces or self.shown
        self.standing[number] = " / ".join(texts[1:])
        return struct.pack("<I", number)


@contextlib.contextmanager
def a_desktop(directory: Path, *, shows_notices: bool = True) -> Iterator[Desktop]:
    """Run a desktop. With `shows_notices`, a program on the bus accepts notices."""
    path = directory / "bus"
    config = directory / "bus.conf"
    config.write_text(_CONFIG.format(path=path))
    line = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as bus:
        try:
            assert bus.stdout is not None
            desktop = Desktop(bus.stdout.readline().strip())
            with _served(path, desktop) if shows_notices else contextlib.nullcontext():
                yield desktop
        finally:
            bus.terminate()
            bus.wait(20)


@contextlib.contextmanager
def _served(path: Path, desktop: Desktop) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as bus:
        bus.settimeout(60)
        bus.connect(str(path))
        bus.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
        assert bus.recv(100).startswith(b"OK")
        bus.sendall(b"BEGIN\r\n")
        for serial, (member, signature, body) in enumerate(
            (("Hello", "", b""), ("RequestName", "su", _text(NAME) + bytes(_pad(len(_text(NAME)), 4)) + bytes(4))), 1
        ):
            bus.sendall(_message(_CALL, serial, body, signature, member=member))
            while _receive(bus)[:2] != (_RETURN, serial):
                pass
        thread = threading.Thread(target=_serve, args=(bus, desktop))
        thread.start()
        try:
            yield
        finally:
            bus.shutdown(socket.SHUT_RDWR)
            thread.join(20)


def _serve(bus: socket.socket, desktop: Desktop) -> None:
    serial = 10
    with contextlib.suppress(OSError, EOFError):
        while True:
            kind, _, number, fields, body = _receive(bus)
            if kind != _CALL:
                continue
            answer = desktop.take(str(fields[_MEMBER]), body)
            serial += 1
            bus.sendall(
                _message(_RETURN, serial, answer, "u" if answer else "", reply_to=number, to=str(fields[_SENDER]))
            )


def _receive(bus: socket.socket) -> tuple[int, int, int, dict[int, str | int], bytes]:
    """Return (type, serial that it answers, its own serial, header fields, body)."""
    head = _exactly(bus, 16)
    _, kind, _, _, body_size, serial, fields_size = struct.unpack("<BBBBIII", head)
    raw = _exactly(bus, _aligned(fields_size, 8))[:fields_size]
    fields: dict[int, str | int] = {}
    at = 0
    while at < fields_size:
        at = _aligned(at, 8)
        code, signature = raw[at], chr(raw[at + 2])
        at += 4
        if signature == "g":
            fields[code] = raw[at + 1 : at + 1 + raw[at]].decode()
            at += raw[at] + 2
        elif signature == "u":
            at = _aligned(at, 4)
            fields[code] = struct.unpack_from("<I", raw, at)[0]
            at += 4
        else:
            fields[code], at = _string(raw, at)
    return kind, int(fields.get(_REPLY_SERIAL, 0)), serial, fields, _exactly(bus, body_size)


def _message(
    kind: int, serial: int, body: bytes, signature: str, *, member: str = "", reply_to: int = 0, to: str = ""
) -> bytes:
    """Send a message to the bus (`member`), or an answer."""
    fields: list[tuple[int, str, bytes]] = []
    if member:
        bus = "org.freedesktop.DBus"
        fields += [(1, "o", _text("/org/freedesktop/DBus")), (2, "s", _text(bus)), (3, "s", _text(member))]
        to = bus
    if reply_to:
        fields.append((_REPLY_SERIAL, "u", struct.pack("<I", reply_to)))
    fields.append((6, "s", _text(to)))
    if signature:
        fields.append((8, "g", bytes([len(signature)]) + signature.encode() + b"\0"))
    raw = b""
    for code, type_of, value in fields:
        raw += bytes(_pad(len(raw), 8)) + bytes([code, 1]) + type_of.encode() + b"\0" + value
    head = struct.pack("<BBBBIII", ord("l"), kind, 0, 1, len(body), serial, len(raw))
    return head + raw + bytes(_pad(len(raw), 8)) + body


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text.encode())) + text.encode() + b"\0"


def _string(data: bytes, at: int) -> tuple[str, int]:
    at = _aligned(at, 4)
    (size,) = struct.unpack_from("<I", data, at)
    return data[at + 4 : at + 4 + size].decode(), at + 5 + size


def _pad(size: int, to: int) -> int:
    return -size % to


def _aligned(at: int, to: int) -> int:
    return at + _pad(at, to)


def _exactly(bus: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = bus.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data
