"""Every command that an output suggests next can be typed unchanged."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparekey.cli.server.command import Call
from sparekey.cli.server.service_manager import unit_for
from tests.cli.server.commands import Operator
from tools.tree import ROOT

NOBODY = pwd.getpwnam("nobody").pw_uid  # without a shell, as the service's account


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    before = os.geteuid()
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def of_nobody() -> Iterator[Path]:
    """A directory that the user `nobody` owns and can reach."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, NOBODY, -1)
        yield Path(name)


def step_after_a_token(operator: Operator) -> str:
    operator.runs("user", "add", "alice")
    added = operator.sees("token", "add", "--user", "alice", "--serial", "T1", "--show-seed")
    return added.words.strip().partition(" Set its PIN: ")[2]


def test_the_owner_of_a_server_types_suggested_commands_unchanged(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data")
    made = operator.sees("init").words.splitlines()
    assert made[1].startswith(f"Its CA ({operator.data}/keys/ca.pem) can issue certificates only for: localhost, ")
    assert made[2:] == [
        f"Next: sparekey --data {operator.data} serve",
        f"Then make the first administrator: sparekey --data {operator.data} admin link",
    ]
    assert step_after_a_token(operator) == f"sparekey --data {operator.data} token set-pin T1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_root_is_shown_how_to_run_commands_of_the_service(of_nobody: Path) -> None:
    operator = Operator(of_nobody / "data")
    operator.sees("init")
    for each in (operator.data, *operator.data.rglob("*")):
        os.chown(each, NOBODY, -1)
    with acting_as(NOBODY):  # no whole command: the user `nobody` may not be able to read this program
        again = Call(data=str(operator.data)).again
    assert again == f"runuser -u nobody -- sparekey --data {operator.data}"
    forgotten = operator.fails("user", "list").words
    assert f"Run: {again} ..." in forgotten
    assert "chown" not in forgotten


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can do so")
def test_root_makes_no_server_that_the_service_cannot_read(of_nobody: Path) -> None:
    refused = Operator(of_nobody).fails("init", "--listen", "0.0.0.0:8443")
    assert refused.json["do"] == f"run: runuser -u nobody -- sparekey --data {of_nobody} init ..."
    assert [*of_nobody.iterdir()] == []


@pytest.mark.parametrize("booted", [True, False])
def test_the_next_step_is_the_service_manager_s_where_that_runs_the_server(tmp_path: Path, booted: bool) -> None:
    units, data = tmp_path / "usr/lib/systemd/system", Path("/var/lib/sparekey")
    assert unit_for(data, tmp_path) == ""
    units.mkdir(parents=True)
    shutil.copy(ROOT / "packaging/systemd/sparekey-server.service", units)
    if booted:
        (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert unit_for(data, tmp_path) == ("sparekey-server" if booted else "")
    assert unit_for(tmp_path / "another", tmp_path) == ""


@pytest.mark.parametrize(
    ("typed", "placeholder"),
    [
        (("--listen", "HOST:8443", "--name", "NAME"), "HOST"),
        (("--listen", "0.0.0.0:8443", "--name", "login.example.org", "--name", "NAME"), "NAME"),
        (("--listen", "HOST:PORT"), "HOST"),
    ],
)
def test_no_server_is_made_of_placeholders(tmp_path: Path, typed: tuple[str, ...], placeholder: str) -> None:
    operator = Operator(tmp_path / "data")
    assert operator.fails("init", *typed).json["message"].startswith(f"{placeholder} is a placeholder for ")
    assert not operator.data.exists()
    operator.runs("init", "--listen", "0.0.0.0:8443", "--name", "host", "--name", "name.example.org")


def test_a_cleared_pin_explains_the_next_sign_in(operator: Operator) -> None:
    step_after_a_token(operator)
    operator.runs("token", "set-pin", "T1", typed="4711abcd\n")
    assert "types the tokencode alone and chooses a new PIN" in operator.sees("token", "clear-pin", "T1").words
