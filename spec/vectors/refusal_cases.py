"""Bytes that no reader accepts: steps 1 to 3 of "Opening", each rule broken once, and a key that was not named."""

import json
from collections.abc import Iterator

from sparekey.sealed import SealPlan, one_by_one
from sparekey.sealed.format import MAGIC, cut_unit
from sparekey.sealed.primitives import header_hash
from sparekey.sealed.seal import _assemble, _header_of, _records_of
from spec.vectors.materials import (
    AT_TEN,
    DAY,
    EVENTS,
    OLD_KEY,
    PASSCODE,
    PLAN,
    RESCUE,
    SIGNING,
    STRANGER,
    THREE,
    TWO,
    Case,
    alice_day,
    at,
    changed,
    fixed,
    hit,
    pepper_of,
    sealed,
    tokencode,
)

MALFORMED, WEAK, BAD_SIGNATURE = "malformed", "weak", "bad signature"

HEADER_STARTS = 23


def refusal_cases() -> list[Case]:
    """All of them."""
    return [*_frames(), *_flips(), *_signatures(), *_order(), *_texts(), *_members(), *_weak(), *_not_ours()]


def _frames() -> list[Case]:
    unit = alice_day()
    header_ends = HEADER_STARTS + len(cut_unit(unit).header)
    no_records = header_ends + 96
    cuts = {
        "empty": 0,
        "in-magic": 10,
        "after-magic": 19,
        "in-length": 21,
        "after-length": 23,
        "in-header": header_ends - 1,
        "in-hash": header_ends + 31,
        "in-signature": no_records - 1,
        "no-records": no_records,
        "in-records": len(unit) - 1,
        "last-record": len(unit) - 48,
    }
    long_header = _header_text(PLAN) + b" " * 4096
    longest = _header_text(PLAN).ljust(4096)
    return [
        *(_refused(f"cut-{name}", "cut short", unit[:length]) for name, length in cuts.items()),
        _refused("one-byte-more", "a byte after the last record", unit + b"\0"),
        _refused("one-record-more", "a record more", unit + bytes(48)),
        _refused("other-version", "another version", unit.replace(MAGIC, b"sparekey-offline/2\n", 1)),
        _refused("header-4097", "a header of more than 4096 bytes", _wrapped(long_header)),
        _refused("length-huge", "n says 4 GiB", unit[:19] + b"\xff" * 4 + unit[23:]),
        hit("header-4096", "the longest header", _resealed(longest), AT_TEN),
    ]


def _flips() -> list[Case]:
    unit = alice_day()
    header_ends = HEADER_STARTS + len(cut_unit(unit).header)
    records = header_ends + 96
    spots = {
        "magic": (3, MALFORMED),
        "length": (22, BAD_SIGNATURE),
        "header": (HEADER_STARTS + 40, BAD_SIGNATURE),
        "hash": (header_ends + 5, BAD_SIGNATURE),
        "signature": (header_ends + 40, BAD_SIGNATURE),
        "signature-end": (records - 1, BAD_SIGNATURE),
        "record": (records + 2 * 48, MALFORMED),
        "other-record": (records, MALFORMED),
    }
    at_opening = _flip(unit, records + 2 * 48 + 47)
    return [
        *(_refused(f"flip-{name}", "one bit flipped", _flip(unit, spot), word) for name, (spot, word) in spots.items()),
        _refused("flip-record-opened", "a record altered after receipt", at_opening, "wrong passcode", receipt=False),
        hit(
            "flip-other-record-opened",
            "another record altered after receipt",
            _flip(unit, records),
            AT_TEN,
            receipt=False,
        ),
    ]


def _signatures() -> list[Case]:
    stranger = STRANGER.public_key().public_bytes_raw()
    ours = SIGNING.public_key().public_bytes_raw()
    forged = _assemble(_header_text(PLAN), fixed("dummy records", 240), STRANGER.sign)
    broken = _assemble(b"{", b"", STRANGER.sign)
    return [
        _refused("signed-by-another", "another key's signature", forged, BAD_SIGNATURE),
        _refused("pinned-another", "another key is pinned", alice_day(), BAD_SIGNATURE, pinned=(stranger,)),
        hit("pinned-second", "the second pinned key", alice_day(), AT_TEN, pinned=(stranger, ours)),
        _refused("signature-before-parsing", "a broken header by another key", broken, BAD_SIGNATURE),
    ]


