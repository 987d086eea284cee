"""The only module that knows POSIX: files for their owner only, clocks, routes, peers of sockets.

- Links are never followed (O_NOFOLLOW). Files that others can read or write are not used (S26).
- The monotonic clock counts suspend. Each boot has a name.
"""

import contextlib
import ctypes
import errno
import fcntl
import grp
import os
import pwd
import re
import resource
import socket
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from sparekey import clock
from sparekey.agent.ground.device_time import ClockReading
from sparekey.agent.ground.ports import StoreUnreadable

LARGEST_FILE = 64 << 20
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_PR_SET_DUMPABLE = 4  # prctl(2)
_REAL_USER = re.compile(rb"^Uid:\t(\d+)", re.MULTILINE)  # proc_pid_status(5)
_NO_LOGIN = 0xFFFFFFFF  # proc_pid_loginuid(5): started without a login
_NETWORK_CHANGES = 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_IPV4_IFADDR, _ROUTE, RTMGRP_IPV6_IFADDR, _ROUTE
_LONGEST_CHANGE = 8192
_TIMEX_BYTES = 512  # more than struct timex on any machine


class PosixFiles:
    """The `ports.Files` of a local file system."""

    def make_directory(self, path: Path) -> None:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        self.verify_directory(path)

    def verify_directory(self, path: Path) -> None:
        try:
            status = path.lstat()
        except FileNotFoundError as error:
            raise StoreUnreadable("not-enrolled", f"{path} does not exist: this device is not enrolled") from error
        if not stat.S_ISDIR(status.st_mode):
            raise StoreUnreadable("unsafe", f"{path} is not a directory")
        _verify_private(path, status)

    def read(self, path: Path) -> bytes:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise StoreUnreadable("unsafe", f"{path} is a link; remove it") from error
            raise
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise StoreUnreadable("unsafe", f"{path} is not a file")
            _verify_private(path, status)
            return file.read(LARGEST_FILE)

    def write_new(self, path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)

    def sync(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, path: Path, to: Path) -> None:
        path.rename(to)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def names(self, path: Path) -> list[str]:
        return os.listdir(path)  # noqa: PTH208 -- names, not paths


def _verify_private(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise StoreUnreadable("unsafe", f"{path} belongs to another user; run this command as its owner (root)")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise StoreUnreadable(
            "unsafe", f"others can read {path}; run `chmod go=` on it, and enrol again if it was read"
        )


def read_trusted_text(path: Path) -> str:
    """Return a text that everyone may read, but that only root or this user can have written. Raises OSError with the
    reason."""
    if path.is_dir():
        raise PermissionError("it is not a file")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError("it is not a file")
        if status.st_uid not in {0, os.geteuid()} or stat.S_IMODE(status.st_mode) & 0o022:
            raise PermissionError("others can write it; run `chown root` and `chmod go-w` on it, and check its content")
        return file.read(LARGEST_FILE).decode("utf-8")


def read_texts(directory: Path) -> dict[str, str]:
    """Return the readable text files of a directory by their names; none if the directory does not exist."""
    texts = {}
    for path in sorted(directory.glob("*")):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            texts[path.name] = path.read_text(encoding="utf-8")
    return texts


class SystemClock:
    """The `ports.Clock` of Linux."""

    def reading(self) -> ClockReading:
        return ClockReading(
            wall=clock.now(),
            monotonic=clock.since_boot(),
            boot=_BOOT_ID.read_text(encoding="ascii").strip(),
            synchronised=clock_is_synchronised(),
        )


def clock_is_synchronised() -> bool:
    """Return True if the kernel reports that a time service keeps the clock right."""
    library = ctypes.CDLL(None, use_errno=True)
    state = int(library.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))  # modes 0: reads, sets nothing
    return 0 <= state < _TIME_ERROR


