"""The parts of the vectors of offline-day/: keys, plans, units, and the writer that turns a scenario into a file.

Keys, salts and peppers are hashes of their names, so that the files change only with the code. Peppers are small unless
they are the point: a reader finds them soon, and these units protect no secrets.
"""

import dataclasses
import hashlib
import json
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sparekey.sealed import (
    EMERGENCY,
    LIGHT,
    PinHash,
    SealPlan,
    day_not_after,
    pin_part,
)
from sparekey.sealed.format import cut_unit, parse_header
from sparekey.sealed.primitives import header_hash, record_key, record_salt
from sparekey.sealed.seal import _seal_from_parts
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind
from spec.vectors.vector_file import Fields, render

DAY = 20454  # 2026-01-01
MIDNIGHT = DAY * 86400
TEN = MIDNIGHT + 36000  # 10:00 UTC
AT_TEN = TEN // 60
"""The 60-second interval that begins then."""


def fixed(name: str, size: int = 32) -> bytes:
    """Bytes that stand for random ones."""
    return hashlib.shake_256(b"sparekey vector " + name.encode()).digest(size)


SIGNING = Ed25519PrivateKey.from_private_bytes(fixed("signing key"))
STRANGER = Ed25519PrivateKey.from_private_bytes(fixed("another signing key"))
PINNED = SIGNING.public_key().public_bytes_raw()
OFFLINE_KEY = Secret(fixed("offline key"))
OLD_KEY = Secret(fixed("old offline key"))
PIN = "4711"


@cache
def pin_hash(pin: str, memory_kib: int = 19456, passes: int = 2) -> PinHash:
    """P of that PIN under the vectors' salt."""
    salt = fixed("pin salt", 16)
    return PinHash(salt, memory_kib, passes, Secret(pin_part(pin.encode(), salt, memory_kib, passes)))


def tokencode(i: int, digits: int = 6) -> str:
    """Return the tokencode of the vectors at step `i`; any function of `i` would do."""
    return f"{int.from_bytes(fixed(f'code {i}', 8), 'big') % 10**digits:0{digits}}"


PLAN = SealPlan(
    kind=UnitKind.DAY,
    device="device-1",
    user="user-1",
    login="alice",
    token="token-1",
    generation=3,
    level=LIGHT,
    pin=pin_hash(PIN),
    offline_key=OFFLINE_KEY,
    not_after=day_not_after(DAY),
    sealed_at=MIDNIGHT - 3600,
    policy=12,
    interval=60,
    window=1,
    digits=6,
)
"""A day of Alice's; scenarios change what they are about."""

EVENTS = dataclasses.replace(PLAN, kind=UnitKind.EVENTS, interval=0, window=5, not_after=MIDNIGHT + 14 * 86400)
RESCUE = dataclasses.replace(
    PLAN,
    kind=UnitKind.EMERGENCY_TOKENCODE,
    level=EMERGENCY,
    version=2,
    interval=0,
    window=0,
    digits=0,
    not_after=MIDNIGHT + 30 * 86400,
)
PASSCODE = dataclasses.replace(RESCUE, kind=UnitKind.EMERGENCY_PASSCODE, token="", pin=None)
TWO, THREE = "7K3X1Q8M24", "7K3X1Q8M240ZZ91"


@dataclasses.dataclass(frozen=True)
class Case:
    """One file: a unit, how it is offered, and what must come out."""

    name: str
    about: str
    unit: bytes
    typed: str
    expect: str = "key"
    i: int = 0
    pepper: int = 0
    pinned: tuple[bytes, ...] = (PINNED,)
    device: str = "device-1"
    generation: int = 3
    time: int = TEN
    next: int = 0
    shift: int = 0
    last_used: int = -1
    receipt: bool = True
    pin: str = PIN
    code: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def render(self) -> str:
        """The file's text."""
        fields: Fields = {
            "about": self.about,
            "expect": self.expect,
            "receipt": "yes" if self.receipt else "no",
            "pinned": " ".join(key.hex() for key in self.pinned),
            "device": self.device,
            "generation": str(self.generation),
            "time": str(self.time),
            "next": str(self.next),
            "shift": str(self.shift),
            "last_used": str(self.last_used),
            "typed": json.dumps(self.typed),
        }
        if self.expect == "key":
            fields |= {"key": OFFLINE_KEY.reveal().hex(), "i": str(self.i)} | self._intermediates()
        return render(fields | dict(self.extra), self.unit)

    def _intermediates(self) -> Fields:
        raw = cut_unit(self.unit).header
        header, hh = parse_header(raw), header_hash(raw)
        pin_hashed = pin_part(self.pin.encode(), header.pin_salt, header.pin_m, header.pin_t)
        salt = record_salt(hh, self.i)
        code = (self.code or tokencode(self.i, header.digits)).encode()
        key = record_key(pin_hashed, code, self.i, self.pepper, salt, header.argon_m, header.argon_t)
        values = {"P": pin_hashed, "hh": hh, "salt_i": salt, "K_i": key}
        return {name: value.hex() for name, value in values.items()} | {"pepper": str(self.pepper)}


def pepper_of(i: int) -> int:
    """Small, and not the same for neighbours."""
    return i % 5


def sealed(plan: SealPlan, first: int = AT_TEN - 2, count: int = 5, code: str = "", pepper: int | None = None) -> bytes:
    """A unit of that plan; an emergency unit where `code` is given."""
    numbers = [0] if code else list(range(first, first + count))
    codes = [(i, code or tokencode(i, plan.digits)) for i in numbers]
    peppers = [pepper_of(i) if pepper is None else pepper for i in numbers]
    return _seal_from_parts(plan, codes, SIGNING.sign, fixed("salt"), peppers)


@cache
def alice_day() -> bytes:
    """The unit that most scenarios offer: intervals around 10:00."""
    return sealed(PLAN)


def at(i: int) -> str:
    """Alice's passcode of interval i."""
    return PIN + tokencode(i)


def hit(name: str, about: str, unit: bytes, i: int, typed: str | None = None, **rest: object) -> Case:
    """A scenario that gives the key at i."""
    return Case(name, about, unit, typed or at(i), i=i, pepper=pepper_of(i), **rest)  # type: ignore[arg-type] # members of Case


def changed(plan: SealPlan, **members: object) -> SealPlan:
    """The plan with other members."""
    return dataclasses.replace(plan, **members)  # type: ignore[arg-type] # members of SealPlan
