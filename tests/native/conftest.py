"""Fixtures of the tests of the native shims."""

from pathlib import Path

import pytest

from tests.native.pam_applications import PamDirectory


@pytest.fixture
def pam_directory(tmp_path: Path) -> PamDirectory:
    """A directory for PAM files, empty."""
    directory = tmp_path / "pam.d"
    directory.mkdir()
    return PamDirectory(directory)