def _order() -> list[Case]:
    weak_and_long = _wrapped(_header_text(PLAN, argon_m=1), 6)
    weak_elsewhere = _signed(PLAN, argon_m=1, device="device-2")
    old_elsewhere = sealed(changed(PLAN, device="device-2", generation=2), AT_TEN, 1)
    old_and_past = sealed(changed(PLAN, generation=2), AT_TEN, 1)
    return [
        _refused("malformed-before-weak", "too many records and a cost too low", weak_and_long),
        _refused("weak-before-device", "a cost too low, for another device", weak_elsewhere, WEAK),
        _refused("device-before-generation", "another device, an earlier generation", old_elsewhere, "wrong device"),
        _refused(
            "generation-before-time", "an earlier generation, past its end", old_and_past, "superseded", time=2**40
        ),
    ]


def _not_ours() -> list[Case]:
    newer = sealed(changed(PLAN, generation=4), AT_TEN, 1)
    # The header names one key, the record holds another: what a stolen signing key could make.
    planted = _resealed(_header_text(PLAN), changed(PLAN, offline_key=OLD_KEY))
    return [
        _refused("wrong-device", "sealed for another device", alice_day(), "wrong device", device="device-2"),
        _refused("superseded", "a later generation is known", alice_day(), "superseded", generation=4),
        hit("generation-above", "a generation above the known one", newer, AT_TEN),
        _refused("wrong-key", "a record that opens to another key than the header names", planted, "wrong key"),
    ]


def _texts() -> list[Case]:
    text = _header_text(PLAN).decode()
    members = json.loads(text)
    reordered = json.dumps(dict(reversed(members.items())), indent=1)
    cases = {
        "not-json": ("kind=day", "no JSON"),
        "not-object": ("[1,2]", "no object"),
        "pairs": (json.dumps([[name, value] for name, value in members.items()]), "names and values in an array"),
        "twice": (text.replace('"policy":12', '"policy":12,"policy":12'), "a member twice"),
        "missing": (text.replace('"policy":12,', ""), "a member missing"),
        "unknown": (text.replace('"policy":12', '"policy":12,"colour":"red"'), "a member too many"),
        "trailing": (text + "{}", "something after the object"),
        "fraction": (text.replace('"policy":12', '"policy":12.0'), "a fraction"),
        "exponent": (text.replace('"policy":12', '"policy":12e0'), "an exponent"),
        "minus-zero": (text.replace('"drift":0', '"drift":-0'), "minus zero"),
        "not-a-number": (text.replace('"policy":12', '"policy":NaN'), "NaN"),
        "true": (text.replace('"generation":3', '"generation":true'), "true for a number"),
        "null": (text.replace('"previous":""', '"previous":null'), "null for a string"),
        "number-as-text": (text.replace('"policy":12', '"policy":"12"'), "a number as a string"),
        "text-as-number": (text.replace('"login":"alice"', '"login":5'), "a string as a number"),
        "surrogate": (text.replace('"login":"alice"', '"login":"\\ud800"'), "an unpaired surrogate"),
        "nested": (text.replace('"policy":12', '"policy":' + "[" * 1500 + "]" * 1500), "deep nesting"),
    }
    taken = {
        "reordered": (reordered, "other order, white space"),
        "utf-8": (text.replace("alice", "zoë"), "a login beyond ASCII"),
        "escaped": (text.replace("alice", "zo\\u00eb"), "the same, escaped"),
    }
    return [
        *(_refused(f"text-{name}", about, _wrapped(given.encode())) for name, (given, about) in cases.items()),
        _refused("text-bom", "a byte order mark", _wrapped(b"\xef\xbb\xbf" + text.encode())),
        _refused("text-utf-16", "UTF-16", _wrapped(text.encode("utf-16-le"))),
        _refused("text-latin-1", "a byte that is no UTF-8", _wrapped(text.replace("alice", "zoë").encode("latin-1"))),
        *(hit(f"text-{name}", about, _resealed(given.encode()), AT_TEN) for name, (given, about) in taken.items()),
    ]


Broken = dict[str, dict[str, object]]
"""Members to replace, by the name of the scenario."""


