"""The packages' scripts: refusals and messages, run with stand-ins for the commands that they call."""

import os
import subprocess
from pathlib import Path

import pytest

from tools.tree import ROOT

DEBIAN = ROOT / "packaging/deb/debian"
LINE = "auth required pam_sparekey.so\n"

pytestmark = pytest.mark.services


def run(script: str, how: str, root: Path, **answers: str) -> tuple[int, str, list[str]]:
    """Run the script; return exit status, output, and the calls of the commands in `answers`, which print the given
    text."""
    programs, called = root / "programs", root / "called"
    programs.mkdir()
    called.touch()
    for name, answer in answers.items():
        program = programs / name.replace("_", "-")
        program.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >> {called}\nprintf %s "{answer}"\n', encoding="utf-8")
        program.chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "DPKG_ROOT": str(root)}
    done = subprocess.run(["sh", DEBIAN / script, how], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr, called.read_text(encoding="utf-8").splitlines()


def stack(root: Path, path: str, text: str = LINE) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("path", ["etc/pam.d/by-hand", "usr/lib/pam.d/vendor", "etc/pam.conf"])
def test_the_module_stays_while_a_stack_names_it(tmp_path: Path, path: str) -> None:
    stack(tmp_path, path)
    status, said, called = run("sparekey-agent.prerm", "remove", tmp_path, pam_auth_update="")
    assert (status, called) == (1, [])
    assert f"  {tmp_path / path}\n" in said
    assert "pam-auth-update --force --disable sparekey sparekey-second" in said


def test_the_module_is_removed_if_only_unread_files_name_it(tmp_path: Path) -> None:
    stack(tmp_path, "usr/lib/pam.d/sshd")
    stack(tmp_path, "etc/pam.d/sshd", "auth required pam_unix.so\n")
    stack(tmp_path, "etc/pam.d/sudo", f"# {LINE}")
    stack(tmp_path, "etc/pam.d/su.dpkg-old")
    assert run("sparekey-agent.prerm", "remove", tmp_path, pam_auth_update="", sparekey_agent="")[::2] == (
        0,
        ["pam-auth-update --package --remove sparekey sparekey-second", "sparekey-agent status --json"],
    )


@pytest.mark.parametrize("uid", [0, 1000, 60_000])
def test_the_server_takes_no_account_of_a_person(tmp_path: Path, uid: int) -> None:
    account = f"sparekey:x:{uid}:{uid}::/srv/sparekey:/bin/bash"
    status, said, called = run(
        "sparekey-server.postinst", "configure", tmp_path, getent=account, adduser="", install=""
    )
    assert status == 1
    assert f"(uid {uid}) belongs to a person" in said
    assert called == ["getent passwd sparekey"]


@pytest.mark.parametrize(("account", "made"), [("", True), ("sparekey:x:998:998::/var/lib/sparekey:/bin/false", False)])
def test_the_server_s_account_is_made_once(tmp_path: Path, account: str, made: bool) -> None:
    status, said, called = run(
        "sparekey-server.postinst", "configure", tmp_path, getent=account, adduser="", install=""
    )
    assert status == 0, said
    assert any(line.startswith("adduser --quiet --system") for line in called) is made
    assert called[-1] == "install -d -o sparekey -g sparekey -m 700 /var/lib/sparekey"
    assert " init --listen 0.0.0.0:8443 --name login.example.org\n" in said  # can be typed as it stands


def test_a_removal_names_the_command_that_ends_the_device_at_the_server(tmp_path: Path) -> None:
    status, said, _ = run(
        "sparekey-agent.prerm",
        "remove",
        tmp_path,
        pam_auth_update="",
        sparekey_agent=r"{\"name\": \"Alice\u0027s\u005cnew laptop\"}",
    )
    assert (status, said.splitlines()[-1]) == (0, """  sparekey device revoke 'Alice'"'"'s\\new laptop'""")


def test_a_purge_keeps_and_reports_a_group_with_members(tmp_path: Path) -> None:
    group = "sparekey-exempt:x:990:rescue,backup"
    status, said, called = run("sparekey-agent.postrm", "purge", tmp_path, getent=group, delgroup="")
    assert status == 0
    assert "delgroup --quiet --system --only-if-empty sparekey-exempt" in called
    assert "stays, because it has members (rescue,backup)" in said


def test_a_purge_names_the_counter_that_stays_in_the_tpm(tmp_path: Path) -> None:
    stack(tmp_path, "var/lib/sparekey-agent/store.tpm", '{"tcti":"x","counter_index":25382930,"counter_name":"00"}')
    status, said, _ = run("sparekey-agent.postrm", "purge", tmp_path, getent="", delgroup="")
    assert status == 0
    assert "tpm2_nvundefine -C o 0x1835012 removes it" in said
    assert not (tmp_path / "var/lib/sparekey-agent").exists()
