"""The device, assembled: the store on this disk, the system clock, the server over HTTPS, and all cores for hashing.

One process at a time has the store: the daemon while it runs, otherwise the command that holds the lock.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from sparekey.agent.contact import enrolment
from sparekey.agent.contact.server_client import ServerClient, open_connection
from sparekey.agent.ground.exempt_accounts import ExemptAccounts, exempt_accounts
from sparekey.agent.ground.ports import StoreUnreadable
from sparekey.agent.platform.configuration import Configuration
from sparekey.agent.platform.pam_stacks import read_stacks
from sparekey.agent.platform.posix import (
    PosixFiles,
    SystemClock,
    group_members,
    read_texts,
    store_lock,
    usable_cores,
)
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.key_choice import AUTO, forget_keys, open_keys
from sparekey.agent.store.store import Store
from sparekey.heap import release_memory
from sparekey.wire.enrolment import EnrolmentCode

T = TypeVar("T")
R = TypeVar("R")

STATE_DIRECTORY: Final = Path("/var/lib/sparekey-agent")
SOCKET: Final = "agent.sock"
RUN_DIRECTORY: Final = Path("/run/sparekey-agent")  # as in the unit of the service
PAM_STACKS: Final = (
    Path("/usr/lib/pam.d"),
    Path("/etc/pam.d"),
)  # libpam takes a service from the last directory that has it
DEFAULTS: Final = Configuration()
LOCK: Final = "lock"
WAITING_PER_CORE: Final = 4  # items


def on_all_cores(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
    """Map `function` over the items with a thread for each core: the hashes release the interpreter. Only a few items
    are taken ahead, because thousands in the queue would make an idle daemon MiB larger."""
    cores, ahead = usable_cores(), deque[Future[R]]()
    try:
        with ThreadPoolExecutor(cores) as pool:
            for item in items:
                if len(ahead) == cores * WAITING_PER_CORE:
                    yield ahead.popleft().result()
                ahead.append(pool.submit(function, item))
            while ahead:
                yield ahead.popleft().result()
    finally:
        release_memory()


@contextlib.contextmanager
def opened_device(directory: Path, *, wait: float, configuration: Configuration = DEFAULTS) -> Iterator[ThisDevice]:
    """Open the enrolled device for this process alone. Raises StoreUnreadable, with the word "busy" after `wait`
    seconds."""
    files, clock = PosixFiles(), SystemClock()
    files.verify_directory(directory)
    with _locked(directory, wait):
        store = Store.open(directory, files, open_keys(directory, files, configuration.tpm), clock)
        store.begin()
        yield ThisDevice(
            store,
            clock,
            _connect_of(store),
            on_all_cores,
            names=configuration.names,
            exempt=ExemptAccounts(lambda: find_exempt_accounts(configuration)),
            purposes=configuration.purposes,
            desktop_notices=configuration.desktop_notices,
        )


def pam_texts(directories: Iterable[Path] = PAM_STACKS) -> dict[str, str]:
    """Return the PAM stacks of this computer by name, as libpam reads them."""
    texts: dict[str, str] = {}
    for directory in directories:
        texts |= read_texts(directory)
    return texts


def find_exempt_accounts(configuration: Configuration) -> list[str]:
    """Return the accounts that sign in on this computer without a passcode."""
    stacks = read_stacks(pam_texts(), configuration.exempt_group)
    root_on_console = any(stack.exempt_console for stack in stacks)
    return exempt_accounts(group_members(configuration.exempt_group), root_on_console=root_on_console)


def socket_path(configuration: Configuration, directory: Path) -> Path:
    """Return the path on which the daemon of this store listens: the one where login shims look for it, or for another
    store one beside it."""
    default = RUN_DIRECTORY if directory == STATE_DIRECTORY else directory
    return configuration.socket or default / SOCKET


def enrol_device(url: str, code: EnrolmentCode, name: str, directory: Path, *, tpm: str = AUTO) -> enrolment.Enrolled:
    """Make this computer a device (`agent.contact.enrolment`)."""
    files = PosixFiles()
    enrolment.verify_free(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    files.make_directory(directory)
    with _locked(directory, 5):
        return enrolment.enrol(url, code, name, directory, files, SystemClock(), tpm)


def forget_device(directory: Path, configuration: Configuration = DEFAULTS) -> None:
    """Erase the store with all its keys. Raises StoreUnreadable if something stays in a TPM; the store is erased all
    the same."""
    files = PosixFiles()
    files.verify_directory(directory)
    with _locked(directory, 5):
        try:
            forget_keys(directory, files, configuration.tpm)
        finally:
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
        return open_connection(
            enrolled.servers,
            bytes.fromhex(enrolled.ca_certificate),
            enrolled.device,
            store.keys.sign,
            lambda: store.trusted_time().time,
        )

    return connect
