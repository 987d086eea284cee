"""The protection of the offline data on this device, as a word for the server and as sentences for people."""

from dataclasses import dataclass
from typing import Final

from sparekey.agent.ground.ports import (
    ENROL_AGAIN,
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

FILE: Final = "file"  # the words of spec/agent-api.md
TPM: Final = "tpm"
TPM_PIN_LOCK: Final = "tpm-pin-lock"

_UNTIL_A_PASSWORD: Final = (
    "days open only with the PIN and wrong PINs are counted, but anyone who starts another system on this computer can "
    "reset the count until the lockout of the TPM has a password. Set one with `systemd-ask-password | tpm2_changeauth "
    "-c lockout file:-`, and keep it away from this computer"
)
_UNTIL_NARROW: Final = (
    "the TPM allows so many wrong PINs that a PIN can be found by trying. Lower the limit: "
    f"tpm2_dictionarylockout --setup-parameters --max-tries={MOST_TRIES // 2} --recovery-time={LEAST_FORGIVING}"
)
_TO_A_TPM: Final = f"this computer has a TPM. To use it, {ENROL_AGAIN} with `--tpm required`"


@dataclass(frozen=True)
class KeyProtection:
    """The place of the keys, the reason if they are not safer, and the state of the TPM."""

    word: str
    words: str
    advice: str  # "" if there is nothing to do
    tpm: TpmFacts | None
    trouble: str = ""  # the reason why the TPM does not answer


def protection_of(keys: StoreKeys, *, days_locked: bool = False) -> str:
    """Return the word for the server (spec/agent-api.md). `days_locked` is True if the days of at least one user are
    behind a PIN lock. Then the TPM is asked whether its count holds: a count that anyone can reset is no lock."""
    if not keys.hardware_bound:
        return FILE
    return TPM_PIN_LOCK if days_locked and _count_holds(keys.pin_locks) else TPM


def _count_holds(locks: PinLocks | None) -> bool:
    try:
        return locks is not None and locks.count().holds
    except StoreUnreadable:
        return False


def describe_protection(keys: StoreKeys, *, days_locked: bool = False) -> KeyProtection:
    """Return the protection for `status` and `doctor`. This asks the TPM."""
    word = protection_of(keys, days_locked=days_locked)
    try:
        facts = keys.facts()
    except StoreUnreadable as error:
        return KeyProtection(word, "the keys are in the TPM", str(error), None, trouble=str(error))
    if facts is None:
        return KeyProtection(
            FILE,
            "the keys are in a file: passcodes can be guessed on a copied disk, and a restored image is not noticed",
            _TO_A_TPM if has_device(DEFAULT_TCTI) else "",
            None,
        )
    message = f"the keys are in the TPM ({facts.maker} {facts.model}, firmware {facts.firmware}): a copied disk "
    return KeyProtection(word, f"{message}and a restored image open nothing", _advice(facts, days_locked), facts)


def _advice(facts: TpmFacts, days_locked: bool) -> str:
    """Return the reason why PIN locks do not work or do not hold; "" if they do. Everything else works without them."""
    if facts.in_lockout:
        minutes = counted(-(-facts.forgives_after // 60), "minute")
        return f"the TPM is in lockout: PIN locks open again after {minutes}. Emergency passcodes still work"
    if not facts.tries:
        return (
            "the TPM does not count wrong PINs, so there are no PIN locks. Turn the count on: `tpm2_dictionarylockout "
            "--setup-parameters`"
        )
    if days_locked and not PinCount(facts.tries, facts.forgives_after, resettable=False).is_narrow:
        return _UNTIL_NARROW
    # Advise a password only after a lock was made: with a password, the agent cannot set the number of tries.
    return _UNTIL_A_PASSWORD if days_locked and not facts.lockout_password else ""
