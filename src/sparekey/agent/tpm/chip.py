"""The only module that speaks to a TPM 2.0, by tpm2-pytss, which is loaded when it is needed.

- A *visit* opens the TPM, does one thing, flushes what it loaded, and closes. Nothing has to survive a hibernation, and
  a TPM without a resource manager has room for other programs.
- Secrets and the counter travel in one session that is salted with the parent key. A listener on the bus to the chip
  reads no secret. An attacker who answers in place of the chip cannot move the counter.
- The parent key is known by its name. After the TPM was cleared or replaced, another key at its place is not used.
- Only `seal_locked` counts towards the lockout of the TPM or waits for its end (noDA).
"""

import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sparekey.agent.ground.ports import LockedOut, TpmFacts, WrongPin
from sparekey.agent.tpm.errors import (
    AUTH_FAIL,
    BAD_AUTH,
    LOCKOUT,
    NV_DEFINED,
    NV_RATE,
    POLICY,
    POLICY_FAIL,
    code_of,
    tpm_error,
    tpm_error_for,
    unlocked_by,
)
from sparekey.secret import Secret

DEFAULT_TCTI: Final = "device:/dev/tpmrm0"
STORAGE_ROOT_KEY: Final = 0x81000001  # the handle that the TCG reserves for it
FIRST_INDEX: Final = 0x01835000  # in the owner's range; our counters take random indices from here on
INDICES: Final = 0x1000
FORGIVES_AFTER: Final = 600  # seconds, if the TPM has counted nothing before

_COMMAND_POLICY_NV: Final = 0x149
_EQUAL: Final = 0
_ENDORSEMENT_POLICY: Final = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
_FIXED: Final = "fixedTPM|fixedParent|sensitiveDataOrigin"
_NV_PATIENCE: Final = 20  # tries, a second apart, with a TPM that limits writes
_PT_MANUFACTURER: Final = 0x105
_PT_PERMANENT: Final = 0x200


@dataclass(frozen=True)
class Parent:
    """The key under which everything is sealed: at that handle, or (0) derived from the owner's seed each time."""

    handle: int
    name: bytes


@dataclass(frozen=True)
class Counter:
    """A counter in the TPM that only rises. A policy names it by `name`, so that no counter with other properties can
    replace it."""

    index: int
    name: bytes

    def policy(self, value: int) -> bytes:
        """Return the policy that holds while the counter has this value, and never again."""
        compared = hashlib.sha256(value.to_bytes(8, "big") + bytes(2) + _EQUAL.to_bytes(2, "big")).digest()
        return hashlib.sha256(bytes(32) + _COMMAND_POLICY_NV.to_bytes(4, "big") + compared + self.name).digest()


class Tpm:
    """One TPM, by its TCTI: `device:/dev/tpmrm0`, `swtpm:path=...`."""

    def __init__(self, tcti: str = DEFAULT_TCTI) -> None:
        self.tcti = tcti
        self._one_at_a_time = threading.Lock()

    @contextlib.contextmanager
    def visit(self, parent: Parent | None = None) -> "Iterator[OpenTpm]":
        """Open the TPM for one visit, under the parent key if it is given.

        Raises StoreUnreadable if there is no TPM, and for every error of the TPM during the visit.
        """
        kind, _, device = self.tcti.partition(":")
        if kind == "device" and not Path(device).exists():
            raise tpm_error("no-tpm", tcti=self.tcti)  # before the library is loaded
        library = _library()
        with self._one_at_a_time:
            try:
                esys = library.ESAPI(self.tcti)
            except (library.TSS2_Exception, RuntimeError) as error:
                raise tpm_error("no-tpm", tcti=self.tcti) from error
            visit = OpenTpm(library, esys)
            try:
                if parent is not None:
                    visit.enter(parent)
                yield visit
            except library.TSS2_Exception as error:
                raise tpm_error_for(int(error.rc), self.tcti) from error
            finally:
                visit.leave()
                esys.close()


