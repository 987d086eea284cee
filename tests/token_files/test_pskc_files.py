"""PSKC (RFC 6030): files of python-pskc, of pskctool and of our own making. Tokens that a policy forbids are not
imported."""

import datetime
import io
import shutil
import subprocess
from pathlib import Path

import pskc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sparekey.core.errors import BadInput
from tests.token_files.read import items, record, records, refusal, seeds
from tools.token_files import PSKC, MadeToken, pskc_file, tokens

KEY = bytes(range(16))
ENCRYPTED = pskc_file(tokens(1), key=KEY)
SEED = b"12345678901234567890"
SAMPLES = Path(__file__).parent / "samples"


def written(*, key: bytes | None = None, password: str = "", **of_key: str | int) -> bytes:
    """Return a file of python-pskc: a TOTP and a HOTP key."""
    container = pskc.PSKC()
    if key is not None:
        container.encryption.setup_preshared_key(key=key, algorithm=f"aes{len(key) * 8}-cbc")
    if password:
        container.encryption.setup_pbkdf2(password, iterations=2_000)
    totp: dict[str, str | int] = {"algorithm": f"{PSKC}:totp", "time_interval": 60, "algorithm_suite": "HMAC-SHA256"}
    hotp: dict[str, str | int] = {"algorithm": f"{PSKC}:hotp", "counter": 42}
    for number, more in enumerate((totp, hotp)):
        container.add_key(
            serial=f"A{number}",
            id=f"A{number}",
            secret=SEED[: 20 - number],
            response_length=8,
            response_encoding="DECIMAL",
            **more | of_key,
        )
    out = io.BytesIO()
    container.write(out)
    return out.getvalue()


def changed(old: str, new: str, data: bytes | None = None) -> bytes:
    """A plain file of one token with one place changed."""
    text = (pskc_file(tokens(1)) if data is None else data).decode()
    assert old in text
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("key", "password", "given"),
    [
        (None, "", None),
        (KEY, "", KEY.hex()),
        (KEY, "", KEY.hex().upper()),
        (bytes(24), "", "00" * 24),
        (bytes(32), "", "00" * 32),
        (None, "correct horse", "correct horse"),
    ],
)
def test_files_of_python_pskc_are_read(key: bytes | None, password: str, given: str | None) -> None:
    first, second = records(written(key=key, password=password), given)
    assert (first.serial, first.type, first.parameters.interval) == ("A0", "totp", 60)
    assert (first.parameters.digits, first.parameters.algorithm) == (8, "sha256")
    assert first.parameters.seed.reveal() == SEED
    assert (second.serial, second.type, second.counter, second.parameters.interval) == ("A1", "hotp", 42, 0)
    assert second.parameters.seed.reveal() == SEED[:19]


@pytest.mark.parametrize(("key", "password"), [(None, ""), (KEY, ""), (None, "correct horse")])
def test_python_pskc_reads_our_files_alike(key: bytes | None, password: str) -> None:
    made = tokens(5)
    data = pskc_file(made, key=key, password=password)
    container = pskc.PSKC(io.BytesIO(data))
    if key is not None:
        container.encryption.key = key
    if password:
        container.encryption.derive_key(password)
    expected = [(each.serial, each.seed) for each in made]
    assert [(each.serial, each.secret) for each in container.keys] == expected
    assert seeds(data, password or (key.hex() if key else None)) == expected


@pytest.mark.services
def test_a_file_that_pskctool_has_signed_is_read_and_ours_follow_its_schema(tmp_path: Path) -> None:
    made = tokens(3)
    plain = tmp_path / "plain.xml"
    plain.write_bytes(pskc_file(made))
    assert "OK" in pskctool("--validate", str(plain))
    encrypted = tmp_path / "encrypted.xml"
    encrypted.write_bytes(pskc_file(made, key=KEY))
    assert "OK" in pskctool("--validate", str(encrypted))
    key, certificate = a_certificate(tmp_path)
    signed = pskctool("--sign", f"--sign-key={key}", f"--sign-crt={certificate}", str(plain))
    assert "SignatureValue" in signed
    assert seeds(signed) == [(each.serial, each.seed) for each in made]


def pskctool(*arguments: str) -> str:
    program = shutil.which("pskctool")
    assert program is not None, "install the Debian package `pskctool`"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True, timeout=30).stdout


def a_certificate(directory: Path) -> tuple[Path, Path]:
    key = rsa.generate_private_key(65_537, 2_048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Tokens")])
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + datetime.timedelta(days=3_650))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    (directory / "certificate.pem").write_bytes(certificate)
    return directory / "key.pem", directory / "certificate.pem"


@pytest.mark.parametrize(
    ("sample", "password"), [("plain.pskc", None), ("key.pskc", KEY.hex()), ("password.pskc", "correct horse")]
)
def test_the_samples_are_read(sample: str, password: str | None) -> None:
    assert seeds((SAMPLES / sample).read_bytes(), password) == [(each.serial, each.seed) for each in tokens(2)]


