"""The errors of a TPM as sentences that say what to do.

The response codes are those of TPM 2.0, part 2, section 6.6.
"""

from typing import Final

from sparekey.agent.ground.ports import StoreUnreadable
from sparekey.core.plurals import counted

AUTH_FAIL: Final = 0x08E  # a wrong authorisation, which counts towards the lockout
BAD_AUTH: Final = 0x0A2  # a wrong authorisation, which does not count
HIERARCHY: Final = 0x085
POLICY_FAIL: Final = 0x09D
INTEGRITY: Final = 0x09F
POLICY: Final = 0x126
NV_SPACE: Final = 0x14B
NV_DEFINED: Final = 0x14C
OBJECT_MEMORY: Final = 0x902
SESSION_MEMORY: Final = 0x903
MEMORY: Final = 0x904
NV_RATE: Final = 0x920
LOCKOUT: Final = 0x921

NO_TPM: Final = "no-tpm"  # the word if no TPM answers

_TCTI_LAYER: Final = 10
_OWN_LAYERS: Final = frozenset({0, 11, 12})  # the TPM itself, and resource managers that pass its codes on
_ENROL_AGAIN: Final = "`sparekey-agent clear --all`, and enrol again"

_SENTENCES: Final = {
    "no-tpm-library": "the TPM cannot be used: the Python package tpm2-pytss, or a library that it needs, is not "
    "installed. Install sparekey with its extra [tpm]",
    NO_TPM: "no TPM answers at {tcti}: switch it on in the firmware setup, run this as root, and check that its "
    f"driver is loaded. If it is gone for good, the data that it sealed are lost: run {_ENROL_AGAIN}",
    "another-parent": "the TPM does not hold the key under which this store was sealed",
    "tpm-cleared": "the TPM was cleared after this device was enrolled, so the data that it sealed are lost. Run "
    f"{_ENROL_AGAIN}",
    "tpm-replaced": "this is not the TPM of the enrolment: the store was copied, or the main board of the computer was "
    f"replaced. Put the disk back into its own computer, or run {_ENROL_AGAIN}",
    "tpm-other": "the TPM was cleared or replaced after this device was enrolled, so the data that it sealed are lost. "
    f"Run {_ENROL_AGAIN}",
    "tpm-counter-gone": "the counter of this store in the TPM was removed, or replaced by another program, so the "
    f"state no longer opens. Run {_ENROL_AGAIN}",
    "older-state": "the state on this disk is older than the counter in the TPM: it is a restored image, a backup or a "
    f"copy. It no longer opens. Run {_ENROL_AGAIN}",
    "not-committed": "the counter of the TPM did not move, so nothing was changed. Try again; if it fails again, run "
    "`sparekey-agent doctor`",
    "tpm-owner-password": "the owner hierarchy of the TPM has a password. Remove it while you enrol (tpm2_changeauth "
    "-c owner -p PASSWORD). You can set it again later if there is a storage root key at handle 0x81000001",
    "tpm-disabled": "the owner hierarchy of the TPM is switched off: switch it on in the firmware setup",
    "tpm-full": "the TPM has no room for another counter. `tpm2_getcap handles-nv-index` lists the used ones (those of "
    "earlier enrolments start at 0x1835000); `tpm2_nvundefine` removes one that is no longer needed",
    "tpm-busy": "the TPM has no room for another key right now: use /dev/tpmrm0, stop other programs that use the TPM, "
    "or restart the computer",
    "tpm-lockout": "the TPM is in lockout: wait until it ends, and stop programs that try passwords on it",
    "tpm-failed": "the TPM refused ({code:#x}): try again, then restart the computer. `tpm2_getcap "
    "properties-variable` shows its state",
    "damaged": f"a sealed key in the store is damaged: run {_ENROL_AGAIN}",
}
_WORDS: Final = {
    HIERARCHY: "tpm-disabled",
    INTEGRITY: "damaged",
    NV_SPACE: "tpm-full",
    OBJECT_MEMORY: "tpm-busy",
    SESSION_MEMORY: "tpm-busy",
    MEMORY: "tpm-busy",
    LOCKOUT: "tpm-lockout",
}


def tpm_error(word: str, *, tcti: str = "", code: int = 0) -> StoreUnreadable:
    """Return the error with this word and its sentence."""
    return StoreUnreadable(word, _SENTENCES[word].format(tcti=tcti, code=code))


def tpm_error_for(code: int, tcti: str) -> StoreUnreadable:
    """Return the error for a response code of the TPM or of a layer between it and this program."""
    if code >> 16 & 0xFF == _TCTI_LAYER:
        return tpm_error(NO_TPM, tcti=tcti)
    return tpm_error(_WORDS.get(code_of(code), "tpm-failed"), code=code)


def code_of(code: int) -> int:
    """Return the response code of the TPM without its details on handles and parameters; 0 if another layer failed."""
    if code >> 16 & 0xFF not in _OWN_LAYERS:
        return 0
    return 0x80 | code & 0x3F if code & 0x80 else code & 0xFFF


def unlocked_by(forgives_after: int) -> str:
    """Return the message for a lockout, with the time until the next try."""
    minutes = -(-forgives_after // 60)
    return f"the TPM is in lockout after too many wrong PINs: wait {counted(minutes, 'minute')} for the next try"
