"""The choice of keys for a store: made once, at enrolment. An existing store is opened by the keys that it names.

A store that was made under a TPM is never opened in another way: if its TPM is gone, so is the store.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparekey.agent.ground.ports import Files, StoreKeys, StoreUnreadable, TpmFacts
from sparekey.agent.store.file_keys import KEYS, FileKeys
from sparekey.agent.store.store import ASIDE, STATE
from sparekey.agent.tpm.chip import DEFAULT_TCTI, has_device
from sparekey.agent.tpm.errors import NO_TPM
from sparekey.agent.tpm.keys import TPM_KEYS, TpmKeys

AUTO: Final = "auto"  # a TPM if one works, otherwise a file
REQUIRED: Final = "required"  # a TPM, or no enrolment
OFF: Final = "off"  # a file


@dataclass(frozen=True)
class Made:
    """New keys, with a sentence that says where they are and, if so, why they are not in a TPM."""

    keys: StoreKeys
    words: str


def make_keys(directory: Path, files: Files, wish: str = AUTO) -> Made:
    """Make new keys in place of existing ones. `wish` is `auto`, `required`, `off`, or a TCTI, which requires that TPM.
    Raises StoreUnreadable."""
    files.make_directory(directory)
    with contextlib.suppress(StoreUnreadable):
        forget_keys(directory, files)  # of an enrolment that failed
    if wish == OFF:
        return Made(FileKeys.create(directory, files), "the keys are in a file that only root can read, as you asked")
    try:
        keys = TpmKeys.create(directory, files, _tcti_of(wish) or DEFAULT_TCTI)
        return Made(keys, f"the keys are in the TPM ({_named(keys.facts())})")
    except StoreUnreadable as error:
        if wish != AUTO:
            raise
        return Made(FileKeys.create(directory, files), _without_tpm(error))


def open_keys(directory: Path, files: Files, wish: str = AUTO) -> StoreKeys:
    """Open the keys under which the store was made. A TCTI in `wish` says how its TPM is reached now; other wishes
    matter for new devices only. Raises StoreUnreadable."""
    names = set(files.names(directory))
    if names.isdisjoint((KEYS, TPM_KEYS, STATE, ASIDE)):
        raise StoreUnreadable("not-enrolled", "this device is not enrolled")
    if TPM_KEYS in names:
        return TpmKeys.open(directory, files, _tcti_of(wish))
    return FileKeys.open(directory, files)


def forget_keys(directory: Path, files: Files, wish: str = AUTO) -> None:
    """Remove the keys for good, also from the TPM.

    Raises StoreUnreadable if they stay in the TPM. The files are removed in that case, too.
    """
    try:
        if TPM_KEYS in files.names(directory):
            TpmKeys.open(directory, files, _tcti_of(wish)).forget()
    finally:
        for name in (KEYS, TPM_KEYS):
            files.remove(directory / name)
        files.sync(directory)


def _tcti_of(wish: str) -> str:
    """Return the TCTI in the wish; "" if it names none."""
    return "" if wish in (AUTO, REQUIRED, OFF) else wish


def _without_tpm(error: StoreUnreadable) -> str:
    """Return the sentence for a computer that uses no TPM. Most have none, so this is not reported as an error."""
    if error.word == NO_TPM:
        none = "the TPM does not answer" if has_device(DEFAULT_TCTI) else "no TPM was found"
        reason = f"{none} ({DEFAULT_TCTI}): the keys are in a file that only root can read"
        return f'{reason}. This is no problem. To use a TPM later, see "The TPM" in linux-login.md'
    return f"the keys are in a file that only root can read, because the TPM cannot be used: {error}"


def _named(facts: TpmFacts | None) -> str:
    return f"{facts.maker} {facts.model}, firmware {facts.firmware}" if facts else "unknown"
