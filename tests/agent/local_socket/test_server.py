"""The daemon's socket in one process: callers' rights, the access of a success, malformed requests (S26)."""

import contextlib
import errno
import json
import logging
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import pytest

from sparekey.agent.contact.scheduler import ContactScheduler
from sparekey.agent.local_socket.connection_limits import (
    MOST_OF_EACH,
    MOST_OF_OTHERS,
    MOST_OF_REMOTE,
    MOST_OF_ROOT,
    ROOT,
)
from sparekey.agent.local_socket.frames import receive
from sparekey.agent.local_socket.server import LocalSocketServer
from sparekey.agent.platform.posix import connect, listen, person_behind
from sparekey.agent.store.device import ThisDevice
from sparekey.wire.local_socket import LONGEST_FRAME, Frame, FrameKind, Tag, encode_frame, frame
from tests.agent.devices import a_world
from tests.agent.serving import NOBODY, Served, login_frame, serving

pytestmark = pytest.mark.services

PERSON = 64_001  # a user without an account here
DAEMON = 1  # one with an account
STATUS = encode_frame(frame(FrameKind.STATUS)).hex()
# Holds connections until its standard input ends, as that person; says what the first request on each is answered by.
HOLDER = """
import os, socket, sys
how, person, path, count, request = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
if how == "su": os.setresuid(person, 0, 0)
elif how == "sudo": open("/proc/self/loginuid", "w").write(str(person))
elif how == "screen lock": os.setresuid(person, person, person)
held = []
for number in range(count):
    if how == "uids": os.setresuid(-1, person + number, 0)
    s = socket.socket(socket.AF_UNIX); s.connect(path)
    if how == "uids": os.setresuid(-1, 0, 0)
    s.sendall(bytes.fromhex(request)); held.append(s)
    n = int.from_bytes(s.recv(4, socket.MSG_WAITALL), "big"); print(s.recv(n, socket.MSG_WAITALL).hex())
print("held", flush=True); sys.stdin.read()
"""


