"""A second reader of sealed units, written from spec/offline-day.md alone; it imports nothing of Sparekey.

open_unit.py VECTOR.txt...                                          checks vectors of offline-day/ and splitting/
open_unit.py UNIT PINNED-KEY DEVICE TIME [GENERATION [NEXT]]        opens with what stands on standard input
"""

import hashlib
import hmac
import json
import re
import sys
from contextlib import suppress
from functools import reduce
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TEXTS = ["kind", "device", "user", "login", "token", "salt", "pin_salt", "check", "previous"]
NUMBERS = [
    "generation",
    "version",
    "policy",
    "interval",
    "drift",
    "window",
    "first",
    "count",
    "digits",
    "argon_m",
    "argon_t",
    "pepper_bits",
    "pin_m",
    "pin_t",
    "not_after",
    "sealed_at",
]
Values = dict[str, Any]
Shape = tuple[int, bool]  # digits (0: a code in groups, below 0: letters too); whether a PIN goes before it


def need(rule: object, word: str = "malformed") -> None:
    if not rule:
        raise SystemExit(word)


def lp(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def h(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return hmac.digest(hmac.digest(salt, key, "sha256"), info + b"\1", "sha256")


def argon2id(password: bytes, salt: bytes, m: int, t: int) -> bytes:
    return Argon2id(salt=salt, length=32, iterations=t, lanes=1, memory_cost=m).derive(password)


def read_header(data: bytes) -> Values:
    hooks: Any = {"parse_int": lambda t: int(t if t != "-0" else ""), "parse_float": int, "parse_constant": int}
    try:
        pairs = json.loads(data.decode(), object_pairs_hook=tuple, **hooks)  # only objects become tuples
        need(type(pairs) is tuple and sorted(name for name, _ in pairs) == sorted(TEXTS + NUMBERS))
        v: Values = dict(pairs)
        need(all(type(v[name]) is str and len(v[name].encode()) <= 128 for name in TEXTS))
    except (ValueError, RecursionError):
        raise SystemExit("malformed") from None
    for name in TEXTS[5:]:
        need(re.fullmatch("([0-9a-f]{2})*", v[name]))
        v[name] = bytes.fromhex(v[name])
    need(all(type(v[n]) is int and abs(v[n]) < 2**53 and (v[n] >= 0 or n == "drift") for n in NUMBERS))
    return v


def check_rules(v: Values, length: int) -> None:
    kind, last, m, t, k = v["kind"], v["first"] + v["count"] - 1, v["argon_m"], v["argon_t"], v["pepper_bits"]
    need(kind in ("day", "events", "emergency-tokencode", "emergency-passcode"))
    need(v["device"] and v["user"] and v["login"] and (not v["token"]) == (kind == "emergency-passcode"))
    need(v["generation"] >= 1 and v["window"] <= 10 and v["count"] >= 1 and last < 2**53)
    need(len(v["salt"]) == len(v["check"]) == 32 and len(v["previous"]) in (0, 48) and length == 48 * v["count"])
    need(len(v["pin_salt"]) in (0, 16) and (v["pin_salt"] or v["pin_m"] == v["pin_t"] == 0))
    if kind in ("day", "events"):
        need(v["version"] == 0 and 6 <= v["digits"] <= 8)
    if kind == "day":
        need(v["interval"] >= 1 and 86400 % v["interval"] == 0)
        day, end = ((i - v["drift"]) * v["interval"] // 86400 for i in (v["first"], last))
        need(day == end and v["not_after"] == day * 86400 + 87000)
    elif kind == "events":
        need(v["interval"] == v["drift"] == 0 and v["count"] <= 1000)
    else:
        need(v["version"] >= 1 and v["count"] == 1 and (kind[10:] == "tokencode" or not v["pin_salt"]))
        need(not (v["interval"] or v["drift"] or v["window"] or v["first"] or v["digits"]))
    need(1024 <= m <= 262144 and 1 <= t <= 16 and k <= 14 and m * t * 2**k >= 524288, "weak")
    need(not v["pin_salt"] or (19456 <= v["pin_m"] <= 262144 and 2 <= v["pin_t"] <= 16), "weak")


def bad_groups(code: str) -> list[int]:
    bad = []
    for g in range(1, len(code) // 5 + 1):
        values = [ALPHABET.find(symbol) for symbol in code[5 * g - 5 : 5 * g]]
        total = reduce(lambda left, value: left * 2 ^ (0b100101 if left & 16 else 0) ^ value, values)
        if total != g or -1 in values:
            bad.append(g)
    return bad


def cut(text: str, digits: int, with_pin: bool) -> tuple[str, str] | None:
    symbols = f"[0-9{'A-Za-z' if digits <= 0 else ''}]"
    groups = f"({symbols})[ -]*" * (10 if with_pin else 15)
    found = re.fullmatch(f"(.*)({symbols}{{{abs(digits)}}})" if digits else f"(.*?)[ -]*{groups}", text)
    if not found or not re.fullmatch("[0-9A-Za-z]{4,8}" if with_pin else "", found[1]):
        return None
    code = "".join(found.groups()[1:]).upper()
    return found[1], code if digits else code.translate(str.maketrans("OIL", "011"))


def split(typed: str, shapes: list[Shape]) -> list[tuple[Shape, str, str]]:
    text = typed.strip(" \r\n")
    need(re.fullmatch("[ -~]{1,64}", text), "wrong passcode")
    cuts = [(shape, *parts) for shape in shapes if (parts := cut(text, *shape))]
    fits = [one for one in cuts if one[0][0] or not bad_groups(one[2])]
    need(cuts, "wrong passcode")
    named = max((len(code) // 5 - len(bad_groups(code)), -len(code), bad_groups(code)) for _, _, code in cuts)
    need(fits, "misread " + " ".join(map(str, named[2])))
    return fits


def open_unit(
    unit: bytes,
    pinned: list[bytes],
    device: str,
    time: int,
    generation: int,
    following: int,
    typed: str,
    shift: int = 0,
    used: int = -1,
    receipt: bool = False,
) -> Values:
    n = int.from_bytes(unit[19:23], "big")
    need(unit[:19] == b"sparekey-offline/1\n" and len(unit) >= 119 + n and n <= 4096)
    signed, signature, header, records = unit[: n + 55], unit[n + 55 : n + 119], unit[23 : n + 23], unit[n + 119 :]
    for key in pinned:
        with suppress(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
            break
    else:
        raise SystemExit("bad signature")
    v = read_header(header)
    check_rules(v, len(records))
    need(not receipt or h(records) == signed[-32:])
    need(v["device"] == device, "wrong device")
    need(v["generation"] >= generation, "superseded")
    numbers = list(range(following, following + v["window"] + 1)) if v["kind"] == "events" else [0]
    if v["kind"] == "day":
        c = time // v["interval"] + v["drift"] + shift
        numbers = sorted(range(c - v["window"], c + v["window"] + 1), key=lambda i: (abs(i - c), i))
    numbers = [i for i in numbers if v["first"] <= i < v["first"] + v["count"]]
    need(time <= v["not_after"] and numbers, "not valid now")
    [(_, pin, code)] = split(typed, [(v["digits"], bool(v["pin_salt"]))])
    p = argon2id(pin.encode(), v["pin_salt"], v["pin_m"], v["pin_t"]) if v["pin_salt"] else b""
    hh, secrets = h(header), b"sparekey/1/code" + lp(p) + lp(code.encode())

    def attempt(pepper: int) -> Values | None:
        u64, record = i.to_bytes(8, "big"), records[48 * (i - v["first"]) :][:48]
        salt = h(b"sparekey/1/salt", hh, u64)[:16]
        k = argon2id(secrets + u64 + pepper.to_bytes(2, "big"), salt, v["argon_m"], v["argon_t"])
        with suppress(InvalidTag):
            key = AESGCM(k).decrypt(bytes(12), record, hh + u64)
            return v | {"key": key, "i": i, "P": p, "hh": hh, "pepper": pepper, "salt_i": salt, "K_i": k}
        return None

    for i in numbers:
        live = i > used and any(records[48 * (i - v["first"]) :][:48])
        for found in map(attempt, range(2 ** v["pepper_bits"] if live else 0)):
            if found:
                need(h(b"sparekey/1/check", found["key"]) == v["check"], "wrong key")
                return found
    raise SystemExit("wrong passcode")


def read_vector(f: dict[str, str], body: str) -> str:
    typed = json.loads(f["typed"])
    if "shapes" in f:
        shapes = {(int(s.split()[1]), s.split()[2] == "pin"): s for s in f["shapes"].split(", ")}
        return json.dumps([[shapes[shape], pin, code] for shape, pin, code in split(typed, list(shapes))])
    unit, pinned = bytes.fromhex(body), [bytes.fromhex(key) for key in f["pinned"].split()]
    moment = (int(f["time"]), int(f["generation"]), int(f["next"]))
    rest = (int(f["shift"]), int(f["last_used"]), f["receipt"] == "yes")
    got = open_unit(unit, pinned, f["device"], *moment, typed, *rest)
    if "old_key" in f:
        sealing = hkdf(got["key"], b"", b"sparekey/1/previous" + bytes.fromhex(f["old_check"]))
        got["old_key"] = AESGCM(sealing).decrypt(bytes(12), got["previous"], None)
        info = b"sparekey/1/unlock" + lp(got["user"].encode()) + lp(f["purpose"].encode())
        got["unlock"] = hkdf(got["key"], bytes.fromhex(f["device_secret"]), info)
    for name in {"key", "i", "P", "hh", "pepper", "salt_i", "K_i", "old_key", "unlock"} & f.keys():
        need(f[name] == (got[name].hex() if isinstance(got[name], bytes) else str(got[name])), f"{name} differs")
    return "key"


def main(arguments: list[str]) -> None:
    for path in arguments if arguments[0].endswith(".txt") else []:
        head, _, body = Path(path).read_text().partition("\n\n")
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        try:
            said = read_vector(fields, body)
        except SystemExit as no:
            said = str(no)
        need(said == fields["expect"], f"{path}: {said}, expected {fields['expect']}")
    if not arguments[0].endswith(".txt"):
        unit, key = Path(arguments[0]).read_bytes(), bytes.fromhex(arguments[1])
        time, generation, following = [*map(int, arguments[3:]), 0, 0][:3]
        got = open_unit(unit, [key], arguments[2], time, generation, following, sys.stdin.read())
        print(got["key"].hex(), got["i"])


if __name__ == "__main__":
    main(sys.argv[1:])
