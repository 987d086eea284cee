"""What the PAM stacks of this computer say about the passcode: which services ask for it, and whom they let pass by.

Pure: the texts of PAM's directories come in. Known are the lines of the shipped profiles (packaging/pam), word for
word, and whether they lead past the module; what an administrator has written otherwise is not interpreted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MODULE: Final = "pam_sparekey.so"
FRAGMENTS: Final = "common-"  # Debian's parts of other stacks: no service reads them by itself
CONSOLE_SERVICE: Final = "login"
_SUCCEED_IF: Final = "pam_succeed_if.so"
_CONSOLE: Final = "quiet uid = 0 service = login tty !~ pts/*"
_DEEPEST: Final = 8  # files that include one another
_SKIPS: Final = re.compile(r"\[success=(\d+) default=ignore\]")
_LINE: Final = re.compile(r"-?(auth|account|password|session)\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Rule:
    """One line of the authentication of a stack."""

    control: str
    module: str
    arguments: str


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


def rules_of(service: str, texts: Mapping[str, str], depth: int = 0) -> list[Rule]:
    """The authentication of a service, with what it includes, in order."""
    rules: list[Rule] = []
    for line in _joined(texts.get(service, "")):
        words = line.split()
        included = words[1] if words[0] == "@include" and len(words) > 1 else ""
        found = _LINE.fullmatch(line)
        if found and found[1].lower() == "auth":
            if found[2].lower() in {"include", "substack"}:
                included = found[3]
            else:
                rules.append(Rule(" ".join(found[2].split()), found[3], " ".join(found[4].split())))
        if included and depth < _DEEPEST:
            rules += rules_of(included, texts, depth + 1)
    return rules


def _joined(text: str) -> list[str]:
    """Lines that say something; one that ends with a backslash goes on."""
    lines = (line.partition("#")[0].strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line]


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
