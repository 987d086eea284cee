"""An operator of a fresh server."""

from pathlib import Path

import pytest

from tests.cli.server.commands import Operator


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """Return an operator with a new server, made by `sparekey init`."""
    operator = Operator(tmp_path / "data")
    operator.runs("init")
    return operator
