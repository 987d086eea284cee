"""What a TPM's refusals mean, as sentences that say what to do. Response codes are those of TPM 2.0, part 2, 6.6."""

from typing import Final

from sparekey.agent.ground.ports import StoreUnreadable
from sparekey.core.plurals import counted

AUTH_FAIL: Final = 0x08E  # a wrong authorisation, which counts towards the lockout
BAD_AUTH: Final = 0x0A2  # a wrong one that does not
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

NO_TPM: Final = "no-tpm"  # the word where none answers

_TCTI_LAYER: Final = 10
_OWN_LAYERS: Final = frozenset({0, 11, 12})  # the TPM itself, and resource managers that hand its codes on
_ANEW: Final = "sparekey-agent clear --all, and enrol anew"

_SENTENCES: Final = {
    "no-tpm-library": "the TPM cannot be used: the Python package tpm2-pytss, or a library that it needs, is not "
    "installed; install sparekey with its extra [tpm]",
    NO_TPM: "no TPM answers at {tcti}: switch it on in the firmware's setup, run this as root, and see that its "
    f"driver is loaded. If it is gone for good, what it sealed is lost: {_ANEW}",
    "another-parent": "the TPM does not hold the key under which this store was sealed",
    "tpm-cleared": f"the TPM was cleared since this device was enrolled: what it sealed is lost. Run {_ANEW}",
    "tpm-replaced": "this is not the TPM that this store was enrolled with: the store was copied, or the computer's "
    f"board was replaced. Put the disk back into its own computer, or run {_ANEW}",
    "tpm-other": f"the TPM was cleared or replaced since this device was enrolled: what it sealed is lost. Run {_ANEW}",
    "tpm-counter-gone": "the counter in the TPM that this store counts by was removed, or made anew by another "
    f"program: the state opens to nothing. Run {_ANEW}",
    "older-state": "the state on this disk is older than the TPM knows it: a restored image, backup or copy. It opens "
    f"to nothing. Run {_ANEW}",
    "not-committed": "the TPM's counter did not move: the change did not happen, and what was before still counts. "
    "Try again; then sparekey-agent doctor",
    "tpm-owner-password": "the TPM's owner hierarchy has a password. Take it off while you enrol (tpm2_changeauth -c "
    "owner -p PASSWORD); later it may be set again if there is a storage root key at handle 0x81000001",
    "tpm-disabled": "the TPM's owner hierarchy is switched off: switch it on in the firmware's setup",
    "tpm-full": "the TPM has no room for one more counter: tpm2_getcap handles-nv-index lists what takes it (those of "
    "former enrolments lie from 0x1835000 on), tpm2_nvundefine removes one that nothing needs",
    "tpm-busy": "the TPM has no room for another key at the moment: use /dev/tpmrm0, end what else uses the TPM, or "
    "restart the computer",
    "tpm-lockout": "the TPM is in lockout: wait until it forgives, and let nothing try passwords on it",
    "tpm-failed": "the TPM refused ({code:#x}): try again, then restart the computer; tpm2_getcap properties-variable "
    "says how it is",
    "damaged": f"a sealed key in the store is damaged: run {_ANEW}",
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


def trouble(word: str, *, tcti: str = "", code: int = 0) -> StoreUnreadable:
    """The error with that word and its sentence."""
    return StoreUnreadable(word, _SENTENCES[word].format(tcti=tcti, code=code))


def trouble_of(code: int, tcti: str) -> StoreUnreadable:
    """The error for a response code, also of the layers in between."""
    if code >> 16 & 0xFF == _TCTI_LAYER:
        return trouble(NO_TPM, tcti=tcti)
    return trouble(_WORDS.get(code_of(code), "tpm-failed"), code=code)


def code_of(code: int) -> int:
    """The TPM's response code without what it says of handles and parameters; 0 where another layer failed."""
    if code >> 16 & 0xFF not in _OWN_LAYERS:
        return 0
    return 0x80 | code & 0x3F if code & 0x80 else code & 0xFFF


def unlocked_by(forgives_after: int) -> str:
    """When a lockout ends, as far as it can be told."""
    minutes = -(-forgives_after // 60)
    return f"the TPM is in lockout after too many wrong PINs: wait {counted(minutes, 'minute')} for the next try"
