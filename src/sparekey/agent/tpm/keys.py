"""The keys of the store in a TPM: a copied disk opens nowhere else, and an older state opens nowhere at all.

- The key file holds only what the TPM has sealed, and the names of the keys that it is sealed under.
- Each state is sealed under a new key, and that key under the next value of the counter.
- The increment is the commit: after it, the state before, a restored image and old copies in flash memory open nothing.
- Only PIN locks count towards the lockout of the TPM. Everything else works in a lockout (S34).
"""

import contextlib
import secrets
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparekey.agent.ground.ports import ENROL_AGAIN, Files, PinCount, PinLocks, StoreUnreadable, TpmFacts
from sparekey.agent.tpm.chip import Counter, OpenTpm, Parent, Tpm
from sparekey.agent.tpm.errors import tpm_error
from sparekey.secret import Secret
from sparekey.wire.messages import BadMessage, decode, encode

TPM_KEYS: Final = "store.tpm"
STATE_MAGIC: Final = b"sparekey-state-tpm/1\n"
_ZERO_NONCE: Final = bytes(12)  # safe because every state has a key of its own


@dataclass(frozen=True)
class _TpmKeyFile:
    tcti: str
    parent_handle: int
    parent_name: str
    endorsement_name: str
    counter_index: int
    counter_name: str
    device_secret: str  # as the TPM sealed it
    signing_key: str  # as the TPM sealed it
    public_key: str  # SubjectPublicKeyInfo, DER


class TpmKeys:
    """The `ports.StoreKeys` of one TPM."""

    hardware_bound = True

    def __init__(self, tpm: Tpm, keys: _TpmKeyFile) -> None:
        self._tpm = tpm
        self._keys = keys
        self._parent = Parent(keys.parent_handle, bytes.fromhex(keys.parent_name))
        self._counter = Counter(keys.counter_index, bytes.fromhex(keys.counter_name))
        self._sealed_for = 0
        self.pin_locks: PinLocks | None = TpmPinLocks(self._visit)

    @classmethod
    def create(cls, directory: Path, files: Files, tcti: str) -> Self:
        """Make new keys and a new counter. Raises StoreUnreadable, and FileExistsError if there are keys."""
        tpm = Tpm(tcti)
        with tpm.visit() as visit:
            endorsement = visit.endorsement_name()
            parent = visit.find_parent()
            device_secret = visit.seal(Secret(secrets.token_bytes(32)))
            signing_key, public_key = visit.make_signing_key()
            # The counter comes last, because only it stays in the TPM.
            counter = visit.define_counter()
        keys = _TpmKeyFile(
            tcti,
            parent.handle,
            parent.name.hex(),
            endorsement.hex(),
            counter.index,
            counter.name.hex(),
            device_secret.hex(),
            signing_key.hex(),
            public_key.hex(),
        )
        made = cls(tpm, keys)
        try:
            files.make_directory(directory)
            files.write_new(directory / TPM_KEYS, encode(keys))
            files.sync(directory / TPM_KEYS)
            files.sync(directory)
        except BaseException:
            made.forget()
            raise
        return made

    @classmethod
    def open(cls, directory: Path, files: Files, tcti: str = "") -> Self:
        """Open the keys of this key file, by `tcti` if it is given, otherwise by that of the enrolment. Raises
        StoreUnreadable."""
        try:
            keys = decode(_TpmKeyFile, files.read(directory / TPM_KEYS))
            return cls(Tpm(tcti or keys.tcti), keys)
        except FileNotFoundError as error:
            raise StoreUnreadable(
                "no-key-file",
                f"the key file {TPM_KEYS} of the store is missing, so its data are lost; {ENROL_AGAIN}",
            ) from error
        except (BadMessage, ValueError) as error:
            raise StoreUnreadable(
                "damaged", f"the key file {TPM_KEYS} of the store is damaged; {ENROL_AGAIN}"
            ) from error

    def device_secret(self) -> Secret[bytes]:
        with self._visit() as visit:
            return visit.unseal(bytes.fromhex(self._keys.device_secret))

    def public_key(self) -> bytes:
        return bytes.fromhex(self._keys.public_key)

    def sign(self, message: bytes) -> bytes:
        with self._visit() as visit:
            return visit.sign(bytes.fromhex(self._keys.signing_key), message)

    def seal_state(self, state: bytes) -> bytes:
        key = Secret(secrets.token_bytes(32))
        with self._visit() as visit:
            value = visit.read_counter(self._counter) + 1
            sealed_key = visit.seal(key, policy=self._counter.policy(value))
        self._sealed_for = value
        head = STATE_MAGIC + struct.pack(">QH", value, len(sealed_key)) + sealed_key
        return head + AESGCM(key.reveal()).encrypt(_ZERO_NONCE, state, head)

    def open_state(self, sealed: bytes) -> bytes:
        """Return the state. Raises StoreUnreadable, with the word "older-state" if the counter has another value."""
        value, sealed_key, length = _read_head(sealed)
        with self._visit() as visit:
            key = visit.unseal_at(sealed_key, self._counter, value)
        try:
            return AESGCM(key.reveal()).decrypt(_ZERO_NONCE, sealed[length:], sealed[:length])
        except InvalidTag as error:
            raise StoreUnreadable("damaged", f"the state file was altered; {ENROL_AGAIN}") from error

    def committed(self) -> None:
        try:
            with self._visit() as visit:
                visit.increment(self._counter)
        except StoreUnreadable as error:
            if not self._has_moved():
                raise tpm_error("not-committed") from error

    def _has_moved(self) -> bool:
        """Return True if the increment took place although its answer was lost."""
        try:
            with self._visit() as visit:
                return visit.read_counter(self._counter) == self._sealed_for
        except StoreUnreadable:
            return False

    def forget(self) -> None:
        """Remove the counter. Without it, this store never opens again."""
        with self._tpm.visit() as visit:
            visit.remove_counter(self._counter)

    def facts(self) -> TpmFacts | None:
        with self._tpm.visit() as visit:
            return visit.facts()

    @contextlib.contextmanager
    def _visit(self) -> Iterator[OpenTpm]:
        """Visit the TPM under the parent key. If that key is gone, the error gives the reason."""
        try:
            with self._tpm.visit(self._parent) as visit:
                yield visit
        except StoreUnreadable as error:
            raise self._diagnosed(error) from error

    def _diagnosed(self, error: StoreUnreadable) -> StoreUnreadable:
        """Return the error with the reason why the parent key is missing: this TPM was cleared, or it is another
        one."""
        if error.word != "another-parent":
            return error
        known = bytes.fromhex(self._keys.endorsement_name)
        with self._tpm.visit() as visit:
            found = visit.endorsement_name()
        if not known or not found:
            return tpm_error("tpm-other")
        return tpm_error("tpm-cleared" if found == known else "tpm-replaced")


