"""Texts that people type and read out: emergency codes in checked groups, and the splitting of a passcode."""

from sparekey.passcode.canonical import (
    ALPHABET,
    NotCanonical,
    grouped,
    misread_groups,
    misread_words,
    new_code,
    normalise,
    spelled,
    verify_canonical,
)
from sparekey.passcode.splitting import (
    Candidate,
    PasscodeKind,
    Reading,
    Shape,
    emergency_passcode,
    emergency_tokencode,
    is_pin,
    online_emergency,
    split,
    tokencode,
)

__all__ = [
    "ALPHABET",
    "Candidate",
    "NotCanonical",
    "PasscodeKind",
    "Reading",
    "Shape",
    "emergency_passcode",
    "emergency_tokencode",
    "grouped",
    "is_pin",
    "misread_groups",
    "misread_words",
    "new_code",
    "normalise",
    "online_emergency",
    "spelled",
    "split",
    "tokencode",
    "verify_canonical",
]
