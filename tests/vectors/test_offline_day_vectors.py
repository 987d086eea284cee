"""offline-day/*.txt against `sparekey.sealed`."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sparekey.sealed import (
    Misread,
    Moment,
    OpenedRecord,
    SealedUnit,
    Unopened,
    open_previous,
    open_unit,
    pin_part,
    shape_of,
    split_for,
    unlock,
    verify_stored,
    verify_unit,
)
from sparekey.sealed.primitives import record_key, record_salt
from sparekey.secret import Secret
from spec.vectors.vector_file import Fields, parse

VECTORS = sorted((Path(__file__).parents[2] / "spec/vectors/offline-day").glob("*.txt"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_offline_day_vector(path: Path) -> None:
    fields, unit = parse(path.read_text())
    opened, outcome = _outcome(fields, unit)
    assert outcome == fields["expect"]
    if opened is not None:
        _verify_opened(fields, opened)


def test_every_failure_word_has_a_vector() -> None:
    words = {parse(path.read_text())[0]["expect"].split(" 1")[0].split(" 2")[0].split(" 3")[0] for path in VECTORS}
    # The agent has its own refusal, which is not a word of the format.
    refusals = {each.word for each in Unopened.__subclasses__() if each.__module__ == Unopened.__module__}
    assert words == refusals | {"key"}


def _outcome(fields: Fields, unit: bytes) -> tuple[OpenedRecord | None, str]:
    try:
        sealed = _verified(fields, unit)
        with ThreadPoolExecutor(2) as pool:
            return open_unit(sealed, json.loads(fields["typed"]), _moment(fields), run=pool.map), "key"
    except Misread as misread:
        return None, "misread " + " ".join(map(str, misread.groups))
    except Unopened as refusal:
        return None, refusal.word


def _verified(fields: Fields, unit: bytes) -> SealedUnit:
    verify = verify_unit if fields["receipt"] == "yes" else verify_stored
    pinned = [bytes.fromhex(key) for key in fields["pinned"].split()]
    return verify(unit, pinned, fields["device"], int(fields["generation"]))


def _moment(fields: Fields) -> Moment:
    time, next_counter, shift, used = (int(fields[name]) for name in ("time", "next", "shift", "last_used"))
    return Moment(time, next_counter, shift, None if used < 0 else used)


def _verify_opened(fields: Fields, opened: OpenedRecord) -> None:
    assert opened.offline_key.reveal().hex() == fields["key"]
    assert opened.i == int(fields["i"])
    header, hh = opened.unit.header, opened.unit.hh
    found = split_for([header], json.loads(fields["typed"])).of(shape_of(header))
    assert found is not None
    pin_hash = pin_part(found.pin.reveal().encode(), header.pin_salt, header.pin_m, header.pin_t)
    salt = record_salt(hh, opened.i)
    code = found.code.reveal().encode()
    key = record_key(pin_hash, code, opened.i, int(fields["pepper"]), salt, header.argon_m, header.argon_t)
    assert [pin_hash.hex(), hh.hex(), salt.hex(), key.hex()] == [fields[name] for name in ("P", "hh", "salt_i", "K_i")]
    if "old_key" in fields:
        old_key = open_previous(opened.offline_key, bytes.fromhex(fields["old_check"]), header.previous)
        assert old_key.reveal().hex() == fields["old_key"]
        secret = Secret(bytes.fromhex(fields["device_secret"]))
        assert unlock(opened.offline_key, secret, header.user, fields["purpose"]).reveal().hex() == fields["unlock"]
