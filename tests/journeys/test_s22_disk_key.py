"""S22 with a real disk: a LUKS container whose key is kept behind Alice's passcode, through the shipped keyscript."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparekey.app.tokens.tokens import set_pin
from sparekey.secret import Secret
from tests.builders import ROOT
from tests.journeys.site import Site, a_site
from tools.story.stage import PROGRAMS
from tools.tree import ROOT as TREE

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="needs cryptsetup (Debian: cryptsetup-bin)"),
]

KEYSCRIPT = TREE / "packaging" / "cryptsetup" / "keyscript"
CHOSEN = "97531864"


@dataclass
class Laptop:
    """A device with a container. Its programs find an agent of this store and an askpass that types."""

    site: Site
    directory: Path

    @property
    def container(self) -> Path:
        return self.directory / "disk"

    def run(self, *line: str, typed: str = "") -> "subprocess.CompletedProcess[bytes]":
        path = f"{self.directory / 'bin'}:{os.environ['PATH']}"
        env = {**os.environ, **self.site.device.time.env, "PATH": path, "TYPED": typed}
        env["SPAREKEY_ASKPASS"] = str(self.directory / "bin" / "askpass")
        return subprocess.run(line, input=typed.encode(), env=env, capture_output=True, timeout=120, check=False)

    def key_for(self, typed: str) -> bytes:
        """Return the keyscript's output for this passcode. Check that it is empty exactly after a failure."""
        done = self.run(str(KEYSCRIPT), "alice:disk", typed=typed)
        assert (done.returncode == 0) == bool(done.stdout), done.stderr
        return done.stdout

    def opens(self, typed: str) -> bool:
        """Return True if the disk opens. The key goes straight from one program to the other."""
        opened = f'cryptsetup open --test-passphrase --disable-locks --key-file - "{self.container}"'
        line = f'"{KEYSCRIPT}" alice:disk | {opened}'
        return self.run("sh", "-c", line, typed=typed).returncode == 0


def a_laptop(site: Site, directory: Path) -> Laptop:
    (directory / "bin").mkdir()
    configuration = directory / "agent.toml"
    configuration.write_text('purposes = ["disk"]\n', encoding="utf-8")
    where = f'--state "{site.state_directory}" --config "{configuration}"'
    programs = {
        "sparekey-agent": f'exec "{PROGRAMS / "sparekey-agent"}" "$@" {where}',
        "askpass": 'printf %s "$TYPED"',
    }
    for name, text in programs.items():
        program = directory / "bin" / name
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        program.chmod(0o755)
    return Laptop(site, directory)


def with_a_kept_key(laptop: Laptop) -> None:
    """Make the only key of a new container, online and by the agent."""
    made = laptop.run(
        "sparekey-agent", "keep-key", "alice", "disk", "--generate", "64", typed=laptop.site.passcode() + "\n"
    )
    assert (made.returncode, len(made.stdout)) == (0, 64), made.stderr
    laptop.container.touch()
    os.truncate(laptop.container, 20 << 20)
    cheap = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--disable-locks")  # the key is 64 random bytes
    line = (
        "cryptsetup",
        "luksFormat",
        "--batch-mode",
        "--type",
        "luks2",
        *cheap,
        "--key-file",
        "-",
        str(laptop.container),
    )
    formatted = subprocess.run(line, input=made.stdout, capture_output=True, timeout=120, check=False)
    assert formatted.returncode == 0, formatted.stderr


def test_s22_a_disk_opens_for_a_passcode_without_any_network(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        site.login(site.passcode(), mode="online")
        site.next_interval()
        laptop = a_laptop(site, tmp_path)
        with_a_kept_key(laptop)
        site.device.agent("sync")
        site.cable.unplug()
        site.next_interval()
        assert not laptop.opens(site.wrong_passcode())
        typed = site.passcode()  # once: half a minute later there is another
        assert laptop.opens(typed)
        assert laptop.key_for(typed) == b""  # it was used
        after_a_new_pin(laptop)


def after_a_new_pin(laptop: Laptop) -> None:
    """Set another PIN at the help desk. The device learns of it; Alice signs in only after the network fails."""
    site = laptop.site
    before = site.passcode()[: -site.alice.totp.digits]
    site.cable.plug()
    set_pin(site.instance, ROOT, site.alice.serial, Secret(CHOSEN), must_change=False, now=site.now)
    site.device.agent("sync")
    site.cable.unplug()
    site.next_interval()
    code = site.alice.totp.code(site.alice.step(site.now))
    assert not laptop.opens(before + code)
    assert laptop.opens(CHOSEN + code)
