"""Sealing units on the server: one slow hash for each record, with a pepper that is not stored.

- Salt and peppers come from the generator of the operating system, new at every sealing. Peppers exist during one call
  only.
- The PIN is never here: its slow hash P is passed in.
- A unit keeps the rules by which it will be parsed, or it is not sealed.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparekey.passcode import verify_canonical
from sparekey.sealed.format import Header, parse_header, signed_part, verify_costs
from sparekey.sealed.levels import EMERGENCY, LEVELS, LIGHT, LIMITS, Level, LevelLimits
from sparekey.sealed.parallel import Run, block_size, one_by_one
from sparekey.sealed.primitives import (
    KEY_BYTES,
    SALT_BYTES,
    check_of,
    header_hash,
    record_key,
    record_salt,
    seal_record,
)
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind

Sign = Callable[[bytes], bytes]
"""Ed25519 with the offline-signing key: any bytes to 64 bytes."""


class SealingStopped(Exception):
    """The caller's `stop` returned True. Nothing of the unit remains."""


@dataclass(frozen=True)
class PinHash:
    """P with its parameters: 16 bytes of salt, KiB, passes, and the 32 bytes of the hash."""

    salt: bytes
    memory_kib: int
    passes: int
    hashed: Secret[bytes]


@dataclass(frozen=True, kw_only=True)
class SealPlan:
    """The plan of a unit. `first` and `count` come from its codes; the other members are those of `Header`.

    `pin` is None for a token without a PIN and for the emergency passcode. `previous` is from `seal_previous`, or
    empty.
    """

    kind: UnitKind
    device: str
    user: str
    login: str
    token: str
    generation: int
    level: Level
    pin: PinHash | None
    offline_key: Secret[bytes]
    not_after: int
    sealed_at: int
    version: int = 0
    policy: int = 0
    interval: int = 0
    drift: int = 0
    window: int = 0
    digits: int = 0
    previous: bytes = b""


def seal_unit(
    plan: SealPlan,
    codes: Sequence[tuple[int, str]],
    sign: Sign,
    *,
    run: Run = one_by_one,
    stop: Callable[[], bool] | None = None,
) -> bytes:
    """Return the bytes of the unit. `codes` are (i, code) with i rising by one: ASCII digits, or the canonical
    emergency code.

    `run` is the map that makes the records (see `parallel`). `stop` is called before each record.
    Raises ValueError (or Malformed, Weak) for a plan that no device would accept, and SealingStopped.
    """
    _verify_level(plan)
    peppers = [secrets.randbits(plan.level.pepper_bits) for _ in codes]
    salt = secrets.token_bytes(SALT_BYTES)
    return _seal_from_parts(plan, codes, sign, salt, peppers, run=run, stop=stop)


def _seal_from_parts(
    plan: SealPlan,
    codes: Sequence[tuple[int, str]],
    sign: Sign,
    salt: bytes,
    peppers: Sequence[int],
    *,
    run: Run = one_by_one,
    stop: Callable[[], bool] | None = None,
    limits: LevelLimits = LIMITS,
) -> bytes:
    """Seal with given salt and peppers. Only vectors fix these, and only tests use cheap levels; callers cannot."""
    header = _header_of(plan, codes, salt)
    encoded = header.encode()
    if parse_header(encoded) != header:
        raise ValueError("the header does not read back as written")
    verify_costs(header, limits)
    _verify_codes(header, codes)
    records = _records_of(plan, header_hash(encoded), codes, peppers, run, stop or _never)
    return _assemble(encoded, records, sign)


def _assemble(header: bytes, records: bytes, sign: Sign) -> bytes:
    """Return header and records, signed. Vectors of units that must be refused start here."""
    signed = signed_part(header, records)
    return signed + sign(signed) + records


def _header_of(plan: SealPlan, codes: Sequence[tuple[int, str]], salt: bytes) -> Header:
    if len(plan.offline_key) != KEY_BYTES or (plan.pin and len(plan.pin.hashed) != KEY_BYTES):
        raise ValueError("an offline key and a PIN hash have 32 bytes")
    return Header(
        kind=plan.kind,
        device=plan.device,
        user=plan.user,
        login=plan.login,
        token=plan.token,
        generation=plan.generation,
        version=plan.version,
        policy=plan.policy,
        interval=plan.interval,
        drift=plan.drift,
        window=plan.window,
        first=codes[0][0] if codes else 0,
        count=len(codes),
        digits=plan.digits,
        salt=salt,
        argon_m=plan.level.argon_m,
        argon_t=plan.level.argon_t,
        pepper_bits=plan.level.pepper_bits,
        pin_salt=plan.pin.salt if plan.pin else b"",
        pin_m=plan.pin.memory_kib if plan.pin else 0,
        pin_t=plan.pin.passes if plan.pin else 0,
        check=check_of(plan.offline_key),
        previous=plan.previous,
        not_after=plan.not_after,
        sealed_at=plan.sealed_at,
    )


def _verify_level(plan: SealPlan) -> None:
    """Verify that this kind of unit may have this level. Readers leave this rule to the server."""
    if plan.kind.is_emergency:
        allowed = plan.level == EMERGENCY
    else:
        # Without a PIN, an attacker has only one code to guess.
        allowed = plan.level in LEVELS.values() and (plan.pin is not None or plan.level != LIGHT)
    if not allowed:
        raise ValueError(f"a {plan.kind} unit must not be sealed at level {plan.level.name}")


def _verify_codes(header: Header, codes: Sequence[tuple[int, str]]) -> None:
    if [i for i, _ in codes] != list(range(header.first, header.first + header.count)):
        raise ValueError("the codes are not numbered in sequence")
    for _, code in codes:
        if header.kind.is_emergency:
            verify_canonical(code, groups=2 if header.pin_salt else 3)
        elif not (code.isascii() and code.isdecimal() and len(code) == header.digits):
            raise ValueError("a tokencode does not have the number of digits in the header")


def _records_of(
    plan: SealPlan,
    hh: bytes,
    codes: Sequence[tuple[int, str]],
    peppers: Sequence[int],
    run: Run,
    stop: Callable[[], bool],
) -> bytes:
    pin_hash = plan.pin.hashed.reveal() if plan.pin else b""
    offline_key = plan.offline_key.reveal()
    level = plan.level

    def make_block(block: Sequence[tuple[int, str, int]]) -> bytes:
        records = []
        for i, code, pepper in block:
            if stop():
                raise SealingStopped
            salt = record_salt(hh, i)
            key = record_key(pin_hash, code.encode(), i, pepper, salt, level.argon_m, level.argon_t)
            records.append(seal_record(key, offline_key, hh, i))
        return b"".join(records)

    work = [(i, code, pepper) for (i, code), pepper in zip(codes, peppers, strict=True)]
    size = block_size(level)
    return b"".join(run(make_block, [work[start : start + size] for start in range(0, len(work), size)]))


def _never() -> bool:
    return False
