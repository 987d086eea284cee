"""Opening a unit, steps 3 to 5 of spec/offline-day.md, "Opening": the records for now, the fitting text, the search.

- The candidates are known before anything is hashed, so that a device can count the attempt first.
- A wrong PIN and a wrong code cost the same: P is computed, then every pepper of every candidate is tried.
- Success is the key itself, and only the key that the unit names.
"""

import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sparekey.passcode import (
    Candidate,
    Reading,
    Shape,
    emergency_passcode,
    emergency_tokencode,
    split,
    tokencode,
)
from sparekey.sealed.errors import Misread, NotValidNow, WrongKey, WrongPasscode
from sparekey.sealed.format import Header
from sparekey.sealed.parallel import Run, block_size, one_by_one
from sparekey.sealed.primitives import check_of, find_in_record, pin_part, record_key, record_salt
from sparekey.sealed.verify import SealedUnit
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind


@dataclass(frozen=True)
class Moment:
    """The moment at which a unit is tried.

    It has unix seconds, the next counter of an event token, the learnt shift of the token's clock in intervals, and the
    last used i, if any.
    """

    time: int
    next_counter: int = 0
    learnt_shift: int = 0
    last_used: int | None = None


@dataclass(frozen=True)
class Attempt:
    """One unit with the moment to open it at. A device uses different times for emergency units and for days."""

    unit: SealedUnit
    moment: Moment


@dataclass(frozen=True)
class OpenedRecord:
    """The key, and the record that held it."""

    unit: SealedUnit
    i: int
    offline_key: Secret[bytes]


def open_unit(unit: SealedUnit, text: str, moment: Moment, *, run: Run = one_by_one) -> OpenedRecord:
    """Open one unit (steps 3 to 5). Raises NotValidNow, Misread, WrongPasscode or WrongKey."""
    verify_valid(unit.header, moment)
    return open_units([Attempt(unit, moment)], split_for([unit.header], text), run=run)


def split_for(headers: Iterable[Header], text: str) -> Reading:
    """Return how the text fits these units, without hashing. Pass only units that are valid now."""
    return split(text, map(shape_of, headers))


def shape_of(header: Header) -> Shape:
    """Return the shape of the passcodes that open such a unit."""
    with_pin = bool(header.pin_salt)
    if header.kind is UnitKind.EMERGENCY_PASSCODE:
        return emergency_passcode()
    if header.kind is UnitKind.EMERGENCY_TOKENCODE:
        return emergency_tokencode(with_pin=with_pin)
    return tokencode(header.digits, with_pin=with_pin)


def open_units(attempts: Sequence[Attempt], reading: Reading, *, run: Run = one_by_one) -> OpenedRecord:
    """Return the first unit that opens, in the order given. `reading` is `split_for` of the valid ones.

    Attempts that are not valid now, or that the text does not fit, are left out. `run` spreads the hashes over threads.
    Raises NotValidNow if no attempt is valid, Misread, WrongPasscode or WrongKey.
    """
    valid = [attempt for attempt in attempts if is_valid(attempt)]
    if not valid:
        raise NotValidNow("no unit is valid now")
    verify_fits(reading)
    search = _Search()
    for hit in run(search, _blocks(valid, reading)):
        if hit is not None:
            return _verify_key(hit)
    raise WrongPasscode("no record opens with this")


def verify_valid(header: Header, moment: Moment) -> None:
    """Raise NotValidNow if the unit has expired, or if none of its records belongs to this moment.

    A used record still belongs to its moment: typing it again is a wrong passcode, not a matter of time.
    """
    if moment.time > header.not_after:
        raise NotValidNow("past its end")
    if not _in_unit(header, moment.time, moment.next_counter, moment.learnt_shift):
        raise NotValidNow("no record for this moment")


def is_valid(attempt: Attempt) -> bool:
    """Return True if `verify_valid` does not raise."""
    try:
        verify_valid(attempt.unit.header, attempt.moment)
    except NotValidNow:
        return False
    return True


