"""The command tree of a program, for any parsing library: commands with their options and arguments."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

FILES: Final = frozenset({"FILE", "PATH"})
DIRECTORIES: Final = frozenset({"DIR"})


@dataclass(frozen=True)
class Option:
    """One option, in all its spellings."""

    names: tuple[str, ...]  # "--domain"; of a pair both, "--on" and "--off"
    value: str  # how what follows is called, such as DIR; "": nothing follows
    words: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Argument:
    """A positional word."""

    name: str  # as the usage shows it, "USER" or "[FIELD=VALUE]..."
    words: str


@dataclass(frozen=True)
class Command:
    """A program, a group of commands, or a command."""

    path: tuple[str, ...]  # ("sparekey", "policy", "offline")
    summary: str  # one sentence
    description: str
    options: tuple[Option, ...] = ()
    arguments: tuple[Argument, ...] = ()
    commands: tuple["Command", ...] = ()
    example: str = ""

    @property
    def name(self) -> str:
        """The words that call it."""
        return " ".join(self.path)

    def every(self) -> Iterator["Command"]:
        """This one and all below it."""
        yield self
        for each in self.commands:
            yield from each.every()

    def leaves(self) -> tuple["Command", ...]:
        """The commands that do something."""
        return tuple(each for each in self.every() if not each.commands)


def alternatives(value: str) -> tuple[str, ...]:
    """The words to choose from in `auto|off|PATH`: auto and off."""
    return tuple(each for each in value.split("|") if each.islower()) if "|" in value else ()


def common_options(program: Command) -> tuple[Option, ...]:
    """The options that every command has."""
    first, *others = program.leaves()
    return tuple(option for option in first.options if all(option in each.options for each in others))
