"""Manual pages and completions agree with the parsers, in a form that the real readers and shells accept."""

import os
import subprocess
from pathlib import Path

import pytest

from tools.manual.completion import SHELLS, completion
from tools.manual.page import manual_page
from tools.manual.programs import ABOUT, AGENT, SERVER
from tools.manual.tree import Command

PROGRAMS = {each.path[0]: each for each in ABOUT}


def page_of(program: Command) -> str:
    return manual_page(program, ABOUT[program], "1.2.3")


def shown(program: Command) -> str:
    """The page as a reader sees it, in one line."""
    done = subprocess.run(
        ["mandoc", "-Tutf8", "-Owidth=200"], input=page_of(program), capture_output=True, text=True, check=True
    )
    plain = subprocess.run(["col", "-bx"], input=done.stdout, capture_output=True, text=True, check=True)
    return " ".join(plain.stdout.split())


@pytest.mark.services
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_page_names_every_command_argument_and_option(name: str) -> None:
    text = shown(PROGRAMS[name])
    for command in PROGRAMS[name].leaves():
        assert command.name in text
        assert " ".join(command.description.replace("`", "").split()) in text
        for option in command.options:
            assert ", ".join(option.names) in text, option
            assert " ".join(option.words.replace("`", "").split()) in text, option


@pytest.mark.services
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_reader_of_manual_pages_has_nothing_to_complain_of(name: str) -> None:
    done = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning"], input=page_of(PROGRAMS[name]), capture_output=True, text=True, check=False
    )
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


def test_examples_of_the_manual_use_plain_characters() -> None:
    page = page_of(SERVER)
    assert r"\-\-if\-available" in page
    assert " --" not in page
    assert "'called back'" not in page
    assert r"\(aqcalled back\(aq" in page


# Each calls the completion as its shell would for the words in "$@", and prints a proposal a line.
DRIVERS = {
    "bash": """source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _@WORD@; printf '%s\n' "${COMPREPLY[@]}" """,
    "zsh": """compadd() { shift; print -l -- "$@" | grep "^$words[CURRENT]" }
        _files() { ls $([[ $1 == -/ ]] && echo -d */) }
        complete() { source $file }
        file=$1; shift; words=("$@"); CURRENT=$#; complete""",
    "fish": """source $argv[1]; complete -C (string join ' ' -- $argv[2..])""",
}
CALLS = {"bash": ["bash", "-c"], "zsh": ["zsh", "-c"], "fish": ["fish", "--no-config", "-c"]}

# An option and its value as the shell takes them apart where a = joins them, and what is proposed then.
JOINED: dict[str, tuple[str, set[str]]] = {
    "bash": ("--if-available = a", {"after-lifetime"}),
    "zsh": ("--if-available=a", set()),
    "fish": ("--if-available=a", {"--if-available=after-lifetime"}),
}


def proposed(shell: str, program: Command, typed: str, directory: Path) -> set[str]:
    """Return the shell's proposals for the last word of `typed`."""
    script = directory / f"completion.{shell}"
    script.write_text(completion(program, shell), encoding="utf-8")
    driver = DRIVERS[shell].replace("@WORD@", program.path[0].replace("-", "_"))
    name = [] if shell == "fish" else [shell]  # $0 in the other shells
    command = [*CALLS[shell], driver, *name, str(script), *typed.split(" ")]
    env = {**os.environ, "HOME": str(directory)}
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return {line.rstrip("/") for line in done.stdout.splitlines() if line}


@pytest.mark.services
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_proposes_commands_options_words_and_files(shell: str, tmp_path: Path) -> None:
    def on_server(typed: str) -> set[str]:
        return proposed(shell, SERVER, typed, tmp_path)

    (tmp_path / "folder").mkdir()
    everything = {"completion." + shell, "folder"}
    assert on_server("sparekey ") == {each.path[-1] for each in SERVER.commands}
    assert on_server("sparekey --data policy policy offline a") == {"add", "assign"}
    assert on_server("sparekey policy lockout assign --d") == {"--data", "--default", "--domain"}
    assert on_server("sparekey emergency fixed SK1 --if-available ") == {"deny", "end", "after-lifetime"}
    joined, proposal = JOINED[shell]
    assert on_server(f"sparekey emergency fixed {joined}") == proposal
    assert on_server("sparekey token import ") == everything
    assert on_server("sparekey --data ") == {"folder"}
    assert on_server("sparekey user add --name ") == set()
    assert on_server("sparekey user show ") == set()
    assert "enroll" in proposed(shell, AGENT, "sparekey-agent --json e", tmp_path)
    assert proposed(shell, AGENT, "sparekey-agent login alice --rep", tmp_path) == {"--reply-to"}
    assert proposed(shell, AGENT, "sparekey-agent enroll --tpm ", tmp_path) == {"auto", "required", "off"}
