"""The PAM profiles and examples of the agent, and their description in the administrator's document."""

import re

from sparekey.agent.platform.configuration import EXEMPT_GROUP
from sparekey.agent.platform.pam_stacks import SILENT_SERVICES, find_taken_for_local, read_stacks
from tools.tree import ROOT

PROFILES = ROOT / "packaging/pam"
DOCUMENT = ROOT / "docs/linux-login.md"


def lines_of(profile: str) -> str:
    """The authentication lines that `pam-auth-update` takes from a profile."""
    text = (PROFILES / profile).read_text(encoding="utf-8")
    return "\n".join(f"auth {line.strip()}" for line in text.partition("\nAuth:\n")[2].splitlines())


def test_profiles_are_off_by_default() -> None:
    for profile in ("sparekey", "sparekey-second"):
        assert "\nDefault: no\n" in (PROFILES / profile).read_text(encoding="utf-8")


def test_the_lines_of_both_profiles_are_those_that_status_knows() -> None:
    for profile in ("sparekey", "sparekey-second"):
        (login,) = read_stacks({"login": lines_of(profile).replace("=end", "=1")}, EXEMPT_GROUP)
        assert (login.asks, login.exempt_group, login.exempt_console) == (True, True, True)


def test_every_example_admits_exempt_accounts_and_is_explained() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    for example in sorted((PROFILES / "examples").iterdir()):
        (stack,) = read_stacks({"example": example.read_text(encoding="utf-8")}, EXEMPT_GROUP)
        assert (stack.asks, stack.exempt_group) == (True, True), example.name
        assert f"| `{example.name}` |" in document


def test_no_shipped_line_grants_on_an_error() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PROFILES.rglob("*") if path.is_file()]
    lines = [line for text in texts for line in text.splitlines() if "pam_sparekey.so" in line and line[:1] != "#"]
    assert len(lines) >= 6
    for line in lines:
        if "keep_os_password" not in line:
            assert re.search(r"\[success=(end|done) default=die\]|\brequisite\b", line), line


def test_the_document_has_the_commands_of_the_journey() -> None:
    journey = (ROOT / "tests/journeys/linux/test_first_install.py").read_text(encoding="utf-8")
    document = DOCUMENT.read_text(encoding="utf-8")
    for step in ("pamtester sparekey-trial", "pam-auth-update --enable sparekey", "pam-auth-update --disable sparekey"):
        assert step in journey, step
        assert step in document, step


def test_no_shipped_line_of_all_services_takes_a_remote_desktop_for_the_console() -> None:
    for profile in ("sparekey", "sparekey-second"):
        assert find_taken_for_local({service: lines_of(profile) for service in SILENT_SERVICES}) == []
    by_hand = (PROFILES / "examples/os-password").read_text(encoding="utf-8")
    (line,) = [line for line in by_hand.splitlines() if "pam_sparekey.so os_password" in line]
    assert " remote=xrdp-sesman" in line
