"""What a device says of itself at a contact: what its offline data stand under, and who needs no passcode there.

Rules: it is the device's word, and everybody who reads it is told so: whoever controls the device says what they like.
What is wrong in form is refused; a word that a newer agent may know is taken as one that was not said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sparekey.core.errors import BadInput
from sparekey.core.offline.units import Protection

MOST_EXEMPT: Final = 64
LONGEST_EXEMPT: Final = 64  # bytes: 64 such names fit one row of the record, whatever they are made of

# "": it has not said; an older agent says nothing
PROTECTIONS: Final[Mapping[str, str]] = {
    "": "not reported",
    Protection.FILE: "keys in a file: an attacker with a copy of the disk can guess passcodes",
    Protection.TPM: (
        "keys in the TPM: a copy of the disk is useless to an attacker; no PIN lock: it is off, or the lockout of the "
        "TPM has no password, so that an attacker with the computer can reset it"
    ),
    Protection.TPM_PIN_LOCK: (
        "keys in the TPM, with a PIN lock: days of offline data open only with the PIN, and the TPM limits wrong PINs"
    ),
}
SHORT: Final[Mapping[str, str]] = {
    "": "not reported",
    Protection.FILE: "file",
    Protection.TPM: "TPM",
    Protection.TPM_PIN_LOCK: "TPM, PIN lock",
}


@dataclass(frozen=True)
class SelfReport:
    """`protection`: a word of `Protection`, or "". `exempt`: names of local accounts, in order."""

    hardware_bound: bool
    protection: str = ""
    exempt: tuple[str, ...] = ()


def read_report(protection: str, exempt: Sequence[str], *, hardware_bound: bool) -> SelfReport:
    """Raises BadInput for names that are none, or too many."""
    if len(exempt) > MOST_EXEMPT:
        raise BadInput(f"a device names at most {MOST_EXEMPT} exempt accounts", "update the agent")
    for name in exempt:
        if not name.isprintable() or not 0 < len(name.encode()) <= LONGEST_EXEMPT:
            raise BadInput(f"an exempt account has 1 to {LONGEST_EXEMPT} printable bytes", "update the agent")
    known = protection if protection in PROTECTIONS else ""
    # Whoever claims a TPM under one name and denies it under the other has said nothing.
    contradicts = known != "" and (known != Protection.FILE) is not hardware_bound
    return SelfReport(hardware_bound, "" if contradicts else known, tuple(sorted(set(exempt))))
