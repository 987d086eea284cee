"""The bytes of a unit and the rules of its header. Only a unit that keeps every rule of spec/offline-day.md is parsed.

- The header is one JSON object with exactly the members below, each once, in any order.
- Parsing trusts nothing: callers check the signature first (`verify`).
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from sparekey.durations import DAY_SECONDS
from sparekey.sealed.errors import Malformed, Weak
from sparekey.sealed.levels import LIMITS, Level, LevelLimits
from sparekey.sealed.primitives import KEY_BYTES, PIN_SALT_BYTES, RECORD_BYTES, SALT_BYTES
from sparekey.unit_kind import UnitKind

MAGIC = b"sparekey-offline/1\n"
HEADER_LIMIT = 4096
SIGNATURE_BYTES = 64
GRACE_SECONDS = 600
"""The time after midnight UTC in which a day still opens, because the window reaches back over it."""
EVENTS_LIMIT = 1000
WINDOW_LIMIT = 10

_HASH_BYTES = 32
_TEXT_LIMIT = 128
_INTEGER_LIMIT = 2**53 - 1
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_START = len(MAGIC) + 4


@dataclass(frozen=True, kw_only=True)
class Header:
    """The header of a unit. The members are written in this order.

    `interval` is in seconds, `drift` in intervals, `not_after` and `sealed_at` in unix seconds of the server.
    """

    kind: UnitKind
    device: str
    user: str
    login: str
    token: str
    generation: int
    version: int
    policy: int
    interval: int
    drift: int
    window: int
    first: int
    count: int
    digits: int
    salt: bytes
    argon_m: int
    argon_t: int
    pepper_bits: int
    pin_salt: bytes
    pin_m: int
    pin_t: int
    check: bytes
    previous: bytes
    not_after: int
    sealed_at: int

    @property
    def level(self) -> Level:
        """Return the costs of a record, as a level without a name."""
        return Level("", self.argon_m, self.argon_t, self.pepper_bits)

    @property
    def last(self) -> int:
        """Return the number i of the last record."""
        return self.first + self.count - 1

    @property
    def utc_day(self) -> int:
        """Return the day of a day unit, in days since 1970-01-01 of the server's clock."""
        return _utc_day(self, self.first)

    @property
    def slot_day(self) -> int:
        """Return the UTC day of a day unit, else 0. A device keeps one unit for each (token, kind, day)."""
        return self.utc_day if self.kind is UnitKind.DAY else 0

    def encode(self) -> bytes:
        """Return the bytes of the header as we write them: compact JSON in UTF-8."""
        members = {
            name: value.hex() if isinstance(value, bytes) else value for name, value in dataclasses.asdict(self).items()
        }
        return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class UnitParts:
    """The parts of a unit. None of them is trusted yet."""

    header: bytes
    signed: bytes
    """Every byte before the signature."""
    signature: bytes
    records_hash: bytes
    records: bytes = field(repr=False)

    @property
    def header_part(self) -> bytes:
        """Return every byte before the records: the signed bytes and the signature."""
        return self.signed + self.signature


def cut_unit(unit: bytes) -> UnitParts:
    """Cut the unit at the places that its first 23 bytes give. Raises Malformed on wrong magic, a wrong n or too few
    bytes."""
    if not unit.startswith(MAGIC) or len(unit) < _START:
        raise Malformed("not a unit of version 1")
    header_length = int.from_bytes(unit[len(MAGIC) : _START], "big")
    if header_length > HEADER_LIMIT:
        raise Malformed(f"the header is longer than {HEADER_LIMIT} bytes")
    header_end = _START + header_length
    signed_end = header_end + _HASH_BYTES
    records_start = signed_end + SIGNATURE_BYTES
    if len(unit) < records_start:
        raise Malformed("the unit ends before its records")
    return UnitParts(
        header=unit[_START:header_end],
        signed=unit[:signed_end],
        signature=unit[signed_end:records_start],
        records_hash=unit[header_end:signed_end],
        records=unit[records_start:],
    )


def signed_part(header: bytes, records: bytes) -> bytes:
    """Return the signed bytes: magic, header with its length, and the hash of the records."""
    return MAGIC + len(header).to_bytes(4, "big") + header + hashlib.sha256(records).digest()


def verify_records_length(header: Header, records: bytes) -> None:
    """Raise Malformed unless there are exactly `count` records."""
    if len(records) != header.count * RECORD_BYTES:
        raise Malformed("the number of records is not the one in the header")


def parse_header(data: bytes) -> Header:
    """Return the header. Raises Malformed if it breaks a rule of form; its costs may still be weak."""
    header = _read_members(data)
    _verify_common(header)
    _KIND_RULES[header.kind](header)
    return header


def verify_costs(header: Header, limits: LevelLimits = LIMITS) -> None:
    """Raise Weak if a cost is outside the limits."""
    if not limits.allow(header.level):
        raise Weak("argon_m, argon_t or pepper_bits outside the limits")
    if header.pin_salt and not limits.allow_pin(header.pin_m, header.pin_t):
        raise Weak("pin_m or pin_t outside the limits")


