"""The PAM stacks of a computer, read as PAM reads them."""

import re
from pathlib import Path

import pytest

from sparekey.agent.platform.pam_stacks import (
    FLAGS,
    VALUES,
    Stack,
    find_mistakes,
    find_taken_for_local,
    read_stacks,
    rules_of,
)

GROUP = "auth [success=2 default=ignore] pam_succeed_if.so quiet user ingroup sparekey-exempt"
CONSOLE = "auth\t[success=1 default=ignore]\tpam_succeed_if.so quiet uid = 0 service = login tty !~ pts/*"
OURS = "auth [success=1 default=die] pam_sparekey.so timeout=60"
UNIX = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so"
SHIPPED = "\n".join((GROUP, CONSOLE, OURS, UNIX))


def stacks(**texts: str) -> dict[str, Stack]:
    named = {name.replace("_", "-"): text for name, text in texts.items()}
    return {stack.service: stack for stack in read_stacks(named, "sparekey-exempt")}


def test_the_shipped_lines_are_known_in_every_service_that_includes_them() -> None:
    login = "auth optional pam_faildelay.so\n@include common-auth\n"
    read = stacks(
        common_auth=SHIPPED,
        login=login,
        sshd="auth include common-auth",
        sudo="auth substack common-auth",
        cron="auth required pam_env.so",
    )
    assert [name for name, stack in read.items() if stack.asks] == ["login", "sshd", "sudo"]
    assert read["login"] == Stack("login", True, "pam_sparekey.so", exempt_group=True, exempt_console=True)
    assert read["sshd"] == Stack("sshd", True, "pam_sparekey.so", exempt_group=True, exempt_console=False)
    assert not read["cron"].asks


@pytest.mark.parametrize(
    ("auth", "group", "console"),
    [
        ("\n".join((CONSOLE, OURS)), False, True),
        (OURS, False, False),
        (f"#{GROUP}\n{OURS}", False, False),
        ("\n".join((GROUP.replace("=2", "=1"), OURS)), True, False),
        ("\n".join((GROUP, OURS)), False, False),  # leads past more than ours, to who knows where
        ("\n".join((GROUP, CONSOLE, "auth required pam_env.so", OURS)), False, False),  # leads to ours
        ("\n".join((OURS, GROUP, CONSOLE)), False, False),
        (SHIPPED.replace("sparekey-exempt", "wheel"), False, True),
        (SHIPPED.replace("uid = 0", "uid >= 0"), True, False),  # another line, and not ours to interpret
        (GROUP.replace("[success=2 default=ignore]", "sufficient") + "\n" + OURS, False, False),
    ],
)
def test_only_the_shipped_lines_that_lead_past_ours_exempt(auth: str, *, group: bool, console: bool) -> None:
    read = stacks(login=auth)["login"]
    assert (read.asks, read.exempt_group, read.exempt_console) == (True, group, console)


def test_lines_go_on_and_comments_do_not_count() -> None:
    lines = (
        "auth required \\\n /lib/security/pam_sparekey.so # ours\n-auth optional pam_x.so\naccount required pam_y.so"
    )
    texts = {"su": lines}
    assert [rule.module for rule in rules_of("su", texts)] == ["/lib/security/pam_sparekey.so", "pam_x.so"]
    assert stacks(**texts)["su"].module == "/lib/security/pam_sparekey.so"


def test_a_comment_does_not_go_on_to_the_next_line() -> None:
    text = """# auth required pam_sparkey.so \\
auth required \\
  # in between \\
  pam_x.so # said \\
auth required pam_y.so"""
    assert [rule.module for rule in rules_of("su", {"su": text})] == ["pam_x.so", "pam_y.so"]


def mistakes(auth: str, *, there: tuple[str, ...] = ("pam_unix.so", "pam_deny.so", "pam_succeed_if.so")) -> list[str]:
    return find_mistakes(
        {"sshd": "@include common-auth", "su": "@include common-auth", "common-auth": auth}, there.__contains__
    )


