"""A manual page in man(7), from the tree of a program and the few texts that no parser knows."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tools.manual.tree import Command, Option, common_options


@dataclass(frozen=True)
class About:
    """The sections of a manual page beside the commands. Texts are plain; `so` is set in bold."""

    section: int
    synopsis: tuple[str, ...]
    description: tuple[str, ...]  # paragraphs
    exits: Mapping[str, str]
    files: Mapping[str, str]
    see_also: tuple[str, ...]  # "sparekey(1)"
    variables: Mapping[str, str] = field(default_factory=dict)


def manual_page(program: Command, about: About, version: str) -> str:
    """The page. What every command takes is said once, in a section of its own."""
    name, common = program.path[0], common_options(program)
    lines = [
        f'.TH {name.upper()} {about.section} "" "sparekey {version}" "Sparekey"',
        *_section("Name"),
        rf"{_plain(name)} \- {_plain(_head(program.summary))}",
        *_section("Synopsis"),
        *_broken(_text(each) for each in about.synopsis),
        *_section("Description"),
        *_paragraphs(about.description),
        *_section("Commands"),
    ]
    for each in program.leaves():
        lines += _command(each, common)
    lines += [*_section("Options of every command"), *_options(common)]
    for title, rows in (("Exit status", about.exits), ("Environment", about.variables), ("Files", about.files)):
        if rows:
            lines += [*_section(title), *_rows(rows.items())]
    see = ", ".join(rf"\fB{_plain(page)}\fP({number})" for page, number in map(_page_and_number, about.see_also))
    return "\n".join([*lines, *_section("See also"), see, ""])


def _head(sentence: str) -> str:
    """As `apropos` shows it."""
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _page_and_number(reference: str) -> tuple[str, str]:
    page, _, number = reference.rstrip(")").partition("(")
    return page, number


def _section(title: str) -> list[str]:
    return [f".SH {title.upper()}"]


def _command(command: Command, common: tuple[Option, ...]) -> Iterator[str]:
    own = [each for each in command.options if each not in common]
    usage = " ".join([command.name, *(["[OPTIONS]"] if own else []), *(each.name for each in command.arguments)])
    yield f'.SS "{_plain(usage)}"'
    yield from _paragraphs(command.description.split("\n\n"))
    yield from _rows((each.name, each.words) for each in command.arguments if each.words)
    yield from _options(own)
    if command.example:
        yield from (".PP", "Example:", ".PP", ".nf", rf"    \fB{_plain(command.example)}\fP", ".fi")


def _options(options: Iterable[Option]) -> Iterator[str]:
    for each in options:
        names = ", ".join(rf"\fB{_plain(name)}\fP" for name in each.names)
        yield from (".TP", f"{names} {_plain(each.value)}".rstrip(), _text(each.words))


def _rows(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for head, words in rows:
        yield from (".TP", _text(f"`{head}`"), _text(words))


def _paragraphs(texts: Iterable[str]) -> Iterator[str]:
    for number, each in enumerate(texts):
        if number:
            yield ".PP"
        yield _text(" ".join(each.split()))


def _broken(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number:
            yield ".br"
        yield line


def _text(words: str) -> str:
    """A line of prose; `so` becomes bold."""
    return re.sub(r"`([^`]+)`", r"\\fB\1\\fP", _plain(words))


def _plain(text: str) -> str:
    """Text that roff prints as it stands: every hyphen can be typed as it is read, and no line is a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq").replace("'", r"\(aq")
    return r"\&" + escaped if escaped.startswith(".") else escaped
