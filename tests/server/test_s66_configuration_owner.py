"""S66: settings come from the user who runs the server, and an empty variable is no setting."""

import os
import pwd
from pathlib import Path

import pytest

from sparekey.clock import now as clock_now
from sparekey.core.errors import BadInput
from sparekey.secret import Secret
from sparekey.server.settings import FILE, SETTINGS, Setting, SettingsError, read_settings
from sparekey.wiring.server import NewServer, create_server
from tests.builders import ROOT

NOBODY = pwd.getpwnam("nobody").pw_uid


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)
def test_s66_an_empty_variable_is_refused(tmp_path: Path, setting: Setting) -> None:
    """A variable that was to name the database, and is empty, must not lead to another database."""
    path = tmp_path / FILE
    path.write_text('database = "postgresql://sparekey@db.example/sparekey"\n')
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=setting.variable):
        read_settings(tmp_path, {setting.variable: ""})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_s66_settings_of_another_user_are_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_text('log_level = "debug"\n')
    path.chmod(0o600)
    os.chown(path, 1234, -1)
    with pytest.raises(
        SettingsError, match=f"another user; give it back to the directory's owner, as root: chown 0 {path}"
    ):
        read_settings(tmp_path, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
@pytest.mark.parametrize(
    ("owner", "do"),
    [(NOBODY, "run: runuser -u nobody -- sparekey --data {} ..."), (54_321, "run as its owner, user 54321")],
)
def test_s66_root_gives_the_settings_to_the_directory_s_owner(tmp_path: Path, owner: int, do: str) -> None:
    path = tmp_path / FILE
    path.write_text('log_level = "debug"\n')
    path.chmod(0o600)
    for each in (path, tmp_path):
        os.chown(each, owner, -1)
    with pytest.raises(SettingsError, match="another user") as refused:
        read_settings(tmp_path, {})
    assert refused.value.do == do.format(tmp_path)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_s66_no_server_is_made_where_others_may_put_files(tmp_path: Path, mode: int) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(mode)
    with pytest.raises(BadInput, match="others"):
        create_server(data, NewServer(Secret("")), ROOT, clock_now())
    assert not list(data.iterdir())
