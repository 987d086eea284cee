"""What the offline data of this device stand under, as a word for the server and as sentences for people."""

from dataclasses import dataclass
from typing import Final

from sparekey.agent.ground.ports import (
    LEAST_FORGIVING,
    MOST_TRIES,
    PinCount,
    PinLocks,
    StoreKeys,
    StoreUnreadable,
    TpmFacts,
)
from sparekey.agent.tpm.chip import DEFAULT_TCTI, has_device
from sparekey.core.plurals import counted

FILE: Final = "file"  # words of spec/agent-api.md
TPM: Final = "tpm"
TPM_PIN_LOCK: Final = "tpm-pin-lock"

_UNTIL_A_PASSWORD: Final = (
    "days open with the PIN alone and wrong PINs are counted, but whoever starts another system on this computer can "
    "reset the count until the TPM's lockout has a password: systemd-ask-password | tpm2_changeauth -c lockout file:- "
    "(keep that password away from this computer)"
)
_UNTIL_NARROW: Final = (
    "the TPM takes so many wrong PINs that one can be found by trying: let it take few, and forget one seldom: "
    f"tpm2_dictionarylockout --setup-parameters --max-tries={MOST_TRIES // 2} --recovery-time={LEAST_FORGIVING}"
)
_TO_A_TPM: Final = "this computer has a TPM: run sparekey-agent clear --all and enrol with --tpm required"


@dataclass(frozen=True)
class Protection:
    """Where the keys are, why they are no safer, and the TPM as it is now."""

    word: str
    words: str
    advice: str  # "": nothing to be done
    tpm: TpmFacts | None
    trouble: str = ""  # why the TPM does not answer


def protection_of(keys: StoreKeys, *, days_locked: bool = False) -> str:
    """The word for the server; `days_locked`: days of at least one user are behind a PIN lock. A count that anybody
    may reset is no lock: then the TPM is asked whether it is one."""
    if not keys.hardware_bound:
        return FILE
    return TPM_PIN_LOCK if days_locked and _count_holds(keys.pin_locks) else TPM


def _count_holds(locks: PinLocks | None) -> bool:
    try:
        return locks is not None and locks.count().holds
    except StoreUnreadable:
        return False


def describe_protection(keys: StoreKeys, *, days_locked: bool = False) -> Protection:
    """For `status` and `doctor`; asks the TPM."""
    word = protection_of(keys, days_locked=days_locked)
    try:
        facts = keys.facts()
    except StoreUnreadable as error:
        return Protection(word, "the keys are the TPM's", str(error), None, trouble=str(error))
    if facts is None:
        return Protection(
            FILE,
            "the keys lie in a file that root reads: a copied disk can be guessed at, a restored image is not noticed",
            _TO_A_TPM if has_device(DEFAULT_TCTI) else "",
            None,
        )
    words = f"the keys are the TPM's ({facts.maker} {facts.model}, firmware {facts.firmware}): a copied disk holds "
    return Protection(
        word, f"{words}nothing to guess at, a restored image opens to nothing", _advice(facts, days_locked), facts
    )


def _advice(facts: TpmFacts, days_locked: bool) -> str:
    """What keeps PIN locks from working, or from being locks; everything else goes on without them."""
    if facts.in_lockout:
        minutes = counted(-(-facts.forgives_after // 60), "minute")
        return f"the TPM is in lockout: PIN locks open again after {minutes}; emergency passcodes go on working"
    if not facts.tries:
        return "the TPM counts no wrong tries: no PIN locks. Switch it on: tpm2_dictionarylockout --setup-parameters"
    if days_locked and not PinCount(facts.tries, facts.forgives_after, resettable=False).is_narrow:
        return _UNTIL_NARROW
    # Not before a lock was made: with a password the agent cannot set how many tries are taken.
    return _UNTIL_A_PASSWORD if days_locked and not facts.lockout_password else ""
