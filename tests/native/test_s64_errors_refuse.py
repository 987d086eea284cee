"""S64: whatever goes wrong, the PAM module refuses: in pamtester, under each control word, with a hostile agent too."""

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparekey.agent.local_socket.connection_limits import MOST_OF_EACH, MOST_OF_ROOT
from sparekey.agent.platform.posix import person_behind
from sparekey.wire.local_socket import Frame, FrameKind, Tag, encode_frame, frame
from tests.cli.agent.commands_under_test import Computer, a_computer
from tests.native.built import check
from tests.native.fake_agent import GONE, SILENCE, Raw, Reply, denied, fake_agent, granted
from tests.native.pam_applications import (
    AUTH_ERR,
    AUTHINFO_UNAVAIL,
    PERM_DENIED,
    PamDirectory,
    drive,
    pamtester,
    typed,
)
from tools.counts import Count

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(os.geteuid() != 0, reason="the module believes root's agent alone"),
]

NOBODY = 65534
LETS_IN = "required pam_permit.so"
KEEPS_OUT = "requisite pam_deny.so"
# Our line, then one that would grant if our error were ignored; the last form is pam-auth-update's.
STACKS = {
    "required": ["required OPTIONS", LETS_IN],
    "requisite": ["requisite OPTIONS", LETS_IN],
    "sufficient": ["sufficient OPTIONS", KEEPS_OUT],
    "success=1": ["[success=1 default=ignore] OPTIONS", KEEPS_OUT, LETS_IN],
    "alone": ["sufficient OPTIONS"],
}
every_control = pytest.mark.parametrize("control", STACKS)


@pytest.fixture(scope="module")
def computer() -> Iterator[Computer]:
    """A real agent that runs, and Alice."""
    with tempfile.TemporaryDirectory() as directory, a_computer(Path(directory)) as computer:
        computer.enroll()
        with computer.daemon():
            yield computer


@contextlib.contextmanager
def without_its_store(computer: Computer) -> Iterator[Path]:
    """A file stands where the store's directory was; where the socket is now."""
    moved = computer.state.with_name("moved")
    computer.state.rename(moved)
    computer.state.touch()
    try:
        yield moved / "agent.sock"
    finally:
        computer.state.unlink()
        moved.rename(computer.state)


def fresh_passcode(computer: Computer) -> str:
    """One that the server accepts, though a test before may have used it."""
    computer.alice.token.last_step = -1
    return computer.passcode()


def stack(directory: PamDirectory, control: str, options: str) -> str:
    return directory.write("tried", [line.replace("OPTIONS", options) for line in STACKS[control]])


def is_refused(
    directory: PamDirectory, control: str, options: str, answer: str, no_memory: tuple[int, int] = (0, 0)
) -> bool:
    """Return True if the sign-in alone refuses, whatever the account line returns, and if the account line refuses
    without a sign-in."""
    service = stack(directory, control, options)
    done = pamtester(directory, service, "authenticate", stdin=answer, no_memory=no_memory)
    account = pamtester(directory, service, "acct_mgmt", stdin="")
    assert account.returncode == 1, account.stdout + account.stderr
    assert done.returncode in {0, 1}, done.stdout + done.stderr  # and never by a signal
    return done.returncode == 1


@every_control
def test_a_granted_user_gets_in(pam_directory: PamDirectory, control: str) -> None:
    with fake_agent(granted()) as agent:
        service = stack(pam_directory, control, f"socket={agent.path}")
        done = pamtester(pam_directory, service, "authenticate", "acct_mgmt", stdin="2468123456\n")
        assert done.returncode == 0, done.stdout + done.stderr


@every_control
def test_s64_a_missing_agent_refuses_every_user(pam_directory: PamDirectory, tmp_path: Path, control: str) -> None:
    (tmp_path / "file").touch()
    for path in ("/nonexistent/agent.sock", str(tmp_path / "file"), str(tmp_path)):
        assert is_refused(pam_directory, control, f"socket={path}", "2468123456\n")


@every_control
def test_s64_a_missing_configuration_refuses_every_user(
    pam_directory: PamDirectory, computer: Computer, control: str
) -> None:
    for options in ("", "socket=", "config=/etc/sparekey/agent.toml", f"socket={computer.state / 'agent.sock'} debug"):
        assert is_refused(pam_directory, control, options, fresh_passcode(computer) + "\n")


@every_control
def test_s64_an_unreadable_store_refuses_every_user(
    pam_directory: PamDirectory, computer: Computer, control: str
) -> None:
    with without_its_store(computer) as path:
        assert is_refused(pam_directory, control, f"socket={path}", fresh_passcode(computer) + "\n")
    # and only for that: a moment later the same gets in
    options = f"socket={computer.state / 'agent.sock'}"
    assert not is_refused(pam_directory, control, options, fresh_passcode(computer) + "\n")