@contextlib.contextmanager
def held_by(how: str, served: Served, count: int) -> Iterator[list[FrameKind]]:
    """Return the first replies to a program of `PERSON`, or a screen lock of `DAEMON`, on so many connections that it
    holds open."""
    person = DAEMON if how == "screen lock" else PERSON
    line = ["/usr/bin/python3", "-I", "-c", HOLDER, how, str(person), str(served.path), str(count), STATUS]
    with subprocess.Popen(line, cwd="/", env={}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        said = [text.strip() for text in iter(holder.stdout.readline, "held\n") if text]
        yield [FrameKind(bytes.fromhex(each)[1]) for each in said]
        holder.communicate(timeout=20)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    world = a_world(tmp_path / "store")
    world.alice.policy = replace(world.alice.policy, os_password=True)
    with serving(world) as served:
        yield served


def test_sign_in_watch_keep_and_open_on_one_connection(served: Served) -> None:
    with served.connection() as connection:
        assert served.ask(connection, frame(FrameKind.OPEN, purpose="os-password")).kind is FrameKind.FAILED
        answer = served.ask(connection, login_frame(served.world))
        assert (answer.text(Tag.RESULT), answer.text(Tag.MODE)) == ("granted", "online")
        assert (
            served.ask(connection, frame(FrameKind.KEEP, purpose="os-password", secret=b"kept")).kind is FrameKind.DONE
        )
        assert served.ask(connection, frame(FrameKind.OPEN, purpose="os-password")).fields[Tag.SECRET] == b"kept"
        assert served.ask(connection, frame(FrameKind.OPEN, purpose="another")).text(Tag.REASON) == "not-allowed"
        connection.sendall(encode_frame(frame(FrameKind.WATCH)))
        replies = [receive(connection, LONGEST_FRAME)]
        while replies[-1].kind is FrameKind.PROGRESS:
            replies.append(receive(connection, LONGEST_FRAME))
        assert (replies[-1].kind, replies[-1].number(Tag.DONE)) == (FrameKind.DONE, 4)
    with served.connection() as other:
        assert served.ask(other, frame(FrameKind.OPEN, purpose="os-password")).text(Tag.REASON) == "not-signed-in"


def is_logged(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    """Return True if the log has the text within five seconds: a refusal is logged after its answer."""
    end = monotonic() + 5
    while text not in caplog.text and monotonic() < end:
        sleep(0.01)
    return text in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_s26_a_user_may_ask_only_about_themselves(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    refused = served.ask_as_nobody(login_frame(served.world))
    assert (refused.kind, refused.text(Tag.REASON)) == (FrameKind.FAILED, "not-allowed")
    assert served.world.server.calls == []
    for request in (frame(FrameKind.SYNC), frame(FrameKind.CLEAR), frame(FrameKind.TEST, user="alice", passcode="x")):
        assert served.ask_as_nobody(request).text(Tag.REASON) == "not-allowed"
    own = served.ask_as_nobody(login_frame(served.world, "nobody"))
    assert (own.kind, own.text(Tag.RESULT)) == (FrameKind.ANSWER, "denied")
    asked = f"asked by uid {NOBODY}"
    assert is_logged(
        caplog, f"refused: an account that does not exist on this computer, {asked}: not-allowed; only root"
    )
    assert is_logged(caplog, f"refused: nobody, {asked}: online wrong-passcode; see sparekey audit list --user nobody")
    served.world.signed_in_online()
    report = json.loads(served.ask_as_nobody(frame(FrameKind.STATUS)).text(Tag.REPORT))
    assert report["users"] == []
    assert "events_waiting" not in report  # attempts of others


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_s26_a_user_does_not_learn_of_units_for_others(served: Served) -> None:
    with served.connection() as connection:
        served.ask(connection, login_frame(served.world))
        assert served.ask(connection, frame(FrameKind.WATCH)).text(Tag.USER) == "alice"
    reply = served.ask_as_nobody(login_frame(served.world, "nobody"), frame(FrameKind.WATCH))
    assert (reply.kind, reply.number(Tag.DONE)) == (FrameKind.DONE, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_s26_a_user_s_own_sync_reveals_nothing_about_others(served: Served) -> None:
    """One contact serves all users with missing units."""
    served.world.server.add_user("nobody")
    served.world.login(served.world.passcode())
    own = served.world.passcode(user=served.world.server.users["nobody"])
    replies = served.replies_to_nobody(frame(FrameKind.LOGIN, user="nobody", passcode=own), frame(FrameKind.WATCH))
    assert {reply.text(Tag.USER) for reply in replies if reply.kind is FrameKind.PROGRESS} == {"nobody"}
    assert replies[-1].kind is FrameKind.DONE


@pytest.mark.parametrize(
    "nonsense", [b"\0\0\0\0", b"\xff" * 8, b"\0\0\0\2\1\x63", b"\0\0\0\5\1\1\1\0\xff", b"GET / HTTP"]
)
def test_nonsense_ends_the_connection_and_nothing_else(served: Served, nonsense: bytes) -> None:
    with served.connection() as connection:
        connection.sendall(nonsense)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""
    with served.connection() as connection:
        assert served.ask(connection, frame(FrameKind.STATUS)).kind is FrameKind.REPORT


@contextlib.contextmanager
def no_more_threads() -> Iterator[None]:
    """The system starts none: each would need more memory than there are addresses."""
    before = threading.stack_size(1 << 47)
    try:
        yield
    finally:
        threading.stack_size(before)


def test_one_connection_too_many_is_refused_and_one_without_a_thread_takes_no_slot(served: Served) -> None:
    with no_more_threads(), served.connection() as connection:
        refused = served.ask(connection, frame(FrameKind.STATUS))
        assert (refused.text(Tag.REASON), "no room" in refused.text(Tag.MESSAGE)) == ("busy", True)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(served.connection())]
        most = (
            MOST_OF_EACH if person_behind(held[0]) else MOST_OF_ROOT
        )  # root, if the user became root to run this test
        held += [stack.enter_context(served.connection()) for _ in range(most - 1)]
        for connection in held:
            assert served.ask(connection, frame(FrameKind.STATUS)).kind is FrameKind.REPORT
        refused = served.ask(stack.enter_context(served.connection()), frame(FrameKind.STATUS))
        assert (refused.kind, refused.text(Tag.REASON)) == (FrameKind.FAILED, "busy")
        assert "Try again" in refused.text(Tag.MESSAGE)
        held.pop().close()
        assert freed(served)


def freed(served: Served) -> bool:
    """Return True when the server has seen that a slot was freed."""
    for _ in range(100):
        with served.connection() as connection:
            if served.ask(connection, frame(FrameKind.STATUS)).kind is FrameKind.REPORT:
                return True
    return False


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_s26_one_user_does_not_keep_another_s_screen_lock_out(served: Served) -> None:
    with held_by("screen lock", served, MOST_OF_OTHERS + 4) as answers:
        assert answers == [FrameKind.REPORT] * MOST_OF_EACH + [FrameKind.FAILED] * MOST_OF_OTHERS
        assert served.ask_as_nobody(frame(FrameKind.STATUS)).kind is FrameKind.REPORT


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_s26_many_uids_without_an_account_have_the_places_of_one_user(served: Served) -> None:
    with held_by("uids", served, MOST_OF_OTHERS + 4) as answers:
        assert answers == [FrameKind.REPORT] * MOST_OF_EACH + [FrameKind.FAILED] * MOST_OF_OTHERS
        assert served.ask_as_nobody(frame(FrameKind.STATUS)).kind is FrameKind.REPORT


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
@pytest.mark.parametrize("how", ["su", "sudo"])
def test_s26_one_person_s_programs_of_root_do_not_keep_login_screens_out(served: Served, how: str) -> None:
    if how == "sudo" and not has_logins():
        pytest.skip("the kernel knows no logins here")
    with held_by(how, served, MOST_OF_ROOT + 2) as answers:
        assert answers.count(FrameKind.REPORT) == MOST_OF_EACH
        with served.connection() as connection:
            assert served.ask(connection, frame(FrameKind.STATUS)).kind is FrameKind.REPORT


def has_logins() -> bool:
    """Return True if a process may have a login uid here."""
    line = [sys.executable, "-I", "-c", f"open('/proc/self/loginuid', 'w').write('{PERSON}')"]
    return subprocess.run(line, capture_output=True, check=False).returncode == 0


def test_s26_a_frame_that_has_begun_does_not_hold_its_place(tmp_path: Path) -> None:
    with serving(a_world(tmp_path / "store"), frame_timeout=0.3) as served, served.connection() as connection:
        connection.settimeout(0.05)
        for byte in b"\0\0\x10\0" + b"\1" * 60:  # each well within the time of a whole frame
            try:
                connection.sendall(bytes([byte]))
                assert connection.recv(1) == b""
                break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("one byte after the other held the place")


def test_a_reply_to_nothing_is_denied(served: Served) -> None:
    with served.connection() as connection:
        reply = served.ask(connection, frame(FrameKind.LOGIN, user="alice", passcode="1", reply_to="1"))
        assert reply.text(Tag.RESULT) == "denied"
    assert served.world.server.calls == ["sign_in", "sync"]  # only the server is asked


def test_a_challenge_over_the_socket_ends_in_a_session(served: Served) -> None:
    served.world.alice.pin_must_change = True
    with served.connection() as connection:
        answers = [served.ask(connection, login_frame(served.world))]
        for typed in ("12345", "12345"):
            reply_to = answers[-1].text(Tag.REPLY_TO)
            answers.append(
                served.ask(connection, frame(FrameKind.LOGIN, user="alice", passcode=typed, reply_to=reply_to))
            )
        assert [each.text(Tag.RESULT) for each in answers] == ["ask", "ask", "granted"]
        assert [each.text(Tag.ASK) for each in answers] == ["new-pin", "confirm-pin", ""]
        assert served.ask(connection, frame(FrameKind.KEEP, purpose="os-password", secret=b"s")).kind is FrameKind.DONE


def test_a_challenge_opens_no_secret(served: Served) -> None:
    served.world.alice.pin_must_change = True
    with served.connection() as connection:
        served.ask(connection, login_frame(served.world))
        kept = served.ask(connection, frame(FrameKind.KEEP, purpose="os-password", secret=b"s"))
        assert (kept.kind, kept.text(Tag.REASON)) == (FrameKind.FAILED, "not-signed-in")


class _NoRoomAtFirst(socket.socket):
    """A listener on a system that is out of descriptors once."""

    full = True

    def accept(self) -> tuple[socket.socket, object]:
        if self.full:
            self.full = False
            raise OSError(errno.EMFILE, "too many open files")
        return super().accept()


def test_a_system_without_room_for_a_moment_does_not_end_the_daemon(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store")
    listener = _NoRoomAtFirst(fileno=listen(tmp_path / "socket", 16).detach())
    thread = threading.Thread(target=LocalSocketServer(world.device, ContactScheduler(world.device), listener).run)
    thread.start()
    try:
        with connect(tmp_path / "socket", 20) as connection:
            connection.sendall(encode_frame(frame(FrameKind.STATUS)))
            assert receive(connection, LONGEST_FRAME).kind is FrameKind.REPORT
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


class _CountedDevice(ThisDevice):
    """A device that counts the attempts in progress or in its queue."""

    entered = threading.Semaphore(0)
    together = 0
    most = 0

    @contextlib.contextmanager
    def one_attempt(self) -> Iterator[None]:
        cls = type(self)
        cls.together += 1
        cls.most = max(cls.most, cls.together)
        cls.entered.release()
        try:
            with super().one_attempt():
                yield
        finally:
            cls.together -= 1


def asked_by_su(served: Served, request: Frame) -> None:
    """Ask through a program of root's that `PERSON` has started."""
    line = ["/usr/bin/python3", "-I", "-c", HOLDER, "su", str(PERSON), str(served.path), "1"]
    subprocess.run(
        [*line, encode_frame(request).hex()],
        cwd="/",
        env={},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=30,
        check=True,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_root_waits_for_at_most_one_attempt_of_others(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store")
    device = _CountedDevice(world.device.store, world.clock, world.server.connect)
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    listener = listen(directory / "socket", 16)
    served = Served(world, directory / "socket")
    thread = threading.Thread(target=LocalSocketServer(device, ContactScheduler(device), listener).run)
    thread.start()
    own = login_frame(world, "nobody")
    others = [threading.Thread(target=served.ask_as_nobody, args=(own,)) for _ in range(2)]
    others += [threading.Thread(target=asked_by_su, args=(served, own)) for _ in range(2)]
    try:
        with device.one_attempt():
            assert device.entered.acquire(timeout=20)
            for other in others:
                other.start()
            assert device.entered.acquire(timeout=20)
            # No second one comes while the first is in line.
            assert not device.entered.acquire(timeout=2)
        for other in others:
            other.join(30)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        shutil.rmtree(directory)
    assert device.most == 2


class _DeviceOfStrangers(_CountedDevice):
    entered = threading.Semaphore(0)
    together = 0
    most = 0


def answered(connections: list[socket.socket], count: int) -> list[Frame]:
    """Return the replies to the first connections that are answered, and close those."""
    replies: list[Frame] = []
    while len(replies) < count:
        ready, _, _ = select.select(connections, [], [], 10)
        assert ready, f"{len(replies)} of {count} are answered"
        for connection in ready:
            replies.append(receive(connection, LONGEST_FRAME))
            connections.remove(connection)
            connection.close()
    return replies


def test_s26_strangers_at_sshd_take_neither_places_nor_turns_of_the_console(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store")
    device = _DeviceOfStrangers(world.device.store, world.clock, world.server.connect)
    world.device = device
    remote = encode_frame(frame(FrameKind.LOGIN, user="stranger", passcode="9999123456", remote=1))
    with serving(world) as served, contextlib.ExitStack() as stack:
        console, *strangers = [stack.enter_context(served.connection()) for _ in range(MOST_OF_REMOTE + 5)]
        if person_behind(console) != ROOT:
            pytest.skip("whoever runs this is a person to the agent")
        with device.one_attempt():
            for stranger in strangers:
                stranger.sendall(remote)
            assert {each.text(Tag.REASON) for each in answered(strangers, 4)} == {"busy"}
            console.sendall(encode_frame(login_frame(world)))
            for _ in ("this test", "a stranger", "the console"):
                assert device.entered.acquire(timeout=10)
            assert not device.entered.acquire(timeout=1)  # no second stranger is before her
        assert receive(console, LONGEST_FRAME).text(Tag.RESULT) == "granted"
        assert [each.text(Tag.RESULT) for each in answered(strangers, MOST_OF_REMOTE)] == ["denied"] * MOST_OF_REMOTE
    assert device.most == 3
