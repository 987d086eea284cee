"""What the stacks of a computer say about the passcode, read as PAM reads them."""

import pytest

from sparekey.agent.pam_stacks import Stack, read_stacks, rules_of

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


def test_files_that_include_one_another_come_to_an_end() -> None:
    assert not stacks(a="@include b", b="@include a\n@include nowhere\n@include")["a"].asks
