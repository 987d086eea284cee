"""S30: erasure leaves the signature whole, and only the key that the unit names comes out of it."""

import dataclasses
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.sealed import (
    Malformed,
    Moment,
    WrongKey,
    WrongPasscode,
    check_of,
    erase_through,
    join_unit,
    new_offline_key,
    open_previous,
    open_unit,
    seal_previous,
    split_records,
    split_unit,
    unlock,
)
from sparekey.sealed.format import cut_unit
from sparekey.sealed.parallel import one_by_one
from sparekey.sealed.primitives import header_hash
from sparekey.sealed.seal import _assemble, _header_of, _records_of
from sparekey.secret import Secret
from tests.sealed.units import (
    NOON,
    OFFLINE_KEY,
    PIN,
    SIGNING,
    TODAY,
    a_cheap_plan,
    a_unit,
    received,
    stored,
)

FIRST = TODAY[0][0]
UNIT = a_unit(a_cheap_plan(), count=20)
HEADER_PART, RECORDS = split_unit(UNIT)


@given(st.integers(FIRST - 2, FIRST + 22))
def test_s30_the_signature_holds_after_erasure(last_used: int) -> None:
    unit = stored(HEADER_PART + erase_through(RECORDS, FIRST, last_used))
    erased = [i for i in range(FIRST, FIRST + 20) if unit.is_erased(i)]
    assert erased == [i for i in range(FIRST, FIRST + 20) if i <= last_used]


def test_s30_an_erased_record_gives_nothing_and_its_neighbour_opens() -> None:
    unit = stored(HEADER_PART + erase_through(RECORDS, FIRST, TODAY[1][0]))
    with pytest.raises(WrongPasscode):
        open_unit(unit, PIN + TODAY[1][1], Moment(NOON))
    assert open_unit(unit, PIN + TODAY[2][1], Moment(NOON)).offline_key == OFFLINE_KEY


def test_s30_an_erased_unit_is_not_taken_at_receipt() -> None:
    with pytest.raises(Malformed):
        received(HEADER_PART + erase_through(RECORDS, FIRST, FIRST))


def test_s30_a_key_other_than_the_named_one_is_refused() -> None:
    """An attacker with the stolen signing key, but without an offline key, can make records of a key of her own."""
    header = _header_of(a_cheap_plan(), TODAY[:3], secrets.token_bytes(32)).encode()
    own = a_cheap_plan(offline_key=new_offline_key())
    records = _records_of(own, header_hash(header), TODAY[:3], [0, 1, 2], one_by_one, lambda: False)
    planted = received(_assemble(header, records, SIGNING.sign))
    with pytest.raises(WrongKey, match=r"^the record opens to a key other than the one the unit names$"):
        open_unit(planted, PIN + TODAY[1][1], Moment(NOON))


def test_s30_a_stolen_signing_key_cannot_name_its_own_key_as_the_devices() -> None:
    own = a_cheap_plan(offline_key=new_offline_key())
    planted = received(a_unit(own, count=3))
    opened = open_unit(planted, PIN + TODAY[1][1], Moment(NOON))
    assert opened.unit.header.check != check_of(OFFLINE_KEY)
    assert opened.offline_key != OFFLINE_KEY


def test_s30_records_of_a_true_unit_open_under_no_other_header() -> None:
    header = cut_unit(UNIT).header.replace(b'"login":"alice"', b'"login":"mallo"')
    moved = received(_assemble(header, RECORDS, SIGNING.sign))
    with pytest.raises(WrongPasscode):
        open_unit(moved, PIN + TODAY[1][1], Moment(NOON))


def test_records_do_not_open_at_another_place() -> None:
    header = cut_unit(UNIT).header
    shifted = RECORDS[48:] + RECORDS[:48]
    moved = received(_assemble(header, shifted, SIGNING.sign))
    for _, code in TODAY[:3]:
        with pytest.raises(WrongPasscode):
            open_unit(moved, PIN + code, Moment(NOON))


@given(st.integers(1, 25))
def test_pieces_join_to_the_unit(per_piece: int) -> None:
    pieces = split_records(RECORDS, FIRST, per_piece)
    assert all(len(piece) <= 48 * per_piece for piece in pieces.values())
    assert join_unit(HEADER_PART, pieces, FIRST, 20) == UNIT


def test_a_piece_that_is_not_given_counts_as_erased() -> None:
    pieces = split_records(RECORDS, FIRST, 5)
    del pieces[FIRST + 5]
    unit = stored(join_unit(HEADER_PART, pieces, FIRST, 20))
    assert [i - FIRST for i in range(FIRST, FIRST + 20) if unit.is_erased(i)] == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("number", [FIRST - 1, FIRST + 16, FIRST + 30])
def test_a_foreign_piece_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="outside the unit"):
        join_unit(HEADER_PART, {number: bytes(48 * 5)}, FIRST, 20)


def test_previous_leads_to_the_old_key_and_not_back() -> None:
    old, new = new_offline_key(), new_offline_key()
    previous = seal_previous(new, old)
    assert open_previous(new, check_of(old), previous) == old
    with pytest.raises(WrongKey):
        open_previous(old, check_of(new), previous)
    with pytest.raises(WrongKey):
        open_previous(new, check_of(new), previous)
    with pytest.raises(WrongKey):
        open_previous(new, check_of(old), b"")


def test_a_previous_key_other_than_the_requested_one_is_refused() -> None:
    old, new, asked_for = new_offline_key(), new_offline_key(), new_offline_key()
    for place in range(48):
        previous = seal_previous(new, old)
        with pytest.raises(WrongKey):
            open_previous(new, check_of(old), previous[:place] + b"\0\0" + previous[place + 2 :])
    with pytest.raises(WrongKey):
        open_previous(new, check_of(asked_for), seal_previous(new, old))


def test_unlock_depends_on_each_of_its_parts() -> None:
    key, secret = new_offline_key(), Secret(secrets.token_bytes(32))
    base = unlock(key, secret, "user-1", "password")
    assert base == unlock(key, secret, "user-1", "password")
    others = [
        unlock(new_offline_key(), secret, "user-1", "password"),
        unlock(key, Secret(secrets.token_bytes(32)), "user-1", "password"),
        unlock(key, secret, "user-2", "password"),
        unlock(key, secret, "user-1", "disk"),
        # Lengths stand before the parts: moving a letter from one to the other makes another key.
        unlock(key, secret, "user-", "1password"),
    ]
    assert len({one.reveal() for one in [base, *others]}) == 6


def test_objects_with_secrets_do_not_print_them() -> None:
    opened = open_unit(stored(UNIT), PIN + TODAY[1][1], Moment(NOON))
    shown = repr((opened, dataclasses.asdict(opened.unit.header)))
    assert repr(OFFLINE_KEY.reveal()) not in shown
    assert repr(RECORDS) not in repr(opened)