@pytest.mark.parametrize("algorithm", [f"{PSKC}:totp", "totp", "http://www.ietf.org/keyprov/pskc#totp"])
@pytest.mark.parametrize("suite", ["HMAC-SHA512", "SHA-512", "sha512"])
def test_names_that_tools_write_in_several_ways_are_known(algorithm: str, suite: str) -> None:
    data = changed(f'"{PSKC}:totp"', f'"{algorithm}"')
    data = changed("<ResponseFormat", f"<Suite>{suite}</Suite><ResponseFormat", data)
    assert record(data).parameters.algorithm == "sha512"


def test_a_key_without_a_serial_number_goes_by_its_id() -> None:
    assert record(changed("<SerialNo>000000000001</SerialNo>", "")).serial == "000000000001"


def test_a_policy_that_can_be_kept_is_kept() -> None:
    policy = (
        "<Policy><StartDate>2026-01-01T00:00:00Z</StartDate><ExpiryDate>2030-01-01T00:00:00Z</ExpiryDate>"
        '<PINPolicy PINUsageMode="Prepend"/><KeyUsage>OTP</KeyUsage></Policy></Key>'
    )
    assert record(changed("</Key>", policy)).expires_at == 1_893_456_000


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("<StartDate>2037-01-01T00:00:00Z</StartDate>", "may not be used yet"),
        ("<ExpiryDate>soon</ExpiryDate>", "a date is not one"),
        ('<PINPolicy PINUsageMode="Algorithmic"/>', "PIN-pad style"),
        ('<PINPolicy PINUsageMode="Append"/>', "PIN-pad style"),
        ("<NumberOfTransactions>5</NumberOfTransactions>", "would not be kept"),
        ("<KeyUsage>Encrypt</KeyUsage>", "does not allow one-time passwords"),
        ("<Colour>red</Colour>", "would not be kept"),
    ],
)
def test_a_policy_that_would_not_be_kept_refuses_the_key(policy: str, words: str) -> None:
    assert words in refusal(changed("</Key>", f"<Policy>{policy}</Policy></Key>")).reason


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (f"{PSKC}:totp", f"{PSKC}:pin", "neither HOTP nor TOTP"),
        ('Length="6"', 'Length="5"', "6, 7 or 8 digits"),
        ('Length="6"', 'Length="many"', "not a number"),
        ('"DECIMAL"', '"HEXADECIMAL"', "not decimal digits"),
        ('"DECIMAL"', '"DECIMAL" CheckDigits="true"', "check digit"),
        ("<ResponseFormat", "<Suite>SHA-3</Suite><ResponseFormat", "SHA-1, SHA-256"),
        ("<PlainValue>30<", "<PlainValue>45<", "30 or 60"),
        ("<Secret>", "<Other>", "no secret"),
        ("<Data>", "<Other>", "no data"),
        ("<SerialNo>000000000001", "<SerialNo>two words", "a serial number has"),
    ],
)
def test_a_key_that_cannot_be_a_token_is_refused_in_words(old: str, new: str, words: str) -> None:
    data = changed(old, new)
    if new == "<Other>":
        data = changed(old.replace("<", "</"), "</Other>", data)
    assert words in refusal(data).reason


@pytest.mark.parametrize(
    ("data", "password", "words"),
    [
        (ENCRYPTED, None, "is encrypted"),
        (ENCRYPTED, "no hex", "pre-shared key"),
        (ENCRYPTED, "0011", "pre-shared key"),
        (pskc_file(tokens(1)), "a password", "not encrypted"),
        (pskc_file([]), None, "no key package"),
        (changed("hmac-sha1", "hmac-md5", ENCRYPTED), KEY.hex(), "no HMAC"),
        (
            changed("<ds:KeyName>", "<ds:X509Data/><ds:KeyName>", ENCRYPTED),
            KEY.hex(),
            "certificate",
        ),
        (changed("#pbkdf2", "#scrypt", pskc_file(tokens(1), password="x")), "x", "derived in a way"),
        (pskc_file(tokens(1), password="x", iterations=1), "y", "does not open"),
        (changed(PSKC, "urn:ietf:params:xml:ns:keyprov:pskc:1.0"), None, "draft"),
        (b"<html/>", None, "neither PSKC nor .sdtid"),
    ],
)
def test_a_pskc_file_that_is_wrong_as_a_whole_is_refused_as_a_whole(
    data: bytes, password: str | None, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        items(data, password)


def test_the_cost_of_a_password_is_bounded() -> None:
    data = changed(">1000<", ">999999999<", pskc_file(tokens(1), password="x"))
    with pytest.raises(BadInput, match="derived in a way") as refused:
        items(data, "x")
    assert "at most 5000000 iterations" in refused.value.do


def test_a_record_that_holds_another_key_size_is_refused() -> None:
    data = changed("aes128-cbc", "aes256-cbc", pskc_file([MadeToken("1", SEED)], key=KEY))
    with pytest.raises(BadInput, match="does not open"):
        items(data, KEY.hex())
