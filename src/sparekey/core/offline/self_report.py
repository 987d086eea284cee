"""The report of a device about itself at a contact: the protection of its offline data, and its exempt os_accounts.

Rules: the report proves nothing, because an attacker who controls the device can report anything; pages say so. A
malformed report is refused. An unknown protection, which a newer agent may send, counts as not reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sparekey.core.errors import BadInput
from sparekey.core.offline.units import Protection

MOST_EXEMPT: Final = 64
LONGEST_EXEMPT: Final = 64  # bytes: 64 such names always fit into one event of the audit log

# "": not reported, for example by an older agent
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
    """A checked report. `protection`: a value of `Protection`, or "". `exempt`: names of os_accounts, sorted."""

    hardware_bound: bool
    protection: str = ""
    exempt: tuple[str, ...] = ()


def read_report(protection: str, exempt: Sequence[str], *, hardware_bound: bool) -> SelfReport:
    """Check a report. Raises BadInput for an invalid name, or too many names."""
    if len(exempt) > MOST_EXEMPT:
        raise BadInput(f"a device names at most {MOST_EXEMPT} exempt accounts", "update the agent")
    for name in exempt:
        if not name.isprintable() or not 0 < len(name.encode()) <= LONGEST_EXEMPT:
            raise BadInput(f"an exempt account has 1 to {LONGEST_EXEMPT} printable bytes", "update the agent")
    known = protection if protection in PROTECTIONS else ""
    # Two statements about the TPM that contradict each other count as not reported.
    contradicts = known != "" and (known != Protection.FILE) is not hardware_bound
    return SelfReport(hardware_bound, "" if contradicts else known, tuple(sorted(set(exempt))))
