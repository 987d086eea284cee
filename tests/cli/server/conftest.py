"""An operator of a fresh server."""

import shutil
from pathlib import Path

import pytest

from tests.cli.server.commands import Operator


@pytest.fixture(scope="session")
def fresh_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data directory of a new server, made by `sparekey init`, to be copied."""
    directory = tmp_path_factory.mktemp("fresh") / "data"
    Operator(directory).runs("init")
    return directory


@pytest.fixture
def operator(fresh_server: Path, tmp_path: Path) -> Operator:
    """Return an operator with a new server."""
    return Operator(Path(shutil.copytree(fresh_server, tmp_path / "data")))
