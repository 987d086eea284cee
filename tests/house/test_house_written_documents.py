"""House rule: documents generated from the source are up to date."""

from pathlib import Path

import pytest

from tools.documents import documents
from tools.tree import ROOT


@pytest.mark.parametrize("name", documents(), ids=str)
def test_a_written_document_is_true(name: Path) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == documents()[name], "run: python -m tools.documents"