@contextlib.contextmanager
def store_lock(path: Path, wait: float) -> Iterator[None]:
    """Hold the lock of the store, which one process has at a time. Raises BlockingIOError after `wait` seconds. The
    lock ends with the process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        until = clock.monotonic() + wait
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if clock.monotonic() >= until:
                    raise
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def has_route(address: tuple[str, int]) -> bool:
    """Return True if the kernel has a route to this numeric address. Nothing is sent."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


def wait_for_network(seconds: float) -> bool:
    """Wait for a change of addresses or routes (rtnetlink(7)), at most `seconds`. Return True if there was one."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as changes:
        changes.bind((0, _NETWORK_CHANGES))
        changes.settimeout(seconds)
        try:
            changes.recv(_LONGEST_CHANGE)
        except TimeoutError:
            return False
    return True


def listen(path: Path, backlog: int) -> socket.socket:
    """Return a local stream socket to which every user may connect; `peer_uid` tells who did. A missing directory is
    made."""
    if not path.parent.exists():
        path.parent.mkdir()
        path.parent.chmod(0o755)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short_name(path) as name:
            listener.bind(name)
        path.chmod(0o666)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def connect(path: Path, timeout: float) -> socket.socket:
    """Return a connection to the daemon. Raises FileNotFoundError or ConnectionRefusedError if no daemon listens,
    BlockingIOError if it accepts none for `timeout` seconds, another OSError if it cannot be reached."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # connect(2) waits this long if the queue is full. With a timeout of Python's it would fail at once.
    patience = struct.pack("@ll", int(timeout), int(timeout % 1 * 1_000_000))
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        with _short_name(path) as name:
            connection.connect(name)
    except OSError:
        connection.close()
        raise
    connection.settimeout(timeout)
    return connection


@contextlib.contextmanager
def _short_name(path: Path) -> Iterator[str]:
    """Return a name of at most 107 bytes for the socket, however deep its directory is."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def peer_uid(connection: socket.socket) -> int:
    """Return the uid of the process that made the connection, from the kernel."""
    _, uid, _ = _peer(connection)
    return uid


def person_behind(connection: socket.socket) -> int:
    """Return the uid of the person behind the connection; 0 for root, or if it is unknown.

    This is the user who made it. If that is root, it is the user who started the program (su) or who logged in before
    it was started (sudo). Use it only to share limits, never to allow anything.
    """
    pid, uid, _ = _peer(connection)
    return uid or _real_user(pid) or _login_user(pid)


def _peer(connection: socket.socket) -> tuple[int, int, int]:
    """Return process, user and group."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", credentials)
    return pid, uid, gid


def _real_user(pid: int) -> int:
    """Return the real uid of the process; 0 if unknown."""
    try:
        found = _REAL_USER.search(Path(f"/proc/{pid}/status").read_bytes())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _login_user(pid: int) -> int:
    """Return the login uid of the process; 0 if unknown."""
    try:
        uid = int(Path(f"/proc/{pid}/loginuid").read_bytes())
    except (OSError, ValueError):
        return 0
    return uid if uid != _NO_LOGIN else 0


def effective_uid() -> int:
    """Return the user of this process."""
    return os.geteuid()


def no_core_dumps() -> None:
    """Keep the memory of this process (passcodes, keys) from core dumps and from other processes of the same user.
    Raises OSError."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A program that takes core dumps (core_pattern is a pipe) is not bound by that limit.
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the memory of this process cannot be protected from core dumps")


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def group_members(group: str) -> list[str]:
    """Return the accounts in this group, also those with it as their primary group; none if the group does not
    exist."""
    try:
        found = grp.getgrnam(group)
    except KeyError:
        return []
    return [*found.gr_mem, *(entry.pw_name for entry in pwd.getpwall() if entry.pw_gid == found.gr_gid)]


def group_exists(group: str) -> bool:
    """Return True if this group exists."""
    try:
        grp.getgrnam(group)
    except KeyError:
        return False
    return True


def has_account(name: str) -> bool:
    """Return True if this computer knows this account."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def account_of(uid: int) -> str | None:
    """Return the name of the account with this uid; None if there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
