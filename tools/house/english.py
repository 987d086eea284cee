"""Counts of English that is not plain: docstrings that begin with a clause, and phrases to avoid.

Rules: the phrases and what to write instead stand in tests/house/english.toml; a phrase matches whole words in any
case, across line ends; code in a document, tags and expressions in a template are no English and are not read.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.house.sources import Line, Source
from tools.tree import ROOT, project_files

PHRASES: Final = ROOT / "tests" / "house" / "english.toml"
WH_WORD: Final = re.compile(r"(?:What|Whether|Who|Whoever|Where|Which|How|When|The same)\b")
_NOT_ENGLISH: Final = {
    ".md": re.compile(r"^( *)```.*?^\1```|`[^`\n]*`|\]\([^)]*\)|<!--.*?-->", re.DOTALL | re.MULTILINE),
    ".html": re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", re.DOTALL),
}


@dataclass(frozen=True)
class Phrase:
    """A phrase to avoid, as a regular expression, and what to write instead."""

    pattern: re.Pattern[str]
    instead: str


def read_phrases(path: Path = PHRASES) -> list[Phrase]:
    """Read the list of phrases."""
    pairs = tomllib.loads(path.read_text(encoding="utf-8"))["phrases"]
    return [Phrase(_pattern(phrase), instead) for phrase, instead in pairs.items()]


def _pattern(phrase: str) -> re.Pattern[str]:
    between_words = r"\s+(?:\#\s*)?"  # a comment goes on behind the "#" of its next line
    return re.compile(rf"\b(?:{phrase.replace(' ', between_words)})\b", re.IGNORECASE)


def documents(root: Path = ROOT) -> Iterator[Line]:
    """Read documents and templates, with spaces for everything that is no English; line numbers stay."""
    for path in project_files(root):
        if not_english := _NOT_ENGLISH.get(path.suffix):
            text = (root / path).read_text(encoding="utf-8")
            yield Line(path.as_posix(), 1, not_english.sub(_blank, text))


def _blank(match: re.Match[str]) -> str:
    return " " + "\n" * match[0].count("\n")


def prose(sources: Iterable[Source]) -> Iterator[Line]:
    """Yield the docstrings and the comments; comments that follow each other make one text."""
    for source in sources:
        yield from source.docstrings
        yield from _joined(source.comments)


def _joined(comments: Iterable[Line]) -> Iterator[Line]:
    block: list[Line] = []
    for comment in comments:
        if block and comment.number != block[-1].number + 1:
            yield _one(block)
            block = []
        block.append(comment)
    if block:
        yield _one(block)


def _one(block: list[Line]) -> Line:
    return Line(block[0].path, block[0].number, "\n".join(line.text for line in block))


def words(texts: Iterable[Line]) -> int:
    """Count the words."""
    return sum(len(text.text.split()) for text in texts)


def found(phrases: Iterable[Phrase], texts: Iterable[Line]) -> list[Line]:
    """List each phrase that stands in the texts, with what to write instead."""
    phrases = list(phrases)
    return [
        Line(text.path, text.number + text.text.count("\n", 0, match.start()), f'"{match[0]}": {phrase.instead}')
        for text in texts
        for phrase in phrases
        for match in phrase.pattern.finditer(text.text)
    ]


def clauses(docstrings: Iterable[Line]) -> list[Line]:
    """List the docstrings that begin with a clause ("What ...", "Whether ...") and not with a verb or a noun."""
    return [Line(each.path, each.number, each.text[:60]) for each in docstrings if WH_WORD.match(each.text)]
