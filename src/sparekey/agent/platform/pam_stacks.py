"""The PAM stacks of this computer: the services that ask for a passcode, and the users that they let pass without one.

This is pure: the texts of PAM's directories come in. It knows the lines of the shipped profiles (packaging/pam), word
for word, and whether they skip the module. Other lines of an administrator are not interpreted, except for what cannot
work: unknown options of the module, and missing modules.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

MODULE: Final = "pam_sparekey.so"
FRAGMENTS: Final = "common-"  # Debian's parts of other stacks; no service reads them alone
CONSOLE_SERVICE: Final = "login"
_SUCCEED_IF: Final = "pam_succeed_if.so"
_CONSOLE: Final = "quiet uid = 0 service = login tty !~ pts/*"
_ON_LINES_OF_THEIR_OWN: Final = frozenset({"os_password", "ask_os_password", "keep_os_password"})
FLAGS: Final = frozenset({"use_first_pass", "quiet", "remote"}) | _ON_LINES_OF_THEIR_OWN  # as native/pam/options.c
VALUES: Final = frozenset({"socket", "timeout", "prompt", "remote"})  # these have a value after `=`
SILENT_SERVICES: Final = frozenset({"xrdp-sesman"})  # their users come over the network, and they do not tell PAM
_SERVICES: Final = re.compile(r"[A-Za-z0-9_.-]+(?:,[A-Za-z0-9_.-]+)*")
_LONGEST_PATH: Final = 107  # bytes of the path of a socket
_LONGEST_TIMEOUT: Final = 600
_DEEPEST: Final = 8  # levels of files that include one another
_ALIKE: Final = 0.8  # similarity, up to 1, of a misspelt name of our module
_KINDS: Final = ("auth", "account", "password", "session")
_WORD: Final = re.compile(r"\[((?:\\\]|[^\]])*)\]|(\S+)")  # brackets hold one argument together
_REFUSING: Final = re.compile(r"required|requisite|\[.*\bdefault=(die|bad)\b.*\]", re.IGNORECASE)
_SKIPS: Final = re.compile(r"\[success=(\d+) default=ignore\]")
_LINE: Final = re.compile(r"-?(auth|account|password|session)\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class StackLine:
    """One line of a stack."""

    control: str
    module: str
    arguments: str
    file: str
    may_be_missing: bool  # a `-` before the line


@dataclass(frozen=True)
class Stack:
    """The behaviour of one service: `asks` is True if it asks for the passcode; members of the group, or root on the
    console, can be exempt."""

    service: str
    asks: bool
    module: str  # as written
    exempt_group: bool
    exempt_console: bool


def read_stacks(texts: Mapping[str, str], exempt_group: str) -> list[Stack]:
    """Return the stack of every service in these texts of PAM's directories, in alphabetical order."""
    services = sorted(name for name in texts if not name.startswith(FRAGMENTS) and "." not in name)
    return [_read(service, rules_of(service, texts), exempt_group) for service in services]


def rules_of(service: str, texts: Mapping[str, str], kind: str = "auth", depth: int = 0) -> list[StackLine]:
    """Return the lines of a service of one kind (authentication by default), with included files, in order."""
    rules: list[StackLine] = []
    for line in _joined(texts.get(service, "")):
        words = line.split()
        included = words[1] if words[0] == "@include" and len(words) > 1 else ""
        found = _LINE.fullmatch(line)
        if found and found[1].lower() == kind:
            if found[2].lower() in {"include", "substack"}:
                included = found[3]
            else:
                control, arguments = " ".join(found[2].split()), " ".join(found[4].split())
                rules.append(StackLine(control, found[3], arguments, service, line.startswith("-")))
        if included and depth < _DEEPEST:
            rules += rules_of(included, texts, kind, depth + 1)
    return rules


def find_mistakes(texts: Mapping[str, str], exists: Callable[[str], bool]) -> list[str]:
    """Return the mistakes that keep the module from granting, each a sentence with its file. `exists` returns True if a
    module, as written, exists; it is not asked about ours."""
    found: dict[str, None] = {}  # once each, even if several services include the file
    for stack in read_stacks(texts, ""):
        for kind in _KINDS:
            for rule in rules_of(stack.service, texts, kind):
                found.update(dict.fromkeys(_mistakes(rule, exists, asks=stack.asks and kind == "auth")))
    return list(found)


def find_taken_for_local(texts: Mapping[str, str]) -> list[str]:
    """Return the services whose users come over the network although neither they nor the module's options say so."""
    return [
        stack.service
        for stack in read_stacks(texts, "")
        if stack.asks
        and stack.service in SILENT_SERVICES
        and not all(_calls_remote(rule, stack.service) for rule in rules_of(stack.service, texts) if _is_ours(rule))
    ]


def _calls_remote(rule: StackLine, service: str) -> bool:
    words = rule.arguments.split()
    named = [name.lower() for word in words if word.startswith("remote=") for name in word[7:].split(",")]
    return "remote" in words or service in named


def _is_ours(rule: StackLine) -> bool:
    return rule.module.rpartition("/")[2] == MODULE


def _mistakes(rule: StackLine, exists: Callable[[str], bool], *, asks: bool) -> Iterator[str]:
    name = rule.module.rpartition("/")[2]
    if name == MODULE:
        words = [(found[1] or "").replace("\\]", "]") or found[2] for found in _WORD.finditer(rule.arguments)]
        wrong = [word for word in words if not _is_option(word)]
        exclusive = sorted(_ON_LINES_OF_THEIR_OWN & set(words))
        if not wrong and len(exclusive) > 1:
            wrong = [f"{' and '.join(exclusive)} on one line"]
        for option in wrong:
            yield f"{rule.file}: {option} is no option, so every sign-in is refused there; see pam_sparekey(8)"
        return
    meant = SequenceMatcher(None, name, MODULE).ratio() > _ALIKE
    refuses = _REFUSING.fullmatch(rule.control) is not None and not rule.may_be_missing
    if (meant or (asks and refuses)) and not exists(rule.module):
        effect = ", so every sign-in is refused there" if refuses else ""
        missing = f"{rule.file}: there is no module {rule.module}{effect}"
        yield f"{missing}; ours is {MODULE}" if meant else missing


def _is_option(word: str) -> bool:
    """Return True if the module accepts this option, with its value."""
    name, _, value = word.partition("=")
    if name not in VALUES or "=" not in word:
        return word in FLAGS
    if name == "socket":
        return value.startswith("/") and len(value.encode()) <= _LONGEST_PATH
    if name == "timeout":
        return re.fullmatch("[0-9]{1,3}", value) is not None and 1 <= int(value) <= _LONGEST_TIMEOUT
    if name == "remote":
        return _SERVICES.fullmatch(value) is not None
    return bool(value)


def _joined(text: str) -> Iterator[str]:
    """Return the lines with content. A line with a backslash at its end continues on the next one; a comment never
    does."""
    begun = ""
    for line in text.splitlines():
        content, comment, _ = line.partition("#")
        content = content.strip()
        if not content and (comment or begun):
            continue
        goes_on = content.endswith("\\") and not comment
        begun += content.removesuffix("\\") + " " if goes_on else content
        if begun.strip() and not goes_on:
            yield begun.strip()
        if not goes_on:
            begun = ""
    if begun.strip():
        yield begun.strip()


def _read(service: str, rules: Sequence[StackLine], exempt_group: str) -> Stack:
    ours = next((place for place, rule in enumerate(rules) if _is_ours(rule)), None)
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