def _members() -> Iterator[Case]:
    """One rule of 2.4 or 2.5 broken in each."""
    token: Broken = {
        "kind": {"kind": "week"},
        "device-empty": {"device": ""},
        "user-empty": {"user": ""},
        "login-empty": {"login": ""},
        "login-long": {"login": "é" * 64 + "e"},
        "token-empty": {"token": ""},
        "generation-0": {"generation": 0},
        "version-1": {"version": 1},
        "policy-negative": {"policy": -1},
        "policy-2-53": {"policy": 2**53},
        "window-11": {"window": 11},
        "count-0": {"count": 0},
        "first-last": {"first": 2**53 - 1, "count": 2},
        "digits-5": {"digits": 5},
        "digits-9": {"digits": 9},
        "salt-31": {"salt": "00" * 31},
        "salt-upper-case": {"salt": "AB" * 32},
        "salt-odd": {"salt": "0" * 63},
        "salt-other": {"salt": "0x" * 32},
        "pin-salt-15": {"pin_salt": "00" * 15},
        "pin-cost-alone": {"pin_salt": ""},
        "check-31": {"check": "00" * 31},
        "previous-47": {"previous": "00" * 47},
        "sealed-at-negative": {"sealed_at": -1},
    }
    day: Broken = {
        "interval-0": {"interval": 0},
        "interval-uneven": {"interval": 61},
        "two-days": {"first": (DAY + 1) * 1440 - 1, "count": 2},
        "not-after-early": {"not_after": PLAN.not_after - 1},
        "not-after-late": {"not_after": PLAN.not_after + 1},
        "drift-other-day": {"drift": 1440},
        "drift-below": {"drift": -(2**53)},
    }
    events: Broken = {
        "interval": {"interval": 60},
        "drift": {"drift": 1},
        "count-1001": {"count": 1001},
        "token": {"token": ""},
    }
    emergency: Broken = {
        "version-0": {"version": 0},
        "count-2": {"count": 2},
        "first-1": {"first": 1},
        "interval": {"interval": 60},
        "drift": {"drift": 1},
        "window": {"window": 1},
        "digits": {"digits": 6},
        "token": {"token": ""},
    }
    passcode: Broken = {"token": {"token": "token-1"}, "pin": _pin_members(), "version-0": {"version": 0}}
    for kind, plan, broken in (
        ("member", PLAN, token),
        ("day", PLAN, day),
        ("events", EVENTS, events),
        ("emergency", RESCUE, emergency),
        ("passcode", PASSCODE, passcode),
    ):
        for name, members in broken.items():
            about = "the header breaks a rule: " + ", ".join(members)
            yield _refused(f"rule-{kind}-{name}", about, _signed(plan, **members))
    yield hit("rule-member-login-128", "a login of 128 bytes", sealed(changed(PLAN, login="é" * 64), AT_TEN, 1), AT_TEN)


def _weak() -> Iterator[Case]:
    broken: Broken = {
        "memory-low": {"argon_m": 1023, "argon_t": 2},
        "memory-high": {"argon_m": 262145},
        "passes-0": {"argon_t": 0},
        "passes-17": {"argon_t": 17},
        "pepper-15": {"pepper_bits": 15},
        "product": {"argon_m": 1024, "argon_t": 1, "pepper_bits": 8},
        "pin-memory-low": {"pin_m": 19455},
        "pin-memory-high": {"pin_m": 262145},
        "pin-memory-0": {"pin_m": 0},
        "pin-passes-1": {"pin_t": 1},
        "pin-passes-17": {"pin_t": 17},
    }
    for name, members in broken.items():
        yield _refused(f"weak-{name}", "outside the limits: " + ", ".join(members), _signed(PLAN, **members), WEAK)


def _refused(name: str, about: str, unit: bytes, expect: str = MALFORMED, **rest: object) -> Case:
    return Case(name, about, unit, at(AT_TEN), expect, **rest)  # type: ignore[arg-type] # members of Case


def _flip(unit: bytes, spot: int) -> bytes:
    return unit[:spot] + bytes([unit[spot] ^ 1]) + unit[spot + 1 :]


def _pin_members() -> dict[str, object]:
    return {"pin_salt": "00" * 16, "pin_m": 19456, "pin_t": 2}


def _codes(plan: SealPlan) -> list[tuple[int, str]]:
    if plan.kind.is_emergency:
        return [(0, TWO if plan.pin else THREE)]
    return [(i, tokencode(i, plan.digits)) for i in range(AT_TEN - 2, AT_TEN + 3)]


def _header_text(plan: SealPlan, **members: object) -> bytes:
    """The header of a unit around 10:00, some members replaced whatever the rules say."""
    head = json.loads(_header_of(plan, _codes(plan), fixed("salt")).encode())
    return json.dumps(head | members, separators=(",", ":"), ensure_ascii=False).encode()


def _wrapped(header: bytes, count: int = 5) -> bytes:
    """Signed, with records that no reader will try."""
    return _assemble(header, fixed("dummy records", 48 * count), SIGNING.sign)


def _signed(plan: SealPlan, **members: object) -> bytes:
    header = _header_text(plan, **members)
    return _wrapped(header, json.loads(header)["count"])


def _resealed(header: bytes, plan: SealPlan = PLAN) -> bytes:
    """Signed, with true records under a header that says what it likes."""
    codes = _codes(plan)
    peppers = [pepper_of(i) for i, _ in codes]
    records = _records_of(plan, header_hash(header), codes, peppers, one_by_one, lambda: False)
    return _assemble(header, records, SIGNING.sign)