class OpenTpm:
    """The actions while the TPM is open."""

    def __init__(self, library: ModuleType, esys: Any) -> None:
        self._library = library
        self._esys = esys
        self._loaded: list[object] = []
        self._parent: object = None
        self._secure: object = None

    def leave(self) -> None:
        """Flush all loaded objects."""
        for handle in reversed(self._loaded):
            with contextlib.suppress(self._library.TSS2_Exception):
                self._esys.flush_context(handle)
        self._loaded.clear()

    # The parent.

    def find_parent(self) -> Parent:
        """Return the storage key that this system keeps, if it needs no password and does not count for a lockout.
        Otherwise derive one from the owner's seed by the template of the TCG; it is the same each time."""
        kept = self._persistent(STORAGE_ROOT_KEY)
        if kept is not None:
            parent = Parent(STORAGE_ROOT_KEY, kept)
            with contextlib.suppress(self._library.TSS2_Exception):
                self.enter(parent)
                self.seal(Secret(b"?"))
                return parent
            self._secure = None
        return Parent(0, self._primary())

    def enter(self, parent: Parent) -> None:
        """Use this parent key. Raises StoreUnreadable, word "another-parent", if it is no longer there."""
        if parent.handle:
            with contextlib.suppress(self._library.TSS2_Exception):
                self._parent, name = self._named(parent.handle)
                if name == parent.name:
                    return
        if self._primary() != parent.name:
            raise tpm_error("another-parent")

    def endorsement_name(self) -> bytes:
        """Return the name of the key that identifies this TPM, even after it was cleared; b"" if its password is
        unknown."""
        template = _storage_key(self._library, f"{_FIXED}|adminWithPolicy|restricted|decrypt")
        template.publicArea.authPolicy = _ENDORSEMENT_POLICY
        try:
            handle, public, *_ = self._esys.create_primary(
                self._library.TPM2B_SENSITIVE_CREATE(), template, self._library.ESYS_TR.ENDORSEMENT
            )
        except self._library.TSS2_Exception:
            return b""
        self._loaded.append(handle)
        return bytes(public.get_name())

    def _named(self, handle: int) -> tuple[object, bytes]:
        """Return the object at this handle, and its name from the TPM."""
        found = self._esys.tr_from_tpmpublic(handle)
        return found, bytes(self._esys.tr_get_name(found))

    def _persistent(self, handle: int) -> bytes | None:
        """Return the name of the storage key at this handle.

        None if there is none, if it can leave the TPM, or if it waits for the end of a lockout.
        """
        try:
            key = self._esys.tr_from_tpmpublic(handle)
        except self._library.TSS2_Exception:
            return None
        public, *_ = self._esys.read_public(key)
        wanted = _attributes(self._library, f"{_FIXED}|noDA|restricted|decrypt")
        return bytes(public.get_name()) if public.publicArea.objectAttributes & wanted == wanted else None

    def _primary(self) -> bytes:
        template = _storage_key(self._library, f"{_FIXED}|userWithAuth|noDA|restricted|decrypt")
        with self._as_owner():
            self._parent, public, *_ = self._esys.create_primary(self._library.TPM2B_SENSITIVE_CREATE(), template)
        self._loaded.append(self._parent)
        return bytes(public.get_name())

    # Secrets.

    def seal(self, secret: Secret[bytes], policy: bytes = b"") -> bytes:
        """Seal at most 128 bytes for this TPM: while the policy holds, or (b"") at any time."""
        attributes = "fixedTPM|fixedParent|noDA" + ("|adminWithPolicy" if policy else "|userWithAuth")
        return self._sealed(secret, Secret(b""), attributes, policy)

    def seal_locked(self, secret: Secret[bytes], authorisation: Secret[bytes]) -> bytes:
        """Seal a secret behind an authorisation. Wrong ones count towards the lockout."""
        return self._sealed(secret, authorisation, "fixedTPM|fixedParent|userWithAuth", b"")

    def unseal(self, sealed: bytes) -> Secret[bytes]:
        """Return the secret that `seal` sealed without a policy."""
        with self._loading(sealed) as handle:
            return self._unsealed(handle, self._session())

    def unseal_locked(self, sealed: bytes, authorisation: Secret[bytes]) -> Secret[bytes]:
        """Return the secret. Raises WrongPin or LockedOut."""
        with self._loading(sealed) as handle:
            self._esys.tr_set_auth(handle, authorisation.reveal())
            try:
                return self._unsealed(handle, self._session())
            except self._library.TSS2_Exception as error:
                code = code_of(int(error.rc))
                if code == AUTH_FAIL:
                    raise WrongPin from None
                if code == LOCKOUT:
                    raise LockedOut(unlocked_by(self.facts().forgives_after)) from None
                raise

    def unseal_at(self, sealed: bytes, counter: Counter, value: int) -> Secret[bytes]:
        """Return the secret sealed under `counter.policy(value)`. Raises StoreUnreadable, word "older-state", if the
        counter has another value."""
        session = self._start_session(self._library.TPM2_SE.POLICY)
        index = self._index_of(counter)
        operand = self._library.TPM2B_OPERAND(value.to_bytes(8, "big"))
        with self._loading(sealed) as handle:
            try:
                self._esys.policy_nv(index, index, session, operand, self._library.TPM2_EO.EQ)
                return self._unsealed(handle, session)
            except self._library.TSS2_Exception as error:
                if code_of(int(error.rc)) in {POLICY, POLICY_FAIL}:
                    raise tpm_error("older-state") from error
                raise

    def _sealed(self, secret: Secret[bytes], authorisation: Secret[bytes], attributes: str, policy: bytes) -> bytes:
        library = self._library
        sensitive = library.TPM2B_SENSITIVE_CREATE(
            library.TPMS_SENSITIVE_CREATE(
                userAuth=library.TPM2B_AUTH(authorisation.reveal()),
                data=library.TPM2B_SENSITIVE_DATA(secret.reveal()),
            )
        )
        area = library.TPMT_PUBLIC(
            type=library.TPM2_ALG.KEYEDHASH,
            nameAlg=library.TPM2_ALG.SHA256,
            objectAttributes=_attributes(library, attributes),
            authPolicy=policy,
        )
        area.parameters.keyedHashDetail.scheme.scheme = library.TPM2_ALG.NULL
        return self._made(sensitive, area)[0]

    def _made(self, sensitive: object, area: object) -> tuple[bytes, Any]:
        public = self._library.TPM2B_PUBLIC(publicArea=area)
        private, public, *_ = self._esys.create(self._parent, sensitive, public, session1=self._session())
        return private.marshal() + public.marshal(), public

    @contextlib.contextmanager
    def _loading(self, made: bytes) -> Iterator[object]:
        """Load an object for this context only: the TPM has room for three."""
        try:
            private, length = self._library.TPM2B_PRIVATE.unmarshal(made)
            public, _ = self._library.TPM2B_PUBLIC.unmarshal(made[length:])
        except self._library.TSS2_Exception as error:
            raise tpm_error("damaged") from error
        handle = self._esys.load(self._parent, private, public)
        try:
            yield handle
        finally:
            self._esys.flush_context(handle)

    def _unsealed(self, handle: object, session: object) -> Secret[bytes]:
        return Secret(bytes(self._esys.unseal(handle, session1=session)))

    # The signing key.

    def make_signing_key(self) -> tuple[bytes, bytes]:
        """Make a P-256 key that never leaves the TPM. Return it sealed, and its public half (SubjectPublicKeyInfo,
        DER)."""
        library = self._library
        area = library.TPMT_PUBLIC(
            type=library.TPM2_ALG.ECC,
            nameAlg=library.TPM2_ALG.SHA256,
            objectAttributes=_attributes(library, f"{_FIXED}|userWithAuth|noDA|sign"),
        )
        area.parameters.eccDetail.symmetric.algorithm = library.TPM2_ALG.NULL
        area.parameters.eccDetail.scheme.scheme = library.TPM2_ALG.ECDSA
        area.parameters.eccDetail.scheme.details.ecdsa.hashAlg = library.TPM2_ALG.SHA256
        area.parameters.eccDetail.curveID = library.TPM2_ECC.NIST_P256
        area.parameters.eccDetail.kdf.scheme = library.TPM2_ALG.NULL
        made, public = self._made(library.TPM2B_SENSITIVE_CREATE(), area)
        point = public.publicArea.unique.ecc
        x, y = (int.from_bytes(bytes(part), "big") for part in (point.x, point.y))
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        der = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return made, key.public_bytes(*der)

    def sign(self, made: bytes, message: bytes) -> bytes:
        """Return an ECDSA signature over SHA-256, in DER."""
        scheme = self._library.TPMT_SIG_SCHEME(scheme=self._library.TPM2_ALG.NULL)
        digest = self._library.TPM2B_DIGEST(hashlib.sha256(message).digest())
        with self._loading(made) as handle:
            signed = self._esys.sign(handle, digest, scheme)  # the parts below are valid only while `signed` exists
        parts = signed.signature.ecdsa.signatureR, signed.signature.ecdsa.signatureS
        r, s = (int.from_bytes(bytes(part), "big") for part in parts)
        return encode_dss_signature(r, s)

    # The counter.

    def define_counter(self) -> Counter:
        """Make a new counter and increment it once: after that its name stays the same.

        Raises StoreUnreadable if no index is free. The counter is not "orderly": an orderly counter stays in the memory
        of the TPM and is written only now and then. After a power cut it would jump, and no state would match it.
        """
        library, taken = self._library, self._indices()
        kind = library.TPM2_NT.COUNTER << library.TPMA_NV.TPM2_NT_SHIFT
        attributes = library.TPMA_NV.parse("authread|authwrite|noda") | kind
        free = [index for index in range(FIRST_INDEX, FIRST_INDEX + INDICES) if index not in taken]
        while free:
            index = free.pop(secrets.randbelow(len(free)))
            area = library.TPMS_NV_PUBLIC(
                nvIndex=index, nameAlg=library.TPM2_ALG.SHA256, attributes=attributes, dataSize=8
            )
            try:
                with self._as_owner():
                    handle = self._esys.nv_define_space(b"", library.TPM2B_NV_PUBLIC(nvPublic=area))
            except library.TSS2_Exception as error:
                if code_of(int(error.rc)) != NV_DEFINED:
                    raise
                continue
            self._increment(handle)
            return Counter(index, self._named(index)[1])
        raise tpm_error("tpm-full")

    def read_counter(self, counter: Counter) -> int:
        """Return the value of the counter. Raises StoreUnreadable, word "tpm-counter-gone", if it is missing or another
        one."""
        index = self._index_of(counter)
        return int.from_bytes(bytes(self._esys.nv_read(index, 8, session1=self._session())), "big")

    def increment(self, counter: Counter) -> None:
        """Increment the counter. This takes effect at once and cannot be undone."""
        self._increment(self._index_of(counter))

    def remove_counter(self, counter: Counter) -> None:
        """Remove the counter and free its room. Data sealed under it never open again, because a new counter starts
        where all earlier ones ended."""
        with self._as_owner():
            self._esys.nv_undefine_space(self._index_of(counter))

    def _indices(self) -> set[int]:
        _, found = self._esys.get_capability(self._library.TPM2_CAP.HANDLES, FIRST_INDEX, 254)
        return set(map(int, found.data.handles))

    def _index_of(self, counter: Counter) -> object:
        try:
            index, name = self._named(counter.index)
        except self._library.TSS2_Exception as error:
            raise tpm_error("tpm-counter-gone") from error
        if name != counter.name:
            raise tpm_error("tpm-counter-gone")
        return index

    def _increment(self, index: object) -> None:
        """Increment, and try again for a while: some TPMs limit the rate of writes to spare their memory."""
        for _ in range(_NV_PATIENCE):
            try:
                self._esys.nv_increment(index, session1=self._session())
            except self._library.TSS2_Exception as error:
                if code_of(int(error.rc)) != NV_RATE:
                    raise
                time.sleep(1)
            else:
                return
        raise tpm_error("tpm-failed", code=NV_RATE)

    # The lockout.

    def facts(self) -> TpmFacts:
        """Return the maker of the TPM, and how it counts wrong authorisations."""
        fixed, variable = self._properties(_PT_MANUFACTURER, 8), self._properties(_PT_PERMANENT, 18)
        flags, failed, tries, interval = (variable.get(number, 0) for number in (0x200, 0x20E, 0x20F, 0x210))
        return TpmFacts(
            maker=_text(fixed.get(0x105, 0)),
            model="".join(_text(fixed.get(number, 0)) for number in range(0x106, 0x10A)).strip(),
            firmware=".".join(str(part) for half in (0x10B, 0x10C) for part in _halves(fixed.get(half, 0))),
            # An interval of 0 switches the count off.
            tries=tries if interval else 0,
            failed=failed,
            forgives_after=interval,
            in_lockout=bool(flags & 1 << 9),
            lockout_password=bool(flags & 1 << 2),
            owner_password=bool(flags & 1),
        )

    def set_tries(self, tries: int) -> None:
        """Set the number of wrong authorisations that the TPM allows, if it counts them. Keep its other settings.

        Do nothing if the lockout is closed or has a password: a wrong password would close it for a day.
        """
        found = self._properties(_PT_PERMANENT, 18)
        if found.get(0x200, 0) & 1 << 2:
            return
        with contextlib.suppress(self._library.TSS2_Exception):
            interval = found.get(0x210, 0) or FORGIVES_AFTER
            self._esys.dictionary_attack_parameters(tries, interval, found.get(0x211, 0))

    def _properties(self, first: int, count: int) -> dict[int, int]:
        _, found = self._esys.get_capability(self._library.TPM2_CAP.TPM_PROPERTIES, first, count)
        return {int(entry.property): int(entry.value) for entry in found.data.tpmProperties}

    # Sessions.

    def _session(self) -> object:
        """Return the session of this visit: salted with the parent key, its parameters encrypted both ways."""
        if self._secure is None:
            self._secure = self._start_session(self._library.TPM2_SE.HMAC)
        return self._secure

    def _start_session(self, kind: object) -> object:
        library = self._library
        aes = library.TPMT_SYM_DEF(
            algorithm=library.TPM2_ALG.AES,
            keyBits=library.TPMU_SYM_KEY_BITS(aes=128),
            mode=library.TPMU_SYM_MODE(aes=library.TPM2_ALG.CFB),
        )
        session = self._esys.start_auth_session(self._parent, library.ESYS_TR.NONE, kind, aes, library.TPM2_ALG.SHA256)
        self._loaded.append(session)
        wanted = library.TPMA_SESSION.CONTINUESESSION | library.TPMA_SESSION.DECRYPT | library.TPMA_SESSION.ENCRYPT
        self._esys.trsess_set_attributes(session, wanted)
        return session

    @contextlib.contextmanager
    def _as_owner(self) -> Iterator[None]:
        try:
            yield
        except self._library.TSS2_Exception as error:
            if code_of(int(error.rc)) in {AUTH_FAIL, BAD_AUTH}:
                raise tpm_error("tpm-owner-password") from error
            raise


