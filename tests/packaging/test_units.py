"""The units as systemd reads them: well-formed, the agent's before every login, with little of the machine in reach."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tools.tree import ROOT

pytestmark = pytest.mark.services

UNIT = ROOT / "packaging/systemd/sparekey-agent.service"
USER_UNITS = ROOT / "packaging/systemd/user"
SERVER_UNIT = UNIT.with_name("sparekey-server.service")
CA_KEY = ROOT / "packaging/systemd/examples/ca-key.conf"
MOST_EXPOSED = 25  # of 100, by systemd's own measure


def with_a_program(unit: Path, directory: Path) -> Path:
    """Return the unit as on a computer with the package: its program and its manual exist."""
    text = re.sub(r"/usr/bin/sparekey(-agent)?", "/bin/true", unit.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if not line.startswith("Documentation=")]
    there = directory / unit.name
    there.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return there


def analyze(*arguments: str, runtime: Path = Path("/nonexistent")) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": os.defpath, "XDG_RUNTIME_DIR": str(runtime), "HOME": "/nonexistent"}
    line = ["systemd-analyze", *arguments]
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("unit", [UNIT, SERVER_UNIT], ids=["agent", "server"])
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path, tmp_path: Path) -> None:
    done = analyze("verify", "--recursive-errors=no", str(with_a_program(unit, tmp_path)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_example_that_keeps_the_ca_s_key_apart_fits_the_unit(tmp_path: Path) -> None:
    unit, example = SERVER_UNIT.read_text(encoding="utf-8"), CA_KEY.read_text(encoding="utf-8")
    (starts,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    lines = [line for line in example.splitlines() if not line.startswith("#")]
    key = "StandardInput=file:/etc/sparekey-server/ca-key.pem"
    assert lines == ["[Service]", key, "ExecStart=", f"{starts} --ca-key-stdin"]
    both = tmp_path / "both" / SERVER_UNIT.name
    both.parent.mkdir()
    both.write_text(f"{unit}\n{example}", encoding="utf-8")
    done = analyze("verify", "--recursive-errors=no", str(with_a_program(both, tmp_path)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", [UNIT, SERVER_UNIT], ids=["agent", "server"])
def test_the_daemon_reaches_little_of_the_machine(unit: Path, tmp_path: Path) -> None:
    there = with_a_program(unit, tmp_path)
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(there))
    assert done.returncode == 0, done.stdout[-400:]


def test_the_unit_starts_before_every_service_that_asks_for_a_passcode() -> None:
    text = UNIT.read_text(encoding="utf-8")
    before = next(line for line in text.splitlines() if line.startswith("Before=")).partition("=")[2].split()
    assert {"systemd-user-sessions.service", "getty.target", "display-manager.service", "ssh.service"} <= set(before)
    ordered = [line for line in text.splitlines() if line.startswith(("After=", "Wants=", "Requires="))]
    assert not any("network" in line for line in ordered)


def test_the_unit_is_in_no_dependency_cycle_at_boot(tmp_path: Path) -> None:
    """A circle is broken by leaving something out, logins or this agent."""
    started = "ssh.socket ssh.service getty.target systemd-user-sessions.service sockets.target basic.target"
    trial = tmp_path / "trial.target"
    trial.write_text(f"[Unit]\nDescription=trial\nWants={UNIT.name} {started}\nAfter={UNIT.name} {started}\n")
    done = analyze("verify", "--recursive-errors=yes", str(trial), str(with_a_program(UNIT, tmp_path)))
    assert "cycle" not in done.stderr, done.stderr


def test_systemd_finds_nothing_wrong_with_the_units_of_users(tmp_path: Path) -> None:
    units = [with_a_program(unit, tmp_path) for unit in sorted(USER_UNITS.iterdir())]
    assert [unit.name for unit in units] == ["sparekey-notice.service", "sparekey-notice.timer"]
    done = analyze("--user", "verify", "--recursive-errors=no", *map(str, units), runtime=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
