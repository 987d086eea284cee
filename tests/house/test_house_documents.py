"""House rules of the documents: links and paths lead somewhere, `make` targets exist, ADRs and glossary keep form."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.tree import ROOT, project_files

FILES = project_files()
DOCUMENTS = [name for name in FILES if name.suffix == ".md"]
ADRS = [name for name in DOCUMENTS if name.parent == Path("docs/adr")]
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
PATH = re.compile(r"`((?:src|tests|docs|spec|tools|bench|\.ci)/[^`\s]*)`")
HEADING = re.compile(r"^#+\s+(.*?)\s*#*$", re.MULTILINE)


def text_of(name: Path) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def exists(path: str) -> bool:
    """A file or directory of the project, or a pattern that matches some."""
    wanted = path.rstrip("/")
    return any(
        file.match(wanted) or wanted in {file.as_posix(), *(parent.as_posix() for parent in file.parents)}
        for file in FILES
    )


def anchors_of(name: Path) -> set[str]:
    """The anchors that a renderer gives the headings of a document."""
    headings = HEADING.findall(FENCE.sub("", text_of(name)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(name: Path) -> Iterator[str]:
    for groups in LINK.findall(FENCE.sub("", text_of(name))):
        link = groups[0] or groups[1]
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name.parent / path).resolve() if path else (ROOT / name)
        if not target.exists() or not target.is_relative_to(ROOT):
            yield f"{name}: {link}"
        elif anchor and target.suffix == ".md" and anchor not in anchors_of(target.relative_to(ROOT)):
            yield f"{name}: {link}: no such heading"


def missing_paths(name: Path) -> Iterator[str]:
    for path in PATH.findall(FENCE.sub("", text_of(name))):
        file = re.sub(r"(::.*|:\d+(-\d+)?)$", "", path)
        if not re.search(r"[<>]|NNNN", file) and not exists(file):
            yield f"{name}: {path}"


def make_targets_in(text: str) -> list[str]:
    """Return the targets named in code spans and fenced blocks; prose may use the word `make` freely."""
    in_spans = re.findall(r"`make ([a-z]+)", FENCE.sub("", text))
    in_blocks = [re.findall(r"^(?:\$ )?make ([a-z]+)", fence, re.MULTILINE) for fence in FENCE.findall(text)]
    return [*in_spans, *(target for block in in_blocks for target in block)]


@pytest.mark.parametrize("name", DOCUMENTS, ids=str)
def test_links_and_paths_lead_somewhere(name: Path) -> None:
    assert [*broken_links(name), *missing_paths(name)] == []


def test_every_make_target_is_explained_and_every_one_named_exists() -> None:
    makefile = text_of(Path("Makefile"))
    targets = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE))
    explained = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    named = {target for name in DOCUMENTS for target in make_targets_in(text_of(name))}
    assert explained == targets
    assert named - targets == set()


def test_decisions_are_numbered_short_and_name_their_price() -> None:
    numbers = [int(name.name[:4]) for name in ADRS]
    assert numbers == list(range(1, len(ADRS) + 1))
    for name in ADRS:
        text = text_of(name)
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name.name), name
        assert text.startswith(f"# {int(name.name[:4])}. "), f"{name}: starts with its number and title"
        assert len(text.splitlines()) < 100, f"{name}: under 100 lines"
        assert "negative" in text.lower(), f"{name}: says its negative consequences"


def test_the_glossary_is_sorted_and_names_each_word_once() -> None:
    words = re.findall(r"^\*\*(.+?)\*\*", text_of(Path("docs/glossary.md")), re.MULTILINE)
    assert words
    assert words == sorted(set(words), key=str.lower)
