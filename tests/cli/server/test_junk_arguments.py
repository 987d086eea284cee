"""Whatever is typed after `sparekey`: an answer or a sentence, exit 0, 1 or 2, never a traceback."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.server.commands import Operator, sparekey

COMMANDS = [
    "user",
    "token",
    "policy",
    "offline",
    "emergency",
    "passcode",
    "device",
    "client",
    "audit",
    "domain",
    "add",
    "list",
    "show",
    "set",
    "set-pin",
    "reset",
    "online",
    "held",
    "history",
    "verify",
    "invite",
    "revoke",
    "assign",
    "effective",
    "config",
    "check",
    "version",
    "doctor",
    "login",
    "logout",
]
OPTIONS = [
    "--user",
    "--domain",
    "--device",
    "--caller",
    "--json",
    "--help",
    "--on",
    "--limit",
    "--qr",
    "--confirm",
    "--show-seed",
    "--seed-stdin",
    "--expires",
    "--server",
    "--as",
    "--ca",
    "--",
]
VALUES = ["alice", "T1", "Default", "days=3", "=", "", "-", "0", "-1", "9" * 20, "\x00", "\ud800", "' OR 1=1"]
WORDS = st.sampled_from([*COMMANDS, *OPTIONS, *VALUES])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a server with a user and a token. Junk may change it."""
    operator = Operator(tmp_path_factory.mktemp("junk") / "data")
    operator.runs("init")
    operator.runs("user", "add", "alice")
    operator.runs("token", "add", "--user", "alice", "--serial", "T1", "--show-seed")
    return operator.data


@given(arguments=st.lists(WORDS | st.text(max_size=12), max_size=7))
def test_junk_is_answered(data: Path, arguments: list[str]) -> None:
    said = sparekey("--data", str(data), *arguments)
    assert said.code in (0, 1, 2), said
    assert "Traceback" not in said.words
    assert said.code != 1 or "nobody foresaw" not in said.words, said
    assert said.code == 0 or said.words
