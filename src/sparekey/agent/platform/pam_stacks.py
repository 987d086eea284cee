"""What the PAM stacks of this computer say about the passcode: which services ask for it, and whom they let pass by.

Pure: the texts of PAM's directories come in. Known are the lines of the shipped profiles (packaging/pam), word for
word, and whether they lead past the module; what an administrator has written otherwise is not interpreted, save for
what cannot work: options that the module does not know, modules that are not there.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

MODULE: Final = "pam_sparekey.so"
FRAGMENTS: Final = "common-"  # Debian's parts of other stacks: no service reads them by itself
CONSOLE_SERVICE: Final = "login"
_SUCCEED_IF: Final = "pam_succeed_if.so"
_CONSOLE: Final = "quiet uid = 0 service = login tty !~ pts/*"
_ON_LINES_OF_THEIR_OWN: Final = frozenset({"os_password", "ask_os_password", "keep_os_password"})
FLAGS: Final = frozenset({"use_first_pass", "quiet"}) | _ON_LINES_OF_THEIR_OWN  # as native/pam/options.c
VALUES: Final = frozenset({"socket", "timeout", "prompt"})  # those that stand before a `=`
_LONGEST_PATH: Final = 107  # of a socket, in bytes
_LONGEST_TIMEOUT: Final = 600
_DEEPEST: Final = 8  # files that include one another
_ALIKE: Final = 0.8  # of 1: names of modules that were meant to be ours
_KINDS: Final = ("auth", "account", "password", "session")
_WORD: Final = re.compile(r"\[((?:\\\]|[^\]])*)\]|(\S+)")  # brackets hold one argument together
_REFUSING: Final = re.compile(r"required|requisite|\[.*\bdefault=(die|bad)\b.*\]", re.IGNORECASE)
_SKIPS: Final = re.compile(r"\[success=(\d+) default=ignore\]")
_LINE: Final = re.compile(r"-?(auth|account|password|session)\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Rule:
    """One line of a stack."""

    control: str
    module: str
    arguments: str
    file: str
    may_be_missing: bool  # a `-` before the line


@dataclass(frozen=True)
class Stack:
    """What one service does: `asks` for the passcode; the group's members and root at the console are `exempt`."""

    service: str
    asks: bool
    module: str  # as it is written
    exempt_group: bool
    exempt_console: bool


def read_stacks(texts: Mapping[str, str], exempt_group: str) -> list[Stack]:
    """By the texts of PAM's directories, name for name; every service that reads a stack, in alphabetical order."""
    services = sorted(name for name in texts if not name.startswith(FRAGMENTS) and "." not in name)
    return [_read(service, rules_of(service, texts), exempt_group) for service in services]


def rules_of(service: str, texts: Mapping[str, str], kind: str = "auth", depth: int = 0) -> list[Rule]:
    """The authentication of a service, or another kind of its lines, with what it includes, in order."""
    rules: list[Rule] = []
    for line in _joined(texts.get(service, "")):
        words = line.split()
        included = words[1] if words[0] == "@include" and len(words) > 1 else ""
        found = _LINE.fullmatch(line)
        if found and found[1].lower() == kind:
            if found[2].lower() in {"include", "substack"}:
                included = found[3]
            else:
                control, arguments = " ".join(found[2].split()), " ".join(found[4].split())
                rules.append(Rule(control, found[3], arguments, service, line.startswith("-")))
        if included and depth < _DEEPEST:
            rules += rules_of(included, texts, kind, depth + 1)
    return rules


def find_mistakes(texts: Mapping[str, str], exists: Callable[[str], bool]) -> list[str]:
    """What keeps the module from letting anybody in, each as a sentence with its file. `exists`: whether a module, as
    it is written, is there; whether ours is, is not asked."""
    found: dict[str, None] = {}  # once each, however many services include the file
    for stack in read_stacks(texts, ""):
        for kind in _KINDS:
            for rule in rules_of(stack.service, texts, kind):
                found.update(dict.fromkeys(_mistakes(rule, exists, asks=stack.asks and kind == "auth")))
    return list(found)


def _mistakes(rule: Rule, exists: Callable[[str], bool], *, asks: bool) -> Iterator[str]:
    name = rule.module.rpartition("/")[2]
    if name == MODULE:
        words = [(found[1] or "").replace("\\]", "]") or found[2] for found in _WORD.finditer(rule.arguments)]
        wrong = [word for word in words if not _is_option(word)]
        together = sorted(_ON_LINES_OF_THEIR_OWN & set(words))
        if not wrong and len(together) > 1:
            wrong = [f"{' and '.join(together)} on one line"]
        for each in wrong:
            yield f"{rule.file}: {each} is no option: everybody is refused there; the options: pam_sparekey(8)"
        return
    meant = SequenceMatcher(None, name, MODULE).ratio() > _ALIKE
    refuses = _REFUSING.fullmatch(rule.control) is not None and not rule.may_be_missing
    if (meant or (asks and refuses)) and not exists(rule.module):
        missing = f"{rule.file}: there is no module {rule.module}" + (": everybody is refused there" if refuses else "")
        yield f"{missing}; ours is {MODULE}" if meant else missing


def _is_option(word: str) -> bool:
    """As the module reads it, its value included."""
    name, _, value = word.partition("=")
    if name not in VALUES or "=" not in word:
        return word in FLAGS
    if name == "socket":
        return value.startswith("/") and len(value.encode()) <= _LONGEST_PATH
    if name == "timeout":
        return re.fullmatch("[0-9]{1,3}", value) is not None and 1 <= int(value) <= _LONGEST_TIMEOUT
    return bool(value)


def _joined(text: str) -> Iterator[str]:
    """Lines that say something; one that ends with a backslash goes on, a comment never does."""
    begun = ""
    for line in text.splitlines():
        said, comment, _ = line.partition("#")
        said = said.strip()
        if not said and (comment or begun):
            continue
        goes_on = said.endswith("\\") and not comment
        begun += said.removesuffix("\\") + " " if goes_on else said
        if begun.strip() and not goes_on:
            yield begun.strip()
        if not goes_on:
            begun = ""
    if begun.strip():
        yield begun.strip()


def _read(service: str, rules: Sequence[Rule], exempt_group: str) -> Stack:
    ours = next((place for place, rule in enumerate(rules) if rule.module.rpartition("/")[2] == MODULE), None)
    if ours is None:
        return Stack(service, asks=False, module="", exempt_group=False, exempt_console=False)

    def leads_past(arguments: str) -> bool:
        return any(
            rule.module == _SUCCEED_IF
            and rule.arguments == arguments
            and (skips := _SKIPS.fullmatch(rule.control)) is not None
            and place + int(skips[1]) == ours
            for place, rule in enumerate(rules[:ours])
        )

    return Stack(
        service,
        asks=True,
        module=rules[ours].module,
        exempt_group=leads_past(f"quiet user ingroup {exempt_group}"),
        exempt_console=service == CONSOLE_SERVICE and leads_past(_CONSOLE),
    )
