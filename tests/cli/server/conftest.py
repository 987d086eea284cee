"""An operator of a fresh server."""

from pathlib import Path

import pytest

from tests.cli.server.commands import Operator


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """`sparekey init` was run."""
    operator = Operator(tmp_path / "data")
    operator.runs("init")
    return operator
