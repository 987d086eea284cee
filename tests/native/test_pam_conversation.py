"""The messages to the user and the requests to the agent, with the module in libpam and a scripted agent."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sparekey.wire.local_socket import Frame, FrameKind, Tag, frame
from tests.native.built import check
from tests.native.fake_agent import GONE, FakeAgent, Reply, asks, denied, fake_agent, granted
from tests.native.pam_applications import (
    AGAIN,
    AUTH_ERR,
    AUTHINFO_UNAVAIL,
    BROKEN,
    CONV_ERR,
    CRED_INSUFFICIENT,
    INCOMPLETE,
    NOTHING,
    PERM_DENIED,
    SERVICE_ERR,
    SUCCESS,
    PamDirectory,
    Seen,
    drive,
    pamtester,
    seen_in,
    typed,
)
from tools.tree import ROOT

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(os.geteuid() != 0, reason="the module believes root's agent alone"),
]

PASSCODE = "2468123456"
PROFILES = ROOT / "packaging/pam"
NOBODY = 65534
Try = Callable[..., tuple[Seen, FakeAgent]]


@pytest.fixture
def attempt(pam_directory: PamDirectory) -> Try:
    """One application against an agent with these replies."""

    def run(
        *replies: Reply,
        answers: list[str],
        options: str = "",
        steps: tuple[str, ...] = ("authenticate",),
        user: str | bytes | None = "alice",
        auth: list[str] | None = None,
        plain: bool = False,
    ) -> tuple[Seen, FakeAgent]:
        with fake_agent(*replies) as agent:
            where = f"socket={agent.path} timeout=10"
            lines = [line.replace("SOCKET", where) for line in auth or ()]
            lines = lines or [f"required {where} {options}"]
            seen = drive(pam_directory, lines, *steps, answers=answers, user=user, plain=plain)
        return seen, agent

    return run


def logins(agent: FakeAgent) -> list[tuple[str, str, str]]:
    return [(each.text(Tag.USER), each.text(Tag.PASSCODE), each.text(Tag.REPLY_TO)) for each in agent.requests]


def test_a_passcode_is_forwarded_and_the_answer_shown(attempt: Try) -> None:
    seen, agent = attempt(granted("Signed in. 2 days of offline data left."), answers=[typed(PASSCODE)])
    assert seen.status == {"authenticate": SUCCESS}
    assert seen.shown == [("prompt", "Passcode: "), ("info", "Signed in. 2 days of offline data left.")]
    assert logins(agent) == [("alice", PASSCODE, "")]
    assert seen.log == ["pam_sparekey(driven:auth): granted to alice: online, tokencode"]


@pytest.mark.parametrize(("host", "remote"), [("192.0.2.7", 1), ("localhost.example", 1), ("", 0), ("localhost", 0)])
def test_s26_the_agent_learns_of_remote_logins(attempt: Try, host: str, remote: int) -> None:
    steps = (f"host={host.encode().hex()}", "authenticate")
    _, agent = attempt(asks("new-pin"), granted(), steps=steps, answers=[typed(PASSCODE), typed("13579")])
    assert [each.number(Tag.REMOTE) for each in agent.requests] == [remote, remote]


@pytest.mark.parametrize(
    ("options", "remote"),
    [
        ("", 0),
        ("remote", 1),
        ("remote=driven", 1),
        ("remote=xrdp-sesman,driven", 1),
        ("remote=DRIVEN,xrdp-sesman", 1),
        ("remote=xrdp-sesman", 0),
        ("remote=drive,driven2,xdriven,driven-x", 0),
    ],
)
def test_s26_an_option_calls_users_remote_whose_service_does_not(attempt: Try, options: str, remote: int) -> None:
    for steps in (("authenticate",), (f"host={b'localhost'.hex()}", "authenticate")):
        _, agent = attempt(
            asks("new-pin"), granted(), steps=steps, options=options, answers=[typed("2468"), typed("1")]
        )
        assert [each.number(Tag.REMOTE) for each in agent.requests] == [remote, remote]


@pytest.mark.parametrize("option", ["remote=", "remote=,", "remote=a,", "remote=,a", "remote=a,,b", "[remote=a b]"])
def test_s64_a_list_of_services_that_cannot_be_meant_refuses(attempt: Try, option: str) -> None:
    seen, agent = attempt(granted(), options=option, answers=[typed(PASSCODE)])
    assert (seen.status, agent.requests) == ({"authenticate": SERVICE_ERR}, [])


@pytest.mark.parametrize(("service", "remote"), [("xrdp-sesman", 1), ("sshd", 0), ("login", 0)])
@pytest.mark.parametrize("profile", ["sparekey", "sparekey-second"])
def test_s26_the_shipped_line_calls_users_of_xrdp_remote(
    pam_directory: PamDirectory, profile: str, service: str, remote: int
) -> None:
    text = (PROFILES / profile).read_text(encoding="utf-8")
    (line,) = [line.strip() for line in text.splitlines() if "pam_sparekey.so" in line]
    options = line.partition("pam_sparekey.so")[2]
    with fake_agent(granted()) as agent:
        pam_directory.write(service, [f"required {options} socket={agent.path} timeout=10"])
        done = pamtester(pam_directory, service, "authenticate", stdin=f"{PASSCODE}\n")
    assert done.returncode == 0, done.stderr
    assert [each.number(Tag.REMOTE) for each in agent.requests] == [remote]


def test_a_refusal_is_shown_as_an_error_and_the_log_has_no_login(attempt: Try) -> None:
    seen, _ = attempt(denied(), answers=[typed(PASSCODE)])
    assert seen.status == {"authenticate": AUTH_ERR}
    assert seen.shown[1:] == [("error", "No.")]
    assert seen.log == ["pam_sparekey(driven:auth): refused: denied wrong-passcode"]


def test_a_new_pin_is_asked_for_twice_on_the_same_connection(attempt: Try) -> None:
    replies = [asks("new-pin", "q1"), asks("confirm-pin", "q2", "Type it again."), granted()]
    seen, agent = attempt(*replies, answers=[typed(PASSCODE), typed("13579"), typed("13579")])
    assert seen.status == {"authenticate": SUCCESS}
    assert [text for style, text in seen.shown if style in {"prompt", "info"}] == [
        "Passcode: ",
        "A PIN has 4 to 8 digits.",
        "New PIN: ",
        "Type it again.",
        "New PIN again: ",
        "Signed in.",
    ]
    assert logins(agent) == [("alice", PASSCODE, ""), ("alice", "13579", "q1"), ("alice", "13579", "q2")]
    assert len(agent.connections) == 1


@pytest.mark.parametrize(("ask", "prompt"), [("next-tokencode", "Next tokencode: "), ("favourite-colour", "Answer: ")])
def test_other_challenges_are_shown_too(attempt: Try, ask: str, prompt: str) -> None:
    seen, agent = attempt(asks(ask, "q", "So?"), granted(), answers=[typed(PASSCODE), typed("654321")])
    assert seen.status == {"authenticate": SUCCESS}
    assert seen.shown[1:3] == [("info", "So?"), ("prompt", prompt)]
    assert logins(agent)[1] == ("alice", "654321", "q")


def test_s64_a_client_that_always_sends_the_passcode_sets_no_pin(attempt: Try) -> None:
    seen, agent = attempt(asks("new-pin"), granted(), answers=[typed("123456"), typed("123456")])
    assert seen.status == {"authenticate": AUTH_ERR}
    assert len(agent.requests) == 1
    assert "KbdInteractiveAuthentication" in seen.log[0]


def test_a_connection_lost_during_a_challenge_restarts_the_sign_in(attempt: Try) -> None:
    seen, _ = attempt(GONE, answers=[typed(PASSCODE)])
    assert (seen.status, seen.texts("error")[0][:27]) == (
        {"authenticate": AUTHINFO_UNAVAIL},
        "This computer cannot check ",
    )
    seen, _ = attempt(asks("new-pin"), GONE, answers=[typed(PASSCODE), typed("13579")])
    assert (seen.status, seen.texts("error")[0][:27]) == (
        {"authenticate": AUTHINFO_UNAVAIL},
        "The sign-in was interrupted",
    )


def test_the_number_of_challenges_is_limited(attempt: Try) -> None:
    seen, agent = attempt(*[asks("new-pin")] * 40, answers=[typed(f"answer {i}") for i in range(40)])
    assert seen.status == {"authenticate": AUTHINFO_UNAVAIL}
    assert len(agent.requests) == 17


def test_a_misread_code_is_asked_for_again_three_times_at_most(attempt: Try) -> None:
    misread = denied(
        "misread", "Group 2 of the code was misread. Check the code and type it again. This attempt was not counted."
    )
    codes = [typed(f"2468ABCD{i}-EFGHJ") for i in range(9)]
    seen, agent = attempt(misread, granted(), answers=codes)
    assert seen.status == {"authenticate": SUCCESS}
    assert [len(each) for each in agent.connections] == [1, 1]  # a slow reader finds the first connection closed
    seen, agent = attempt(*[misread] * 9, answers=codes)
    assert seen.status == {"authenticate": AUTH_ERR}
    assert len(seen.texts("prompt")) == 4
    assert seen.texts("error") == [misread.text(Tag.MESSAGE)] * 4


def test_options_prompt_and_quiet(attempt: Try) -> None:
    seen, _ = attempt(granted(), answers=[typed("x")], options="[prompt=PIN and code: ] quiet")
    assert seen.shown == [("prompt", "PIN and code: ")]
    seen, _ = attempt(denied(), answers=[typed("x")], options="quiet")
    assert seen.texts("error") == ["No."]


def test_silent_mode_shows_only_prompts_with_the_needed_text(attempt: Try) -> None:
    misread, answers = denied("misread", "Group 2 was misread."), [typed(PASSCODE), typed("13579"), typed("97531")]
    for last, status in ((granted(), SUCCESS), (denied(), AUTH_ERR)):
        seen, _ = attempt(asks("new-pin"), last, answers=answers, steps=("silent",))
        assert seen.status == {"silent": status}
        assert seen.shown == [("prompt", "Passcode: "), ("prompt", "A PIN has 4 to 8 digits.\nNew PIN: ")]
    seen, _ = attempt(misread, asks("new-pin", message=""), granted(), answers=answers, steps=("silent",))
    assert seen.texts("prompt") == ["Passcode: ", "Group 2 was misread.\nPasscode: ", "New PIN: "]
    assert len(seen.shown) == 3


def test_messages_obey_no_terminal_and_names_no_log(attempt: Try) -> None:
    seen, _ = attempt(granted("a\033[2Jb\u009bc\r\n" + "€" * 2000), answers=[typed("x")], user="al\nice\033")
    assert seen.texts("info") == ["a?[2Jb?c?\n" + "€" * 679]  # cut at 2047 bytes, between two characters
    assert seen.log == ["pam_sparekey(driven:auth): granted to al?ice?: online, tokencode"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (NOTHING, CONV_ERR),
        (BROKEN, CONV_ERR),
        (AGAIN, INCOMPLETE),
        (typed(""), AUTH_ERR),
        (typed("x" * 10240), AUTH_ERR),
        (typed(b"\xff\xfe"), AUTH_ERR),
    ],
)
def test_s64_an_impossible_passcode_is_refused_without_the_agent(attempt: Try, answer: str, status: int) -> None:
    seen, agent = attempt(granted(), answers=[answer])
    assert seen.status == {"authenticate": status}
    assert agent.requests == []
    seen, agent = attempt(
        asks("new-pin"), granted(), answers=[typed(PASSCODE), answer], steps=("authenticate", "acct_mgmt")
    )
    assert seen.status["authenticate"] == status
    assert seen.status["acct_mgmt"] != SUCCESS
    assert len(agent.requests) == 1


@pytest.mark.parametrize("name", ["a" * 257, b"\xff", b"\xed\xa0\x80", ""])
def test_s64_names_that_are_none_are_refused(attempt: Try, name: str | bytes) -> None:
    seen, agent = attempt(granted(), answers=[typed(PASSCODE)], user=name)
    assert (seen.status, agent.requests) == ({"authenticate": AUTH_ERR}, [])


@pytest.mark.parametrize("name", ["--help", "a b", "ünï", "root\nroot", "../../etc", "%s%n", "a" * 256])
def test_odd_names_reach_the_agent_as_they_are(attempt: Try, name: str) -> None:
    _, agent = attempt(denied(), answers=[typed(PASSCODE)], user=name)
    assert logins(agent) == [(name, PASSCODE, "")]


def test_a_caller_without_rights_gets_a_reason(attempt: Try) -> None:
    refusal = frame(FrameKind.FAILED, reason="not-allowed", message="only root can sign in another user")
    seen, _ = attempt(refusal, answers=[typed(PASSCODE)])
    assert seen.status == {"authenticate": CRED_INSUFFICIENT}
    assert seen.texts("error") == ["only root can sign in another user"]


def test_a_screen_lock_that_runs_as_the_user_asks_the_same_agent() -> None:
    with tempfile.TemporaryDirectory() as name, fake_agent(granted()) as agent:
        place = Path(name)
        for directory in (place, agent.path.parent):
            directory.chmod(0o755)
        agent.path.chmod(0o666)
        copies = [Path(shutil.copy(check(each), place)) for each in ("pam_sparekey.so", "pam_driver")]
        PamDirectory(place).write("lock", [f"required socket={agent.path}"], module=copies[0])
        line = [str(copies[1]), name, "lock", b"nobody".hex(), "authenticate"]
        done = subprocess.run(
            line,
            input=typed(PASSCODE) + "\n",
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            env={},
        )
    assert seen_in(done.stdout).status == {"authenticate": SUCCESS}
    assert logins(agent) == [("nobody", PASSCODE, "")]


def test_s64_the_account_is_the_granted_user_only(attempt: Try) -> None:
    seen, _ = attempt(granted(), answers=[typed("x")], steps=("acct_mgmt",))
    assert seen.status == {"acct_mgmt": PERM_DENIED}
    seen, _ = attempt(denied(), answers=[typed("x")], steps=("authenticate", "acct_mgmt"))
    assert seen.status["acct_mgmt"] == PERM_DENIED
    steps = ("authenticate", "acct_mgmt", f"user={b'bob'.hex()}")
    seen, _ = attempt(granted(), answers=[typed("x")], steps=steps)
    assert seen.status["acct_mgmt"] == SUCCESS
    seen, _ = attempt(granted(), answers=[typed("x")], steps=(steps[0], steps[2], steps[1]))
    assert seen.status["acct_mgmt"] == PERM_DENIED


def test_s64_a_later_refusal_takes_the_grant_back(attempt: Try) -> None:
    for again in (typed("y"), NOTHING, typed("")):
        seen, _ = attempt(
            granted(), denied(), answers=[typed("x"), again], steps=("authenticate", "authenticate", "acct_mgmt")
        )
        assert seen.status["acct_mgmt"] == PERM_DENIED


def test_credentials_are_not_ours_and_a_pin_is_changed_elsewhere(attempt: Try) -> None:
    seen, _ = attempt(granted(), answers=[typed("x")], steps=("authenticate", "setcred", "chauthtok"))
    assert (seen.status["setcred"], seen.status["chauthtok"]) == (SUCCESS, PERM_DENIED)
    assert "self-service console" in seen.texts("error")[0]


@pytest.mark.parametrize(
    "options",
    [
        "debug",
        "socket=",
        "socket=run/agent.sock",
        f"socket=/{'a' * 107}",
        "timeout=",
        "timeout=0",
        "timeout=601",
        "timeout=1s",
        "timeout=-1",
        "prompt=",
        "quiet=yes",
        "Quiet",
        "nullok",
        "os_password keep_os_password",
        "os_password ask_os_password",
    ],
)
def test_s64_an_option_that_is_none_refuses_everything(attempt: Try, options: str) -> None:
    seen, agent = attempt(granted(), answers=[typed(PASSCODE)], options=options)
    assert (seen.status, agent.requests) == ({"authenticate": SERVICE_ERR}, [])
    assert "see pam_sparekey(8)" in seen.log[0]
    assert seen.shown == []


def test_use_first_pass_never_prompts(attempt: Try) -> None:
    seen, agent = attempt(granted(), answers=[typed(PASSCODE)], options="use_first_pass")
    assert (seen.status, seen.shown, agent.requests) == ({"authenticate": AUTH_ERR}, [], [])
    secret = frame(FrameKind.SECRET, secret=b"the first pass")
    auth = ["required SOCKET os_password", "required SOCKET use_first_pass"]
    seen, agent = attempt(granted(), secret, granted(), answers=[typed(PASSCODE)], auth=auth)
    assert seen.status == {"authenticate": SUCCESS}
    assert agent.requests[2].text(Tag.PASSCODE) == "the first pass"


OPENED = ["requisite SOCKET os_password", "required SOCKET keep_os_password"]


def test_a_password_that_is_kept_is_opened_for_the_next_line_and_kept_again(attempt: Try) -> None:
    done, secret = frame(FrameKind.DONE), frame(FrameKind.SECRET, secret=b"correct horse")
    seen, agent = attempt(granted(), secret, done, answers=[typed(PASSCODE)], auth=OPENED)
    assert seen.status == {"authenticate": SUCCESS}
    opened, kept = agent.connections[0][1:]
    assert (opened.kind, opened.text(Tag.PURPOSE)) == (FrameKind.OPEN, "os-password")
    assert (kept.kind, kept.text(Tag.PURPOSE), kept.fields[Tag.SECRET]) == (
        FrameKind.KEEP,
        "os-password",
        b"correct horse",
    )


def test_a_wrong_opened_password_is_withdrawn_and_reported(attempt: Try) -> None:
    secret, auth = frame(FrameKind.SECRET, secret=b"correct horse"), [OPENED[0], "requisite SOCKET ask_os_password"]
    seen, _ = attempt(granted(), secret, answers=[typed(PASSCODE)], auth=auth)
    assert seen.status == {"authenticate": SUCCESS}
    assert "is no longer right" in seen.texts("info")[1]
    # the line that follows finds none
    after = [*auth, "required SOCKET use_first_pass"]
    seen, agent = attempt(granted(), secret, granted(), answers=[typed(PASSCODE)], auth=after)
    assert (seen.status, len(agent.requests)) == ({"authenticate": AUTH_ERR}, 2)


@pytest.mark.parametrize("replies", [(denied(),), (granted(), frame(FrameKind.FAILED, reason="stays-closed"))])
def test_s64_a_secret_that_did_not_open_is_not_asked_for_again(attempt: Try, replies: tuple[Frame, ...]) -> None:
    auth = ["optional SOCKET os_password", "required SOCKET ask_os_password"]
    seen, _ = attempt(*replies, answers=[typed(PASSCODE)], auth=auth)
    assert seen.status == {"authenticate": AUTH_ERR}
    twice = ["required SOCKET os_password", *["required SOCKET ask_os_password"] * 2]
    seen, _ = attempt(
        granted(), frame(FrameKind.SECRET, secret=b"correct horse"), answers=[typed(PASSCODE)], auth=twice
    )
    assert seen.status == {"authenticate": AUTH_ERR}


STAYS_CLOSED = frame(FrameKind.FAILED, reason="stays-closed", message="nothing is kept")


@pytest.mark.parametrize(
    ("reply", "logged"),
    [
        (STAYS_CLOSED, ""),
        (frame(FrameKind.FAILED, reason="not-by-policy"), "not-by-policy"),
        (frame(FrameKind.SECRET), "is not valid"),
        (frame(FrameKind.SECRET, secret=b"a\0b"), "is not valid"),
        (frame(FrameKind.SECRET, secret=b"x" * 1025), "is not valid"),
        (frame(FrameKind.DONE), "not opened"),
    ],
)
def test_a_password_that_does_not_open_leaves_the_sign_in_as_it_is(attempt: Try, reply: Frame, logged: str) -> None:
    seen, _ = attempt(granted(), reply, answers=[typed(PASSCODE)], auth=OPENED[:1])
    assert seen.status == {"authenticate": SUCCESS}
    assert any(logged in line for line in seen.log[1:]) if logged else len(seen.log) == 1


@pytest.mark.parametrize(
    "reply", [frame(FrameKind.FAILED, reason="not-kept"), frame(FrameKind.SECRET, secret=b"x"), granted()]
)
def test_s64_a_password_that_is_not_kept_is_no_success(attempt: Try, reply: Frame) -> None:
    secret = frame(FrameKind.SECRET, secret=b"correct horse")
    seen, _ = attempt(granted(), secret, reply, answers=[typed(PASSCODE)], auth=OPENED)
    assert seen.status == {"authenticate": AUTHINFO_UNAVAIL}


def test_s64_nothing_is_kept_for_a_refused_user(attempt: Try) -> None:
    done = frame(FrameKind.DONE)
    seen, agent = attempt(done, answers=[typed(PASSCODE)], auth=OPENED[1:])
    assert (seen.status, agent.requests) == ({"authenticate": AUTH_ERR}, [])
    seen, agent = attempt(denied(), done, answers=[typed(PASSCODE)], auth=["optional SOCKET os_password", OPENED[1]])
    assert (seen.status, len(agent.requests)) == ({"authenticate": AUTH_ERR}, 1)
    # without os_password the connection is closed at once, so it takes no slot at the agent
    seen, agent = attempt(granted(), done, answers=[typed(PASSCODE)], auth=["requisite SOCKET", OPENED[1]])
    assert (seen.status, len(agent.requests)) == ({"authenticate": AUTHINFO_UNAVAIL}, 1)
    assert "os_password" in seen.log[1]


def test_nothing_that_was_typed_stays_in_memory_or_goes_to_the_log(attempt: Try) -> None:
    passcode, pin = "pass".ljust(48, "-") + "CODECODE", "pin".ljust(48, "+") + "PINPIN"
    secret = frame(FrameKind.SECRET, secret=b"opened".ljust(48, b"~") + b"PASSWORD")
    looked_for = [passcode[-24:], pin[-24:]]
    steps = ("authenticate", *(f"memory={each.encode().hex()}" for each in looked_for), "inherited")
    answers = [typed(passcode), typed(pin)]
    seen, _ = attempt(
        asks("new-pin"),
        granted(),
        secret,
        answers=answers,
        steps=steps,
        plain=True,
        auth=["required SOCKET os_password"],
    )
    assert list(seen.status.values()) == [SUCCESS, 0, 0, 0]
    assert not any(each in line for line in seen.log for each in (passcode, pin, "PASSWORD"))
    for reply in (denied(), asks("new-pin", reply_to="x" * 300)):
        seen, _ = attempt(reply, answers=answers, steps=steps, plain=True)
        assert list(seen.status.values())[1:] == [0, 0, 0]


def test_the_search_of_memory_finds_a_known_secret(attempt: Try) -> None:
    name = "the name of somebody that stays in memory"
    seen, _ = attempt(denied(), answers=[typed("x")], user=name, steps=(f"memory={name.encode().hex()}",), plain=True)
    assert next(iter(seen.status.values())) > 0
