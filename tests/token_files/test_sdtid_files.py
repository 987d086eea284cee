""".sdtid: files of `stoken` and of our own making, with and without a password, of one token and of many."""

from pathlib import Path

import pytest

from sparekey.core.errors import BadInput
from tests.token_files.read import items, record, refusal, seeds
from tools import stoken
from tools.token_files import MadeToken, sdtid_file, tokens

SAMPLES = Path(__file__).parent / "samples"
TEN = tokens(10, seed_bytes=16)


@pytest.mark.services
@pytest.mark.parametrize("password", ["", "s3cret pass", "p" * 40, "pässwörd"])
@pytest.mark.parametrize(("digits", "interval"), [(6, 30), (8, 60)])
def test_files_that_stoken_issues_are_read(password: str, digits: int, interval: int, tmp_path: Path) -> None:
    file = stoken.issue(tmp_path, digits=digits, interval=interval, death="2030/06/30", password=password)
    made = record(file.read_bytes(), password or None)
    assert (made.serial, made.type, made.with_pin) == ("000123456789", "securid", True)
    assert (made.parameters.digits, made.parameters.interval) == (digits, interval)
    assert made.expires_at == 1_909_094_400  # the end of the last day
    assert made.parameters.seed.reveal() == stoken.seed(file, password=password)


@pytest.mark.services
@pytest.mark.parametrize(
    "name", ["B", "Batch 1", "A name of the batch longer than thirty-two characters", "ein Ümlaut"]
)
def test_names_that_go_into_the_keys_are_taken_as_stoken_takes_them(name: str, tmp_path: Path) -> None:
    file = stoken.issue(tmp_path, name=name)
    assert record(file.read_bytes()).parameters.seed.reveal() == stoken.seed(file)


@pytest.mark.services
def test_files_that_stoken_exports_are_pin_pad_style_and_refused_in_words(tmp_path: Path) -> None:
    refused = refusal(stoken.export(tmp_path).read_bytes())
    assert "PIN-pad style" in refused.reason
    assert len(refused.serial) == 12
    assert "PIN-pad style" in refusal(stoken.issue(tmp_path, local_pin=True).read_bytes()).reason


@pytest.mark.services
@pytest.mark.parametrize("password", ["", "correct horse"])
def test_stoken_reads_our_files_alike(password: str, tmp_path: Path) -> None:
    file = tmp_path / "one.sdtid"
    file.write_bytes(sdtid_file(TEN[:1], password=password))
    assert stoken.seed(file, password=password) == TEN[0].seed
    assert seeds(file.read_bytes(), password or None) == [(TEN[0].serial, TEN[0].seed)]


@pytest.mark.parametrize("password", [None, "correct horse"])
def test_a_file_has_as_many_tokens_as_it_has(password: str | None) -> None:
    data = sdtid_file(TEN, password=password or "")
    assert seeds(data, password) == [(each.serial, each.seed) for each in TEN]


@pytest.mark.parametrize(("sample", "password"), [("tokens.sdtid", None), ("password.sdtid", "correct horse")])
def test_the_sdtid_samples_are_read(sample: str, password: str | None) -> None:
    assert seeds((SAMPLES / sample).read_bytes(), password) == [(each.serial, each.seed) for each in TEN[:2]]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"DefAlg": "0"}, "128-bit"),
        ({"DefMode": "1"}, "does not go by time"),
        ({"DefLocalPIN": "1"}, "PIN-pad style"),
        ({"DefDigits": "7"}, "6 or 8 digits"),
        ({"DefDigits": "six"}, "not a number"),
        ({"DefInterval": "45"}, "30 or 60"),
        ({"DefDeath": "31.12.2037"}, "not one"),
        ({"DefDeath": "2037/02/30"}, "a date is not one"),
    ],
)
def test_a_token_that_cannot_be_used_is_refused_in_words(header: dict[str, str], words: str) -> None:
    refused = refusal(sdtid_file(TEN[:1], **header))
    assert words in refused.reason
    assert (refused.number, refused.serial) == (1, TEN[0].serial)


def test_a_token_s_own_values_win_over_the_header() -> None:
    made = record(sdtid_file(TEN[:1], DefDigits="8", DefInterval="30"))
    assert (made.parameters.digits, made.parameters.interval) == (8, 30)


@pytest.mark.parametrize("serial", ["A12345678901", "1234567890123"])
def test_a_serial_number_that_codes_cannot_depend_on_is_refused(serial: str) -> None:
    assert "1 to 12 digits" in refusal(sdtid_file([MadeToken(serial, bytes(16))])).reason


@pytest.mark.parametrize(
    ("data", "password", "words"),
    [
        (sdtid_file(TEN, password="right"), None, "another password"),
        (sdtid_file(TEN, password="right"), "wrong", "another password"),
        (sdtid_file(TEN), "a password", "another password"),
        (sdtid_file([]), None, "no token"),
        (sdtid_file(TEN, Secret="AAAA"), None, "its secret has another size"),
        (sdtid_file(TEN).replace(b"<Dest>", b"<Name>x</Name><Dest>"), None, "stands in it twice"),
        (sdtid_file(TEN).replace(b"TKNHeader", b"Header"), None, "before its header"),
        (sdtid_file(TEN).replace(b"Somebody", b"Some\nbody"), None, "several lines"),
    ],
)
def test_an_sdtid_file_that_is_wrong_as_a_whole_is_refused_as_a_whole(
    data: bytes, password: str | None, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        items(data, password)
