"""The configuration of this computer: its options, and its errors."""

from pathlib import Path

import pytest

from sparekey.agent.platform.configuration import (
    BadConfiguration,
    Configuration,
    load_configuration,
    read_configuration,
)
from tools.tree import ROOT

TEMPLATE = ROOT / "packaging/agent.toml"
EVERYTHING = """
socket = "/run/elsewhere/agent.sock"
tpm = "required"
purposes = ["disk"]
exempt_group = "wheel"
motd = ""
desktop_notices = false
unmapped_names = "same"

[names]
admin = "alice"
"b.o'b" = "bob"
"""


def test_every_option_of_the_configuration_is_read() -> None:
    read = read_configuration(EVERYTHING, "agent.toml")
    assert (read.socket, read.tpm, read.motd) == (Path("/run/elsewhere/agent.sock"), "required", None)
    assert (read.exempt_group, read.desktop_notices, read.purposes) == ("wheel", False, frozenset({"disk"}))
    assert [read.names.find_login(each) for each in ("admin", "b.o'b", "carol")] == ["alice", "bob", "carol"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n\nsockte = '/x'", "agent.toml, line 3: sockte is not a setting; the settings are desktop_notices, "),
        ("socket = 'x'", "line 1: socket must be an absolute path in quotes"),
        ("motd = 'x'", "line 1: motd must be an absolute path"),
        ("tpm = true", 'line 1: tpm must be "auto", "required", "off" or the name of a TPM'),
        ("tpm = 'maybe'", "tpm must be"),
        ("desktop_notices = 'yes'", "line 1: desktop_notices must be true or false"),
        ("exempt_group = ''", "exempt_group must be a name"),
        ("purposes = 'disk'", "purposes must be a list"),
        ("purposes = ['Disk']", "purposes must be a list of names: a purpose has"),
        ("unmapped_names = 'no'", 'unmapped_names must be "refused" or "same"'),
        ("names = 'alice'", "line 1: names must be a table"),
        ("[names]\nadmin = 1", "line 2: admin must be a name in quotes"),
        ("[names]\nadmin = ''", "line 2: admin must be a name"),
        ('[names]\nadmin = "a\\u0000b"', "line 2: admin must be a name"),
        ('[names]\n"" = "x"', "cannot be the name of an account"),
        ("[names]\nmotd = '/x'", "line 2: motd must be above the line [names]"),
        ("[names]\nadmin = 'a'\nadmin = 'b'\n", "line 3"),
        ("socket = \n", "line 1"),
        ("[name]\nadmin = 'alice'", "line 1: name is not a setting"),
    ],
)
def test_s66_an_unexpected_entry_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(BadConfiguration) as caught:
        read_configuration(text, "agent.toml")
    assert words in str(caught.value)
    assert str(caught.value).startswith("agent.toml")


def test_s66_an_empty_map_of_names_grants_no_user() -> None:
    for text in ("[names]", "unmapped_names = 'refused'"):
        names = read_configuration(text, "agent.toml").names
        assert names.find_login("alice") is None
        assert names.has_no_logins


def test_without_a_file_everything_is_as_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparekey.agent.platform.configuration.CONFIGURATION", tmp_path / "agent.toml")
    assert load_configuration(None) == Configuration()
    with pytest.raises(BadConfiguration, match="this file does not exist"):
        load_configuration(tmp_path / "agent.toml")


def test_s26_a_configuration_that_others_may_write_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("motd = ''")
    path.chmod(0o644)
    assert load_configuration(path).motd is None
    for mode in (0o664, 0o646):
        path.chmod(mode)
        with pytest.raises(BadConfiguration, match="others can write it"):
            load_configuration(path)
    with pytest.raises(BadConfiguration, match="not a file"):
        load_configuration(tmp_path)


def test_the_template_sets_nothing_and_shows_everything() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    assert read_configuration(text, "agent.toml") == Configuration()
    shown = "\n".join(line.removeprefix("#") for line in text.splitlines() if line.startswith("#") and line[1:2] != " ")
    read = read_configuration(shown, "agent.toml")
    assert read.names.find_login("root") == "alice"
    for key in ("socket", "tpm", "purposes", "exempt_group", "motd", "desktop_notices", "unmapped_names"):
        assert f"\n#{key} = " in text, key
