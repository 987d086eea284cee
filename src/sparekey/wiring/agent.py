"""Puts the device together: the store on this disk, the system's clock, the server over HTTPS, all cores for hashing.

A store has one process at a time: the daemon for as long as it runs, else whatever command holds the lock.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from sparekey.agent import enrol as enrolment
from sparekey.agent.device import Device
from sparekey.agent.file_keys import FileKeys
from sparekey.agent.platform_posix import PosixFiles, SystemClock, release_memory, store_lock, usable_cores
from sparekey.agent.ports import StoreUnreadable
from sparekey.agent.server_client import ServerClient, conversation
from sparekey.agent.state import State
from sparekey.agent.store import Store
from sparekey.wire.enrolment import EnrolmentCode

T = TypeVar("T")
R = TypeVar("R")

STATE_DIRECTORY: Final = Path("/var/lib/sparekey-agent")
SOCKET: Final = "agent.sock"
LOCK: Final = "lock"


def on_all_cores(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
    """A map over as many threads as cores: the hashes release the interpreter."""
    try:
        with ThreadPoolExecutor(usable_cores()) as pool:
            yield from pool.map(function, items)
    finally:
        release_memory()


@contextlib.contextmanager
def opened_device(directory: Path, *, wait: float) -> Iterator[Device]:
    """The enrolled device, for this process alone. Raises `StoreUnreadable`; word "busy" after `wait` seconds."""
    files, clock = PosixFiles(), SystemClock()
    files.verify_directory(directory)
    with _locked(directory, wait):
        store = Store.open(directory, files, FileKeys.open(directory, files), clock)
        store.begin()
        yield Device(store, clock, _connect_of(store), on_all_cores)


def enrol_device(url: str, code: EnrolmentCode, name: str, directory: Path) -> State:
    """Makes this computer a device; see `agent.enrol`."""
    files = PosixFiles()
    enrolment.verify_free(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    files.make_directory(directory)
    with _locked(directory, 5):
        return enrolment.enrol(url, code, name, directory, files, SystemClock())


def forget_device(directory: Path) -> None:
    """Erases the store with all its keys."""
    files = PosixFiles()
    files.verify_directory(directory)
    with _locked(directory, 5):
        Store.erase(directory, files)


@contextlib.contextmanager
def _locked(directory: Path, wait: float) -> Iterator[None]:
    try:
        with store_lock(directory / LOCK, wait):
            yield
    except BlockingIOError as error:
        raise StoreUnreadable("busy", "another sparekey-agent is using the store; try again") from error


def _connect_of(store: Store) -> Callable[[], contextlib.AbstractContextManager[ServerClient]]:
    def connect() -> contextlib.AbstractContextManager[ServerClient]:
        enrolled = store.state.enrolment
        return conversation(
            enrolled.servers,
            bytes.fromhex(enrolled.ca_certificate),
            enrolled.device,
            store.keys.sign,
            lambda: store.judged().time,
        )

    return connect
