"""The example in docs/imports.md is read, and its defaults are the documented ones."""

import re

from tests.token_files.read import records
from tools.tree import ROOT


def test_the_csv_file_in_the_documents_is_read() -> None:
    document = (ROOT / "docs/imports.md").read_text(encoding="utf-8")
    example = re.search(r"```csv\n(.*?)```", document, re.DOTALL)
    assert example is not None
    made = records(example[1])
    assert [(each.type, each.parameters.digits, each.parameters.interval, each.with_pin) for each in made] == [
        ("totp", 6, 30, True),
        ("totp", 8, 60, False),
        ("hotp", 6, 0, True),
        ("securid", 8, 60, True),
    ]
    assert [each.counter for each in made] == [0, 0, 42, 0]
