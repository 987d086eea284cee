"""Canaries: secrets of a test in every form in which they might leave, and the search for them."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

_SHORTEST = 6  # bytes of an encoded form: a shorter one would be found by chance


def forms_of(secret: bytes) -> dict[str, bytes]:
    """Return the secret raw, in hex, base32 and base64 (at any offset in a longer text), and as JSON shows it."""
    forms = {
        "raw": secret,
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "hex with colons": secret.hex(":").encode(),
        "list of numbers": json.dumps([*secret], separators=(",", ":")).encode()[1:-1],
        "list of numbers, spaced": json.dumps([*secret]).encode()[1:-1],
        "JSON text": json.dumps(secret.decode("latin-1")).encode()[1:-1],
        "JSON text, UTF-8": json.dumps(secret.decode("latin-1"), ensure_ascii=False).encode()[1:-1],
        "repr": repr(secret).encode()[2:-1],
        "repr in JSON": json.dumps(repr(secret)).encode()[3:-2],
    }
    forms |= _shifted("base32", secret, base64.b32encode, 5, 8)
    forms |= _shifted("base64", secret, base64.b64encode, 3, 4)
    forms |= _shifted("base64url", secret, base64.urlsafe_b64encode, 3, 4)
    forms |= {f"{name}, lower case": form.lower() for name, form in forms.items() if name.startswith("base32")}
    return {name: form for name, form in forms.items() if len(form) >= _SHORTEST}


def _shifted(name: str, secret: bytes, encode: Callable[[bytes], bytes], group: int, size: int) -> dict[str, bytes]:
    """The characters that the secret alone decides, for each place within a group that it can begin at."""
    found = {}
    for before in range(group):
        bits = 8 * group // size
        first = -(-before * 8 // bits)
        last = (before + len(secret)) * 8 // bits
        found[f"{name}+{before}"] = encode(bytes(before) + secret)[first:last]
    return found


def found_in(data: bytes, canaries: Mapping[str, bytes]) -> set[str]:
    """Return the names of the canaries, with the form, that are in these bytes."""
    return {
        f"{name} ({form})"
        for name, secret in canaries.items()
        for form, text in forms_of(secret).items()
        if text in data
    }


def found_in_files(paths: Iterable[Path], canaries: Mapping[str, bytes]) -> dict[str, set[str]]:
    """Return the found canaries by file. Files that went away meanwhile do not count."""
    findings = {}
    for path in paths:
        try:
            found = found_in(path.read_bytes(), canaries)
        except OSError:
            continue
        if found:
            findings[str(path)] = found
    return findings


def files_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and not path.is_socket()]
