"""Which keys a store stands under: chosen once, when the device is enrolled; opened by what the store says.

A store that was made under a TPM is never opened any other way: where its TPM is gone, so is the store.
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

AUTO: Final = "auto"  # a TPM where one works, else a file
REQUIRED: Final = "required"  # a TPM, or no enrolment
OFF: Final = "off"  # a file


@dataclass(frozen=True)
class Made:
    """Fresh keys, and a sentence on what they are and why they are no more."""

    keys: StoreKeys
    words: str


def make_keys(directory: Path, files: Files, wish: str = AUTO) -> Made:
    """New keys in place of any that are there. The wish is `auto`, `required`, `off`, or a TCTI: that TPM, required.
    Raises `StoreUnreadable`."""
    files.make_directory(directory)
    with contextlib.suppress(StoreUnreadable):
        forget_keys(directory, files)  # of an enrolment that did not come about
    if wish == OFF:
        return Made(FileKeys.create(directory, files), "the keys lie in a file that only root reads, as was asked for")
    try:
        keys = TpmKeys.create(directory, files, _tcti_of(wish) or DEFAULT_TCTI)
        return Made(keys, f"the keys are the TPM's ({_named(keys.facts())})")
    except StoreUnreadable as error:
        if wish != AUTO:
            raise
        return Made(FileKeys.create(directory, files), _without_tpm(error))


def open_keys(directory: Path, files: Files, wish: str = AUTO) -> StoreKeys:
    """Those that the store was made under. A TCTI says how its TPM is reached now, if not as it was then; other wishes
    are for new devices. Raises `StoreUnreadable`."""
    names = set(files.names(directory))
    if names.isdisjoint((KEYS, TPM_KEYS, STATE, ASIDE)):
        raise StoreUnreadable("not-enrolled", "this device is not enrolled")
    if TPM_KEYS in names:
        return TpmKeys.open(directory, files, _tcti_of(wish))
    return FileKeys.open(directory, files)


def forget_keys(directory: Path, files: Files, wish: str = AUTO) -> None:
    """Removes keys for good, also what they take up in a TPM. Raises `StoreUnreadable` where that stays: the files are
    gone all the same."""
    try:
        if TPM_KEYS in files.names(directory):
            TpmKeys.open(directory, files, _tcti_of(wish)).forget()
    finally:
        for name in (KEYS, TPM_KEYS):
            files.remove(directory / name)
        files.sync(directory)


def _tcti_of(wish: str) -> str:
    """ "" where none is named."""
    return "" if wish in (AUTO, REQUIRED, OFF) else wish


def _without_tpm(error: StoreUnreadable) -> str:
    """Most computers have none: then nothing is amiss, and nothing was lost."""
    if error.word == NO_TPM:
        none = "the TPM does not answer" if has_device(DEFAULT_TCTI) else "no TPM was found"
        words = f"{none} ({DEFAULT_TCTI}): the keys lie in a file that only root reads"
        return f'{words}. This computer works; to use a TPM later: "The TPM" in linux-login.md'
    return f"the keys lie in a file that only root reads, because no TPM is used: {error}"


def _named(facts: TpmFacts | None) -> str:
    return f"{facts.maker} {facts.model}, firmware {facts.firmware}" if facts else "unknown"
