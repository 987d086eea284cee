"""S11: MACs before decryption, no expanded entities, limited file sizes; altered files are refused."""

import re

import pytest

from sparekey.core.errors import BadInput
from sparekey.token_files import LARGEST_FILE, MOST_ENTRIES, RefusedEntry
from tests.token_files.read import items, refusal
from tools.token_files import pskc_file, sdtid_file, tokens

KEY = bytes(range(16))
THREE = tokens(3)
THREE_SECURID = tokens(3, seed_bytes=16)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def altered(data: bytes, element: str, which: int) -> list[bytes]:
    """The file once for each character of the `which`-th element of that name, that character another one."""
    text = data.decode()
    match = [*re.finditer(rf"<{element}>=?([^<=]+)=*</{element}>", text)][which]
    return [
        (text[:at] + ALPHABET[ALPHABET.index(text[at]) - 8] + text[at + 1 :]).encode()
        for at in range(match.start(1), match.end(1) - 1)  # not the last, which has bits that mean nothing
    ]


@pytest.mark.parametrize("element", ["xenc:CipherValue", "ValueMAC"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_s11_an_altered_pskc_secret_is_refused_by_its_mac_before_it_is_decrypted(element: str, which: int) -> None:
    before = 1 if element == "xenc:CipherValue" else 0  # the MAC key
    files = altered(pskc_file(THREE, key=KEY), element, before + which)
    assert len(files) > 20
    for file in files:
        found = items(file, KEY.hex())
        assert [isinstance(each, RefusedEntry) for each in found] == [each == which for each in range(3)]
        bad = found[which]
        assert isinstance(bad, RefusedEntry)
        # The same error wherever it was altered: the padding was never checked.
        assert bad.reason.startswith("the MAC of the secret does not fit")


@pytest.mark.parametrize("which", [0, 1, 2])
def test_s11_an_encrypted_pskc_secret_without_a_mac_is_refused(which: int) -> None:
    text = pskc_file(THREE, key=KEY).decode()
    match = [*re.finditer(r"<ValueMAC>[^<]+</ValueMAC>", text)][which]
    found = items(text[: match.start()] + text[match.end() :], KEY.hex())
    assert [isinstance(each, RefusedEntry) for each in found] == [each == which for each in range(3)]
    assert "no MAC" in getattr(found[which], "reason", "")


def test_s11_an_encrypted_pskc_file_without_any_mac_is_refused() -> None:
    text = re.sub(r"<MACMethod .*</MACMethod>", "", pskc_file(THREE, key=KEY).decode())
    with pytest.raises(BadInput, match="no MAC to verify it by"):
        items(text, KEY.hex())


@pytest.mark.parametrize("element", ["Seed", "TokenMAC", "SN"])
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("password", [None, "correct horse"])
def test_s11_an_altered_token_of_an_sdtid_file_is_refused_by_its_mac(
    element: str, which: int, password: str | None
) -> None:
    for file in altered(sdtid_file(THREE_SECURID, password=password or ""), element, which):
        found = items(file, password)
        assert [isinstance(each, RefusedEntry) for each in found] == [each == which for each in range(3)]
        bad = found[which]
        assert isinstance(bad, RefusedEntry)
        assert "MAC of the token does not fit" in bad.reason


@pytest.mark.parametrize("more", ["<Digits>8</Digits>", "<LocalPIN>0</LocalPIN>", "<Death>2099/12/31</Death>"])
def test_s11_nothing_can_be_added_to_a_token_of_an_sdtid_file(more: str) -> None:
    data = sdtid_file(THREE_SECURID[:1]).decode()
    assert "MAC of the token" in refusal(data.replace("<SN>", f"{more}<SN>")).reason


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<DefDigits>6", "<DefDigits>8"),
        ("<DefDeath>2037", "<DefDeath>2099"),
        ("<DefLocalPIN>0</DefLocalPIN>", ""),
        ("<Origin>Example", "<Origin>Sample"),
        ("<TKNHeader>", "<TKNHeader><DefKeypad>1</DefKeypad>"),
    ],
)
def test_s11_an_altered_header_refuses_the_whole_sdtid_file(old: str, new: str) -> None:
    data = sdtid_file(THREE_SECURID).decode()
    assert old in data
    with pytest.raises(BadInput, match=r"MAC of the \.sdtid file does not fit"):
        items(data.replace(old, new))


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
DOCUMENT_TYPES = {
    "billion laughs": f'<!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]>',
    "quadratic": f'<!DOCTYPE x [<!ENTITY l11 "{"a" * 50_000}">]>',
    "external entity": '<!DOCTYPE x [<!ENTITY l11 SYSTEM "file:///etc/hostname">]>',
    "external subset": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
    "parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]>',
    "nothing in it": "<!DOCTYPE x>",
}


@pytest.mark.parametrize("kind", DOCUMENT_TYPES)
@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("made", [pskc_file(THREE), sdtid_file(THREE_SECURID)], ids=["pskc", "sdtid"])
def test_s11_no_entity_is_expanded_and_no_document_type_is_read(kind: str, charset: str, made: bytes) -> None:
    text = re.sub(r"^<\?xml.*\?>\n", "", made.decode())
    use = "" if kind in {"external subset", "nothing in it"} else "&l11;" * 50
    text = DOCUMENT_TYPES[kind] + re.sub(r"(<SerialNo>|<SN>)", rf"\g<1>{use}", text, count=1)
    start = b"\xfe\xff" if charset == "utf-16-be" else b""
    with pytest.raises(BadInput, match="declares a document type or an entity"):
        items(start + text.encode(charset))


def test_s11_a_file_is_only_so_big() -> None:
    with pytest.raises(BadInput, match="at most"):
        items(bytes(LARGEST_FILE + 1))
    with pytest.raises(BadInput, match="at most"):
        items(b"<" * (LARGEST_FILE + 1))


def test_s11_a_file_has_only_so_many_records() -> None:
    with pytest.raises(BadInput, match="more than 200000 records"):
        items("serial,type,seed\n" + "1,x,1\n" * (MOST_ENTRIES + 1))


@pytest.mark.parametrize("where", ["<Issuer>", "<SN>"])
@pytest.mark.parametrize("filling", ["<x>" * 100 + "</x>" * 100, "<x/>" * 2_000])
def test_s11_a_record_holds_only_so_much(where: str, filling: str) -> None:
    data = (pskc_file(THREE) if where == "<Issuer>" else sdtid_file(THREE_SECURID)).decode()
    with pytest.raises(BadInput, match="nests too much"):
        items(data.replace(where, filling + where, 1))


@pytest.mark.parametrize(
    "data", [pskc_file(THREE)[:-20], sdtid_file(THREE_SECURID)[:-20], pskc_file(THREE) + b"<more/>"]
)
def test_s11_xml_that_breaks_off_refuses_the_whole_file(data: bytes) -> None:
    with pytest.raises(BadInput, match="no XML from line"):
        items(data)


@pytest.mark.parametrize("charset", ["utf-7", "cp037", "nothing-of-the-kind", "euc-jp"])
def test_s11_a_character_set_that_is_not_known_refuses_the_file(charset: str) -> None:
    with pytest.raises(BadInput):
        items(pskc_file(THREE).replace(b"UTF-8", charset.encode()))
