"""PIN locks in memory, with the lockout of a TPM; and devices that have them."""

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.outcome import Mode
from sparekey.agent.ground.ports import Files, LockedOut, PinCount, PinLocks, StoreUnreadable, WrongPin
from sparekey.agent.ground.state import UnitEntry
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.store.file_keys import FileKeys
from sparekey.agent.store.pin_lock import is_locked
from sparekey.agent.store.store import Store
from sparekey.secret import Secret
from tests.agent.devices import World, a_world, on_all_cores
from tests.agent.simulator import POLICY, SimulatedToken

LOCKING = replace(POLICY, pin_lock=True)


@dataclass
class MemoryPinLocks:
    """`ports.PinLocks` that takes a number of wrong authorisations in a row, then none until it has forgotten one."""

    most_tries: int = 32
    settable: bool = True
    forgives_after: int = 7200
    resettable: bool = False
    failed: int = 0
    answers: bool = True
    shown: int = 0  # number of requests to open something
    counted: int = 0  # and how often how it counts
    _root: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def count(self) -> PinCount:
        self.counted += 1
        return PinCount(self.most_tries, self.forgives_after, self.resettable)

    def ensure_tries(self, wanted: int) -> int:
        if self.settable:
            self.most_tries = max(self.most_tries, wanted)
        return self.most_tries

    def seal(self, secret: Secret[bytes], authorisation: Secret[bytes]) -> bytes:
        nonce = secrets.token_bytes(12)
        named = hashlib.sha256(authorisation.reveal()).digest()
        return nonce + AESGCM(self._root).encrypt(nonce, named + secret.reveal(), None)

    def open(self, sealed: bytes, authorisation: Secret[bytes]) -> Secret[bytes]:
        if not self.answers:
            raise StoreUnreadable("no-tpm", "no TPM answers")
        self.shown += 1
        try:
            plain = AESGCM(self._root).decrypt(sealed[:12], sealed[12:], None)
        except (InvalidTag, ValueError) as error:
            raise StoreUnreadable("damaged", "not of this TPM") from error
        if self.failed >= self.most_tries:
            raise LockedOut
        if plain[:32] != hashlib.sha256(authorisation.reveal()).digest():
            self.failed += 1
            raise WrongPin
        return Secret(plain[32:])

    def forget_one(self) -> None:
        """Forget one wrong PIN, as a TPM does after a while."""
        self.failed = max(self.failed - 1, 0)

    def clear(self) -> None:
        """Clear it like an owner: nothing sealed before opens again."""
        self._root = secrets.token_bytes(32)
        self.failed = 0


def with_locks(world: World, locks: PinLocks | None) -> World:
    """Return the device, with these locks beside its keys."""
    keys = world.device.store.keys
    keys.pin_locks = locks
    keys.hardware_bound = True
    return world


def a_locking_world(
    directory: Path, locks: PinLocks | None = None, *, token: SimulatedToken | None = None, files: Files | None = None
) -> World:
    """Return a world in which Alice has offline data, and policy asks for a lock that does not exist yet."""
    world = with_locks(a_world(directory, token=token, files=files), locks or MemoryPinLocks())
    world.alice.policy = LOCKING
    return world.signed_in_online()


def a_locked_world(
    directory: Path, locks: PinLocks | None = None, *, token: SimulatedToken | None = None, files: Files | None = None
) -> World:
    """Return a world in which Alice has signed in offline after that: her days are locked. The network is cut."""
    world = a_locking_world(directory, locks, token=token, files=files)
    world.go_offline()
    answer = world.login(world.passcode()).answer
    assert (answer.result, answer.mode) == ("granted", Mode.OFFLINE)
    assert all(is_locked(day) for day in days(world))
    world.next_code()
    return world


def memory(world: World) -> MemoryPinLocks:
    locks = world.device.store.keys.pin_locks
    assert isinstance(locks, MemoryPinLocks)
    return locks


def reopened(world: World, directory: Path | None = None) -> World:
    """The agent is started again, on the same disk or another, beside the same TPM."""
    place, files = directory or world.directory, PosixFiles()
    keys = FileKeys.open(place, files)
    keys.pin_locks, keys.hardware_bound = world.device.store.keys.pin_locks, True
    store = Store.open(place, files, keys, world.clock)
    return replace(world, directory=place, device=replace(world.device, store=store, run=on_all_cores))


def days(world: World) -> list[UnitEntry]:
    """Return the units that can be locked."""
    return [unit for unit in world.held.units if not unit.is_emergency]


def change_pin_elsewhere(world: World, pin: str) -> None:
    """Change the PIN on another device, or at the console."""
    world.alice.set_pin(pin)
    world.alice.renew()


def contact_online(world: World) -> None:
    world.go_online()
    make_contact(world.device)