@every_control
@pytest.mark.parametrize(
    "answer",
    ["", "\n", "\0\n", "x" * 10240 + "\n", "x" * 10240, "\xff\n"],
    ids=["NULL", "empty", "zero", "10 KB", "10 KB without an end", "a letter"],
)
def test_s64_an_impossible_passcode_is_refused(
    pam_directory: PamDirectory, computer: Computer, control: str, answer: str
) -> None:
    assert is_refused(pam_directory, control, f"socket={computer.state / 'agent.sock'}", answer)


@every_control
def test_s64_a_full_agent_refuses_with_its_message(
    pam_directory: PamDirectory, computer: Computer, control: str
) -> None:
    path = computer.state / "agent.sock"
    service = stack(pam_directory, control, f"socket={path}")
    with contextlib.ExitStack() as held:
        for _ in range(most_places()):
            connection = held.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(str(path))
        done = pamtester(pam_directory, service, "authenticate", stdin=fresh_passcode(computer) + "\n")
    assert done.returncode == 1
    assert "too many requests to the agent. Try again in a minute" in done.stdout + done.stderr
    # and only for that: as soon as there are places the same gets in
    tries = (is_refused(pam_directory, control, f"socket={path}", fresh_passcode(computer) + "\n") for _ in range(5))
    assert not all(tries)


def most_places() -> int:
    """Return the limit of connections that this user has at the agent."""
    ours, agents = socket.socketpair(socket.AF_UNIX)
    with ours, agents:
        return MOST_OF_EACH if person_behind(agents) else MOST_OF_ROOT


ALLOCATIONS = 16  # of a sign-in, in libpam and here; no more than these
NO_MEMORY = [(first, last) for first in range(1, ALLOCATIONS + 1) for last in (first, 10**6)]


@every_control
def test_s64_without_memory_only_users_granted_by_the_agent_get_in(pam_directory: PamDirectory, control: str) -> None:
    """Each allocation may fail, alone or with all later ones."""
    with fake_agent(*[granted()] * len(NO_MEMORY)) as agent:
        assert is_refused(pam_directory, control, f"socket={agent.path}", "2468123456\n", no_memory=NO_MEMORY[1])
        for which in NO_MEMORY:
            asked = len(agent.requests)
            refused = is_refused(pam_directory, control, f"socket={agent.path}", "2468123456\n", no_memory=which)
            assert refused or len(agent.requests) == asked + 1, which
    with fake_agent(*[denied()] * len(NO_MEMORY)) as agent:
        for which in NO_MEMORY:
            assert is_refused(pam_directory, control, f"socket={agent.path}", "2468123456\n", no_memory=which), which


def test_every_allocation_is_made_to_fail_once(pam_directory: PamDirectory) -> None:
    with fake_agent(granted()) as agent:
        service = stack(pam_directory, "required", f"socket={agent.path}")
        done = pamtester(pam_directory, service, "authenticate", stdin="2468123456\n")
    assert 5 < int(done.stderr.partition("allocations: ")[2].partition("\n")[0]) <= ALLOCATIONS


