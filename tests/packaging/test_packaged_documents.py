"""The documents in the packages: no dead links."""

import re
from pathlib import Path

import pytest

from tools.deb.documents import main, packaged
from tools.tree import ROOT

RULES = (ROOT / "packaging/deb/debian/rules").read_text(encoding="utf-8").replace("\\\n", " ")


def documents_of(package: str) -> list[str]:
    found = re.search(rf"^{package}_documents := (.*)$", RULES, re.MULTILINE)
    assert found is not None
    listed = re.sub(
        r"\$\(addprefix (\S+),(.*)\)", lambda every: " ".join(every[1] + each for each in every[2].split()), found[1]
    )
    return listed.split()


@pytest.mark.parametrize("package", ["agent", "server"])
def test_links_lead_to_shipped_files(package: str, tmp_path: Path) -> None:
    documents = documents_of(package)
    assert {"docs/linux-login.md", "docs/glossary.md"} <= set(documents)
    main(tmp_path, documents)
    for document in tmp_path.glob("*.md"):
        links = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
        assert [each for each in links if not (tmp_path / each).exists()] == [], document.name


def test_unshipped_files_are_not_linked() -> None:
    text, _ = packaged("docs/threat-model.md", ["docs/linux-login.md"])
    assert "](linux-login.md" in text
    assert "](imports.md" not in text