def _read_members(data: bytes) -> Header:
    try:
        members = json.loads(
            # Safe because this is text: as bytes, json would also accept UTF-16 and UTF-32.
            data.decode("utf-8"),
            object_pairs_hook=_members_once,
            parse_int=_plain_integer,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
        if not isinstance(members, dict) or members.keys() != _MEMBERS.keys():
            raise Malformed("the members of the header are not exactly those of the specification")
        read: dict[str, Any] = {name: reader(members[name]) for name, reader in _MEMBERS.items()}
        return Header(**read)
    except (ValueError, RecursionError) as reason:
        raise Malformed("the header is not JSON of the specified form") from reason


def _members_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _plain_integer(text: str) -> int:
    if text == "-0":
        raise ValueError("minus zero")
    return int(text)


def _refuse_number(_: str) -> NoReturn:
    raise ValueError("a number with a fraction or an exponent, or not a number")


def _read_text(value: object) -> str:
    # Encoding refuses lone surrogates, which JSON can write and UTF-8 cannot.
    if not isinstance(value, str) or len(value.encode("utf-8")) > _TEXT_LIMIT:
        raise ValueError("not a string, or a long one")
    return value


def _read_bytes(value: object) -> bytes:
    text = _read_text(value)
    if _HEX.fullmatch(text) is None:
        raise ValueError("not lower-case hex")
    return bytes.fromhex(text)


def _read_integer(value: object) -> int:
    # bool is an int to Python and not to JSON.
    if type(value) is not int or abs(value) > _INTEGER_LIMIT:
        raise ValueError("not an integer in range")
    return value


def _read_kind(value: object) -> UnitKind:
    return UnitKind(_read_text(value))


_READERS: dict[object, Callable[[object], object]] = {
    UnitKind: _read_kind,
    str: _read_text,
    bytes: _read_bytes,
    int: _read_integer,
}
_MEMBERS = {member.name: _READERS[member.type] for member in dataclasses.fields(Header)}


def _require(rule: bool, words: str) -> None:
    if not rule:
        raise Malformed(words)


def _verify_common(header: Header) -> None:
    integers = [name for name, reader in _MEMBERS.items() if reader is _read_integer]
    negative = [name for name in integers if getattr(header, name) < 0]
    _require(set(negative) <= {"drift"}, "a negative number other than drift")
    _require(bool(header.device and header.user and header.login), "device, user or login is empty")
    _require(header.generation >= 1, "generation is less than 1")
    _require(len(header.salt) == SALT_BYTES, "salt is not 32 bytes")
    _require(len(header.check) == KEY_BYTES, "check is not 32 bytes")
    _require(len(header.previous) in {0, RECORD_BYTES}, "previous is neither empty nor 48 bytes")
    _require(len(header.pin_salt) in {0, PIN_SALT_BYTES}, "pin_salt is neither empty nor 16 bytes")
    _require(bool(header.pin_salt) or header.pin_m == header.pin_t == 0, "PIN costs without a PIN salt")
    _require(header.window <= WINDOW_LIMIT, f"window is more than {WINDOW_LIMIT}")
    _require(header.count >= 1, "no records")
    _require(header.last <= _INTEGER_LIMIT, "the last record's number is out of range")


def _verify_day(header: Header) -> None:
    _verify_of_token(header)
    _require(header.interval >= 1 and DAY_SECONDS % header.interval == 0, "interval does not divide a day")
    _require(header.utc_day == _utc_day(header, header.last), "records of more than one UTC day")
    _require(header.not_after == day_not_after(header.utc_day), "not_after is not 600 s after the day's end")


def _verify_events(header: Header) -> None:
    _verify_of_token(header)
    _require(header.interval == header.drift == 0, "a counter has neither interval nor drift")
    _require(header.count <= EVENTS_LIMIT, f"more than {EVENTS_LIMIT} counters")


def _verify_of_token(header: Header) -> None:
    _require(bool(header.token), "token is empty")
    _require(header.version == 0, "version belongs to emergency codes")
    _require(6 <= header.digits <= 8, "digits are not 6 to 8")


def _verify_emergency(header: Header) -> None:
    unused = (header.interval, header.drift, header.window, header.first, header.digits)
    _require(header.version >= 1, "version is less than 1")
    _require(header.count == 1 and not any(unused), "an emergency unit has one record, number 0, and no times")
    replaces_pin = header.kind is UnitKind.EMERGENCY_PASSCODE
    _require(replaces_pin == (not header.token), "only the emergency passcode belongs to no token")
    _require(not (replaces_pin and header.pin_salt), "the emergency passcode has no PIN")


_KIND_RULES = {
    UnitKind.DAY: _verify_day,
    UnitKind.EVENTS: _verify_events,
    UnitKind.EMERGENCY_TOKENCODE: _verify_emergency,
    UnitKind.EMERGENCY_PASSCODE: _verify_emergency,
}


def day_not_after(utc_day: int) -> int:
    """Return the unix time until which a day unit opens: 600 s after the end of its UTC day."""
    return (utc_day + 1) * DAY_SECONDS + GRACE_SECONDS


def _utc_day(header: Header, i: int) -> int:
    return (i - header.drift) * header.interval // DAY_SECONDS