def test_working_stacks_have_no_findings() -> None:
    assert mistakes(SHIPPED) == []
    every = "socket=/run/a timeout=600 [prompt=Your [new\\] code: ] use_first_pass os_password quiet"
    others = [f"auth required pam_sparekey.so {option}" for option in ("ask_os_password", "keep_os_password")]
    assert mistakes("\n".join([f"auth required pam_sparekey.so {every}", *others])) == []
    assert mistakes(f"{OURS}\n-auth required pam_x.so\nauth optional pam_y.so\nauth sufficient pam_z.so") == []
    assert mistakes("auth required pam_x.so") == []  # no stack of ours
    assert mistakes(f"# auth required pam_sparkey.so use_first_passs\n{SHIPPED}") == []


@pytest.mark.parametrize(
    "option",
    [
        "use_first_passs",
        "quiet=1",
        "timeout",
        "timeout=0",
        "timeout=601",
        "timeout=1s",
        "socket=run",
        "prompt=",
        "remote=",
        "remote=a,",
        "remote=a,,b",
        "[remote=a b]",
        "[timeout=60 quiet]",
        "socket=/" + 107 * "a",
    ],
)
@pytest.mark.parametrize("kind", ["auth", "account"])
def test_options_that_the_module_does_not_know_are_named_with_their_file(kind: str, option: str) -> None:
    word = option.strip("[]")
    said = f"common-auth: {word} is no option, so every sign-in is refused there; see pam_sparekey(8)"
    assert mistakes(f"{SHIPPED}\n{kind} required pam_sparekey.so quiet {option}") == [said]


def test_the_two_options_of_two_lines_stand_on_two() -> None:
    assert "on one line" in mistakes("auth required pam_sparekey.so os_password keep_os_password")[0]


def test_the_options_are_those_of_the_module() -> None:
    source = Path("native/pam/options.c").read_text(encoding="utf-8")
    assert set(re.findall(r'strcmp\(word, "(\w+)"\)', source)) == FLAGS
    assert set(re.findall(r'value_of\(word, "(\w+)"\)', source)) == VALUES


@pytest.mark.parametrize("name", ["pam_sparkey.so", "pam_sparekey", "/lib/security/pam_spare_key.so", "sparekey.so"])
def test_a_module_that_was_meant_to_be_ours_is_missed(name: str) -> None:
    alone = mistakes(f"auth required {name}")
    assert alone == [
        f"common-auth: there is no module {name}, so every sign-in is refused there; ours is pam_sparekey.so"
    ]
    ignored = mistakes(f"auth sufficient {name}")
    assert ignored == [f"common-auth: there is no module {name}; ours is pam_sparekey.so"]


@pytest.mark.parametrize("control", ["required", "requisite", "[success=1 default=die]"])
def test_a_module_that_is_missing_in_a_stack_that_asks_is_named(control: str) -> None:
    said = "common-auth: there is no module /opt/pam_x.so, so every sign-in is refused there"
    assert mistakes(f"{OURS}\nauth {control} /opt/pam_x.so") == [said]


def test_files_that_include_one_another_come_to_an_end() -> None:
    assert not stacks(a="@include b", b="@include a\n@include nowhere\n@include")["a"].asks


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("auth required pam_sparekey.so", ["xrdp-sesman"]),
        ("auth required pam_sparekey.so quiet remote=sshd", ["xrdp-sesman"]),
        ("auth required pam_sparekey.so remote", []),
        ("auth required pam_sparekey.so remote=vnc,XRDP-sesman", []),
        ("auth required pam_unix.so", []),
    ],
)
def test_a_remote_desktop_that_is_taken_for_the_console_is_named(line: str, found: list[str]) -> None:
    texts = {"common-auth": line, "xrdp-sesman": "@include common-auth", "sshd": "@include common-auth"}
    assert find_taken_for_local(texts) == found