def has_device(tcti: str) -> bool:
    """Return True if the system has the device that the TCTI names. The device may still not answer."""
    kind, _, device = tcti.partition(":")
    return kind == "device" and Path(device).exists()


def _library() -> ModuleType:
    # The library would write errors to standard error. Here each error has its own message.
    os.environ.setdefault("TSS2_LOG", "all+NONE")
    try:
        import tpm2_pytss  # noqa: PLC0415 -- 10 MiB that a device without a TPM does not need
    except ImportError as error:
        raise tpm_error("no-tpm-library") from error
    library: ModuleType = tpm2_pytss
    return library


def _attributes(library: ModuleType, words: str) -> object:
    return library.TPMA_OBJECT.parse(words.lower())


def _storage_key(library: ModuleType, attributes: str) -> Any:
    """Return the template of the TCG for a P-256 storage key."""
    area = library.TPMT_PUBLIC(
        type=library.TPM2_ALG.ECC,
        nameAlg=library.TPM2_ALG.SHA256,
        objectAttributes=_attributes(library, attributes),
    )
    area.parameters.eccDetail.symmetric.algorithm = library.TPM2_ALG.AES
    area.parameters.eccDetail.symmetric.keyBits.aes = 128
    area.parameters.eccDetail.symmetric.mode.aes = library.TPM2_ALG.CFB
    area.parameters.eccDetail.scheme.scheme = library.TPM2_ALG.NULL
    area.parameters.eccDetail.curveID = library.TPM2_ECC.NIST_P256
    area.parameters.eccDetail.kdf.scheme = library.TPM2_ALG.NULL
    area.unique.ecc.x = bytes(32)
    area.unique.ecc.y = bytes(32)
    return library.TPM2B_PUBLIC(publicArea=area)


def _text(value: int) -> str:
    return "".join(chr(byte) for byte in value.to_bytes(4, "big") if 32 < byte < 127)


def _halves(value: int) -> tuple[int, int]:
    return value >> 16, value & 0xFFFF
