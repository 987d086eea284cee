"""CSV: columns by name, defaults by type, and each bad line with its number and its reason."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.core.errors import BadInput
from tests.token_files.read import items, record, records, refusal, seeds
from tools.token_files import csv_file, tokens

SEED = "3132333435363738393031323334353637383930"
HEAD = "serial,type,seed,digits,interval,algorithm,counter,expires,pin\n"


def test_missing_columns_have_the_usual_values() -> None:
    made = records(f"serial,type,seed\nA1,totp,{SEED}\nA2,hotp,{SEED}\n000123,securid,{SEED[:32]}\n")
    assert [
        (each.number, each.serial, each.type, each.parameters.digits, each.parameters.interval, each.counter)
        for each in made
    ] == [(2, "A1", "totp", 6, 30, 0), (3, "A2", "hotp", 6, 0, 0), (4, "000123", "securid", 6, 60, 0)]
    assert [each.parameters.algorithm for each in made] == ["sha1", "sha1", "aes128"]
    assert all(each.with_pin and each.expires_at is None for each in made)


def test_every_column_is_read() -> None:
    made = record(f"{HEAD}A1,TOTP,{SEED},8,60,SHA256,,2027-12-31,no\n")
    assert (made.parameters.digits, made.parameters.interval, made.parameters.algorithm) == (8, 60, "sha256")
    assert (made.expires_at, made.with_pin) == (1_830_211_200, False)
    assert record(f"{HEAD}A2,hotp,{SEED},,,,41,2027-12-31T18:00:00+01:00,yes\n").counter == 41


@pytest.mark.parametrize("form", ["\ufeff{}", "{}\n\n\n", " {}"])
@pytest.mark.parametrize("comma", [",", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_as_spreadsheets_write_them_are_read(form: str, comma: str, end: str) -> None:
    text = comma.join(("Type", "SEED", "serial")) + end + comma.join(("totp", f'"{SEED}"', " A1 ")) + end
    assert seeds(form.format(text)) == [("A1", bytes.fromhex(SEED))]


@given(st.binary(min_size=10, max_size=64))
def test_a_seed_in_hex_and_in_base32_is_the_same_seed(seed: bytes) -> None:
    base32 = base64.b32encode(seed).decode()
    for text in (seed.hex(), seed.hex().upper(), f"hex:{seed.hex()}", f"base32:{base32}", f"base32:{base32.lower()}"):
        assert record(f"serial,type,seed\nA,totp,{text}\n").parameters.seed.reveal() == seed
    bare = base32.rstrip("=")
    spaced = " ".join(bare[at : at + 4] for at in range(0, len(bare), 4))
    assert record(f"serial,type,seed\nA,totp,base32: {spaced}\n").parameters.seed.reveal() == seed


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"A1,totp,{SEED},5,,,,,", "6, 7 or 8 digits"),
        (f"A1,totp,{SEED},six,,,,,", "number of digits is not a number"),
        (f"A1,totp,{SEED},\u0666,,,,,", "number of digits is not a number"),
        (f"A1,totp,{SEED},,45,,,,", "30 or 60 seconds"),
        (f"A1,totp,{SEED},,,md5,,,", "algorithm is none of"),
        (f"A1,hotp,{SEED},,30,,,,", "no interval"),
        (f"A1,totp,{SEED},,,,7,,", "only a token of the type hotp has a counter"),
        (f"A1,hotp,{SEED},,,,-1,,", "counter is not a number"),
        (f"A1,hotp,{SEED},,,,2147483649,,", "beyond"),
        (f"A1,totp,{SEED},,,,,31.12.2027,", "a date is not one"),
        (f"A1,totp,{SEED},,,,,,maybe", "neither yes nor no"),
        (f"A1,totp,{SEED}", "the line has 3 columns, the first line names 9"),
        (f"A1,yubikey,{SEED},,,,,,", "type is none of totp, hotp, securid"),
        ("A1,totp,no seed!,,,,,,", "neither hex nor base32"),
        ("A1,totp,,,,,,,", "neither hex nor base32"),
        ("A1,totp,00112233,,,,,,", "10 to 128 bytes"),
        (f"A1,securid,{SEED},,,,,,", "16 bytes"),
        (f"A1,securid,{SEED[:32]},,,,,,", "1 to 12 digits"),
        (f"A 1,totp,{SEED},,,,,,", "a serial number has"),
        (f",totp,{SEED},,,,,,", "a serial number has"),
    ],
)
def test_a_bad_line_is_refused_in_words_and_the_others_are_read(line: str, words: str) -> None:
    before, bad, after = items(f"{HEAD}B1,totp,{SEED},,,,,,\n{line}\nB2,totp,{SEED},,,,,,\n")
    assert (before.serial, after.serial) == ("B1", "B2")
    assert bad.number == 3
    assert words in refusal(f"{HEAD}{line}\n").reason


@pytest.mark.parametrize(
    "text",
    [
        f"A1,totp,{SEED}\nA2,totp,{SEED}\n",  # no line that names the columns
        "serial,type\nA1,totp\n",
        f"serial,type,seed,colour\nA1,totp,{SEED},red\n",
        f"serial,type,seed,seed\nA1,totp,{SEED},{SEED}\n",
        f'serial,type,seed\nA1,totp,{SEED}\nA2,totp,"{SEED}\nA3,totp,{SEED}\n',  # a quote that never ends
        f"serial,type,seed\nA1,totp,{SEED}\nA\udce4,totp,{SEED}\n",  # not UTF-8
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        items(text.encode("utf-8", "surrogateescape"))
    assert SEED[:8] not in f"{refused.value.message} {refused.value.do}"


def test_a_file_that_is_made_is_read() -> None:
    made = tokens(50)
    assert seeds(csv_file(made)) == [(each.serial, each.seed) for each in made]
