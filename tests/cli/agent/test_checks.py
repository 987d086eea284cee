"""The findings of `doctor` about the computer around the agent."""

from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.ground.account_names import Names
from sparekey.agent.platform.pam_stacks import Stack
from sparekey.cli.agent import checks
from sparekey.cli.agent.checks import CheckResult, of_exempt, of_logins, of_module, of_names, of_service, of_socket
from sparekey.wiring.agent import pam_texts
from tests.native.built import pam_module

ASKS = Stack("sshd", True, "pam_sparekey.so", exempt_group=True, exempt_console=False)
ASKS_ALL = Stack("sudo", True, "pam_sparekey.so", exempt_group=False, exempt_console=False)
CRON = Stack("cron", False, "", exempt_group=False, exempt_console=False)


def test_stacks_are_read_where_libpam_reads_them(tmp_path: Path) -> None:
    for place, services in {"lib": ("sshd", "vendor"), "etc": ("sshd", "su")}.items():
        (tmp_path / place).mkdir()
        for service in services:
            (tmp_path / place / service).write_text(place, encoding="utf-8")
    directories = [tmp_path / "lib", tmp_path / "etc", tmp_path / "nowhere"]
    assert pam_texts(directories) == {"sshd": "etc", "su": "etc", "vendor": "lib"}


def test_the_logins_that_ask_are_named() -> None:
    assert of_logins([ASKS], ["sshd: x", "su: y"]) == CheckResult("logins", False, "sshd: x; su: y")
    remote_desktop = of_logins([ASKS], taken_for_local=["xrdp-sesman"])
    assert (remote_desktop.ok, "add remote=xrdp-sesman to the line" in remote_desktop.words) == (False, True)
    assert "none asks" in of_logins([CRON]).words
    found = of_logins([ASKS, CRON])
    assert found.words == "1 service asks for the passcode: sshd; 1 does not: cron"
    assert found.more == "sshd asks for the passcode; these do not: cron"


def test_many_logins_are_named_in_short() -> None:
    names = [
        "atd",
        "chfn",
        "chsh",
        "cron",
        "newusers",
        "other",
        "sshd",
        "su",
        "su-l",
        "sudo",
        "sudo-i",
        "vsftpd",
        "xdm",
    ]
    found = of_logins([replace(ASKS, service=name) for name in names])
    assert found.words == (
        "13 services ask for the passcode: sshd, su (2), sudo (2), atd, chfn, chsh, cron, newusers and 3 more "
        "(--json names all)"
    )
    assert all(name in found.more.split(" ask ")[0].split(", ") for name in names)


def test_the_document_is_where_the_package_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "linux-login.md"
    monkeypatch.setattr(checks, "_INSTALLED", installed)
    assert of_logins([CRON]).words.endswith(" docs/linux-login.md")
    installed.touch()
    assert of_logins([CRON]).words.endswith(f" {installed}")


def test_a_missing_module_matters_where_a_login_needs_it() -> None:
    assert of_module([CRON], "pam_sparekey.so is not there").ok
    assert not of_module([ASKS], "pam_sparekey.so is not there").ok
    assert of_module([ASKS], "").ok


@pytest.mark.services
def test_the_real_module_is_loaded(tmp_path: Path) -> None:
    assert checks._why_not_loaded(pam_module()) == ""
    assert "does not exist" in checks._why_not_loaded(None)
    (tmp_path / "pam_sparekey.so").write_text("no library")
    assert "cannot be loaded" in checks._why_not_loaded(tmp_path / "pam_sparekey.so")
    assert "no PAM module" in checks._why_not_loaded(next(Path("/usr/lib").glob("*/libpam.so.0")))


def test_modules_are_looked_for_where_libpam_looks(tmp_path: Path) -> None:
    assert checks._module_exists("pam_unix.so")
    assert not checks._module_exists("pam_sparkey.so")
    there = tmp_path / "pam_x.so"
    assert not checks._module_exists(str(there))
    there.touch()
    assert checks._module_exists(str(there))


def test_exempt_accounts_are_named_and_missed() -> None:
    assert of_exempt([ASKS], ["rescue"], "sparekey-exempt", exists=True).words == "rescue"
    assert not of_exempt([ASKS], [], "sparekey-exempt", exists=False).ok
    assert of_exempt([CRON], [], "sparekey-exempt", exists=False).ok
    assert "keep one for the day" in of_exempt([ASKS], [], "sparekey-exempt", exists=True).words
    assert (
        "sudo ask members of sparekey-exempt" in of_exempt([ASKS_ALL], ["rescue"], "sparekey-exempt", exists=True).words
    )


def test_names_that_lead_nowhere_are_found() -> None:
    assert of_names(Names(), []).ok
    assert not of_names(Names(same=False), []).ok
    mapped = Names({"admin": "alice"}, same=False)
    assert of_names(mapped, []).words == "1 mapped; other accounts have no login"
    assert not of_names(mapped, ["admin"]).ok


def test_a_service_that_does_not_start_with_the_computer_is_found() -> None:
    assert of_service("enabled").ok
    assert of_service("").ok
    assert not of_service("disabled").ok


def test_a_socket_elsewhere_needs_an_option_of_the_module() -> None:
    assert "option" not in of_socket(Path("/run/sparekey-agent/agent.sock")).words
    assert "socket=/srv/agent.sock" in of_socket(Path("/srv/agent.sock")).words