def verify_fits(reading: Reading) -> None:
    """Raise Misread, or WrongPasscode if the text is not like a code, if the reading has no candidate."""
    if reading.misread:
        raise Misread(reading.misread)
    if not reading.candidates:
        raise WrongPasscode("the text has no form that is accepted here")


@dataclass(frozen=True)
class _Block:
    """Some peppers of one record, with everything needed to try them."""

    unit: SealedUnit
    i: int
    pin_hash: bytes = field(repr=False)
    code: bytes = field(repr=False)
    peppers: range


def _blocks(attempts: Sequence[Attempt], reading: Reading) -> Iterator[_Block]:
    pin_hashes: dict[tuple[bytes, int, int], bytes] = {}
    for unit, moment, found in _fitting(attempts, reading):
        header = unit.header
        parameters = (header.pin_salt, header.pin_m, header.pin_t)
        if parameters not in pin_hashes:
            pin_hashes[parameters] = pin_part(found.pin.reveal().encode(), *parameters)
        size = block_size(header.level)
        peppers = range(header.level.hashes_per_guess)
        for i in _to_try(unit, moment):
            for start in range(0, len(peppers), size):
                block = peppers[start : start + size]
                yield _Block(unit, i, pin_hashes[parameters], found.code.reveal().encode(), block)


def _fitting(attempts: Sequence[Attempt], reading: Reading) -> Iterator[tuple[SealedUnit, Moment, Candidate]]:
    for attempt in attempts:
        found = reading.of(shape_of(attempt.unit.header))
        if found is not None:
            yield attempt.unit, attempt.moment, found


def _to_try(unit: SealedUnit, moment: Moment) -> list[int]:
    numbers = candidates(unit.header, moment.time, moment.next_counter, moment.learnt_shift, moment.last_used)
    return [i for i in numbers if not unit.is_erased(i)]


def candidates(
    header: Header,
    time: int,
    next_counter: int = 0,
    learnt_shift: int = 0,
    last_used: int | None = None,
) -> list[int]:
    """Return the records to try, likeliest first: those around now that come after the last used one."""
    return [i for i in _in_unit(header, time, next_counter, learnt_shift) if last_used is None or i > last_used]


def _in_unit(header: Header, time: int, next_counter: int, learnt_shift: int) -> list[int]:
    return [i for i in _around(header, time, next_counter, learnt_shift) if header.first <= i <= header.last]


def _around(header: Header, time: int, next_counter: int, learnt_shift: int) -> Iterator[int]:
    if header.kind.is_emergency:
        yield 0
    elif header.kind is UnitKind.EVENTS:
        yield from range(next_counter, next_counter + header.window + 1)
    else:
        centre = time // header.interval + header.drift + learnt_shift
        yield centre
        for distance in range(1, header.window + 1):
            yield from (centre - distance, centre + distance)


class _Search:
    """The search over blocks. When one thread has found a key, the remaining blocks are skipped."""

    def __init__(self) -> None:
        self._over = False

    def __call__(self, block: _Block) -> OpenedRecord | None:
        header, hh = block.unit.header, block.unit.hh
        salt, record = record_salt(hh, block.i), block.unit.record(block.i)
        for pepper in block.peppers:
            if self._over:
                return None
            key = record_key(block.pin_hash, block.code, block.i, pepper, salt, header.argon_m, header.argon_t)
            offline_key = find_in_record(key, record, hh, block.i)
            if offline_key is not None:
                self._over = True
                return OpenedRecord(block.unit, block.i, Secret(offline_key))
        return None


def _verify_key(hit: OpenedRecord) -> OpenedRecord:
    # Safe because only the server knows keys with the right check: a unit that an attacker with the signing key has
    # planted fails here.
    if not hmac.compare_digest(check_of(hit.offline_key), hit.unit.header.check):
        raise WrongKey("the record opens to a key other than the one the unit names")
    return hit