def test_s64_nothing_is_sent_to_another_user_s_socket(pam_directory: PamDirectory) -> None:
    """Another user listens: it gets a connection and not one byte of it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        path = Path(name) / "agent.sock"
        source = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)\n"
            "print('listening', flush=True); s.settimeout(20); c = s.accept()[0]; c.settimeout(20)\n"
            "print(len(c.recv(1))); c.sendall(bytes.fromhex(sys.argv[2]))"
        )
        line = ["/usr/bin/python3", "-I", "-c", source, str(path), encode_frame(granted()).hex()]
        with subprocess.Popen(
            line,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            env={},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "listening\n"
            path.chmod(0o666)
            seen = drive(pam_directory, [f"required socket={path}"], "authenticate", answers=[typed("2468123456")])
            assert other.stdout.read() == "0\n"
    assert seen.status == {"authenticate": AUTHINFO_UNAVAIL}
    assert "is not root's, so nothing was sent" in seen.log[0]


def answer_of(**members: str | int | bytes) -> Raw:
    return Raw(encode_frame(frame(FrameKind.ANSWER, **members)))


GRANTED = encode_frame(granted())
TWICE = Frame(kind=FrameKind.ANSWER, fields={Tag.RESULT: b"granted"})
HOSTILE: dict[str, tuple[Reply, int]] = {
    "another result": (answer_of(result="granted-once"), AUTHINFO_UNAVAIL),
    "the beginning of granted": (answer_of(result="grant"), AUTHINFO_UNAVAIL),
    "granted in capitals": (answer_of(result="GRANTED"), AUTHINFO_UNAVAIL),
    "granted and a zero byte": (answer_of(result=b"granted\0"), AUTHINFO_UNAVAIL),
    "no result": (answer_of(message="Signed in.", mode="online"), AUTHINFO_UNAVAIL),
    "unavailable": (answer_of(result="unavailable"), AUTHINFO_UNAVAIL),
    "denied, with words that grant": (answer_of(result="denied", reason="granted", message="granted"), AUTH_ERR),
    "ask without a name for the challenge": (answer_of(result="ask", ask="new-pin"), AUTHINFO_UNAVAIL),
    "failed": (frame(FrameKind.FAILED, reason="granted", message="granted"), AUTHINFO_UNAVAIL),
    "done": (frame(FrameKind.DONE, done=1), AUTHINFO_UNAVAIL),
    "a secret": (frame(FrameKind.SECRET, secret=b"granted"), AUTHINFO_UNAVAIL),
    "a request": (Raw(encode_frame(frame(FrameKind.LOGIN, user="alice"))), AUTHINFO_UNAVAIL),
    "another version": (Raw(GRANTED[:4] + b"\2" + GRANTED[5:]), AUTHINFO_UNAVAIL),
    "an unknown type": (Raw(GRANTED[:5] + b"\x7f" + GRANTED[6:]), AUTHINFO_UNAVAIL),
    "the result twice": (Raw((2 + 20).to_bytes(4, "big") + b"\1\x40" + encode_frame(TWICE)[6:] * 2), AUTHINFO_UNAVAIL),
    "no text": (answer_of(result="granted", message=b"\xff"), AUTHINFO_UNAVAIL),
    "a number of four bytes": (answer_of(result="granted", days_left=b"1234"), AUTHINFO_UNAVAIL),
    "a field beyond the end": (Raw(GRANTED[:4] + b"\1\x40\x10\xff\xff" + GRANTED[9:]), AUTHINFO_UNAVAIL),
    "too short": (Raw(b"\0\0\0\1\1"), AUTHINFO_UNAVAIL),
    "nothing follows": (Raw(bytes(4)), AUTHINFO_UNAVAIL),
    "too long": (Raw((65_537).to_bytes(4, "big") + GRANTED[4:] + b"\x15\xff\xff" + b"x" * 65_535), AUTHINFO_UNAVAIL),
    "4 GB": (Raw(b"\xff" * 4 + GRANTED[4:]), AUTHINFO_UNAVAIL),
    "text": (Raw(b"HTTP/1.1 200 OK\r\n\r\ngranted"), AUTHINFO_UNAVAIL),
    "half a head": (Raw(b"\0\0", closes=True), AUTHINFO_UNAVAIL),
    "half a reply": (Raw(GRANTED[:-1], closes=True), AUTHINFO_UNAVAIL),
    "gone": (GONE, AUTHINFO_UNAVAIL),
    "half a reply, then silence": (Raw(GRANTED[:-1]), AUTHINFO_UNAVAIL),
    "silence": (SILENCE, AUTHINFO_UNAVAIL),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_s64_a_malformed_reply_refuses(pam_directory: PamDirectory, what: str) -> None:
    reply, status = HOSTILE[what]
    with fake_agent(reply) as agent:
        line = f"required socket={agent.path} timeout=1"
        seen = drive(pam_directory, [line], "authenticate", "acct_mgmt", answers=[typed("2468123456"), typed("13579")])
    assert seen.status == {"authenticate": status, "acct_mgmt": PERM_DENIED}


def test_s64_a_grant_sent_before_the_user_answers_does_not_count(pam_directory: PamDirectory) -> None:
    challenge = encode_frame(frame(FrameKind.ANSWER, result="ask", ask="new-pin", reply_to="q"))
    with fake_agent(Raw(challenge + GRANTED)) as agent:
        answers = [typed("2468123456"), typed("13579")]
        seen = drive(pam_directory, [f"required socket={agent.path}"], "authenticate", answers=answers)
    assert seen.status == {"authenticate": AUTHINFO_UNAVAIL}


def test_s64_no_reply_and_nothing_typed_gets_by(pam_directory: PamDirectory, count: Count) -> None:
    """Replies with bytes changed, cut and put in, whatever is typed, signals and pieces: under sanitizers."""
    services = {
        "plain": ["required"],
        "quiet": ["required quiet"],
        "os": ["required os_password"],
        "keep": ["requisite os_password", "required keep_os_password"],
        "keep-again": ["requisite os_password", "requisite ask_os_password", "required keep_os_password"],
        "bad-option": ["required nullok"],
        "bad-value": ["required timeout=0"],
    }
    for name, auth in services.items():
        pam_directory.write(name, auth, module=check("asan/pam_sparekey.so"))
    rounds = count(small=4000, full=5_000_000)
    for seed in range(1, count(small=2, full=5)):
        line = [str(check("asan/fuzz_sign_in")), str(pam_directory.path), str(rounds), str(seed), *services]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        assert int(done.stdout.split()[0]) > rounds / 100