class TpmPinLocks:
    """The `ports.PinLocks` of one TPM, under the same parent key."""

    def __init__(self, visit: Callable[[], AbstractContextManager[OpenTpm]]) -> None:
        self._visit = visit

    def count(self) -> PinCount:
        with self._visit() as visit:
            facts = visit.facts()
        return PinCount(facts.tries, facts.forgives_after, resettable=not facts.lockout_password)

    def ensure_tries(self, wanted: int) -> int:
        with self._visit() as visit:
            if visit.facts().tries < wanted:
                visit.set_tries(wanted)
            return visit.facts().tries

    def seal(self, secret: Secret[bytes], authorisation: Secret[bytes]) -> bytes:
        with self._visit() as visit:
            return visit.seal_locked(secret, authorisation)

    def open(self, sealed: bytes, authorisation: Secret[bytes]) -> Secret[bytes]:
        with self._visit() as visit:
            return visit.unseal_locked(sealed, authorisation)


def _read_head(sealed: bytes) -> tuple[int, bytes, int]:
    """Return the value of the counter, the sealed key, and the length of the head."""
    start = len(STATE_MAGIC) + struct.calcsize(">QH")
    if not sealed.startswith(STATE_MAGIC) or len(sealed) < start:
        raise StoreUnreadable("damaged", f"the state file does not belong to this agent and its TPM; {ENROL_AGAIN}")
    value, size = struct.unpack(">QH", sealed[len(STATE_MAGIC) : start])
    return value, sealed[start : start + size], start + size
