"""What `doctor` looks at around the agent: the service, the PAM stacks, the module, names and exempt accounts.

Each finding is made from what was found out, and says what to do.
"""

import ctypes
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparekey.agent.ground.account_names import Names
from sparekey.agent.platform.configuration import Configuration
from sparekey.agent.platform.pam_stacks import MODULE, Stack, find_mistakes, read_stacks
from sparekey.agent.platform.posix import group_exists, has_account
from sparekey.core.plurals import counted
from sparekey.wiring.agent import RUN_DIRECTORY, find_exempt_accounts, pam_texts

UNIT: Final = "sparekey-agent.service"
SYSTEMD: Final = Path("/run/systemd/system")  # there while systemd runs (sd_booted(3))
MOST_NAMED: Final = 8  # programs, in a list that is read
_KNOWN: Final = frozenset({"login", "sshd", "su", "sudo", "gdm-password", "lightdm", "sddm", "kde", "polkit-1"})
_MODULES: Final = ("/usr/lib/*/security", "/usr/lib/security", "/usr/lib64/security", "/lib/*/security")
_INSTALLED: Final = Path("/usr/share/doc/sparekey-agent/linux-login.md")  # by the package


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    words: str
    more: str = ""  # the whole, for programs, where the words leave out what nobody reads


def look_around(configuration: Configuration) -> Iterator[Finding]:
    """All of them, on this computer."""
    yield of_service(_unit_state())
    texts = pam_texts()
    stacks = read_stacks(texts, configuration.exempt_group)
    yield of_logins(stacks, find_mistakes(texts, _module_exists))
    yield of_module(stacks, _why_not_loaded(_module_path(stacks)))
    exempt = find_exempt_accounts(configuration)
    yield of_exempt(stacks, exempt, configuration.exempt_group, exists=group_exists(configuration.exempt_group))
    yield of_names(configuration.names, [each for each in configuration.names.mapped if not has_account(each)])


def logins_ask(configuration: Configuration) -> bool:
    """Whether any login of this computer needs the agent."""
    return any(stack.asks for stack in read_stacks(pam_texts(), configuration.exempt_group))


def of_socket(path: Path) -> Finding:
    """Whether a login shim that looks where it looks by default finds the agent."""
    if path.parent == RUN_DIRECTORY:
        return Finding("socket", True, str(path))
    return Finding("socket", True, f"{path}; the PAM module needs the option socket={path}")


def of_service(state: str) -> Finding:
    """`state`: what systemd says of the unit; "": no systemd runs here."""
    if not state:
        return Finding("service", True, "no systemd here: whatever starts this computer has to start the agent")
    if state in {"enabled", "enabled-runtime", "static", "linked"}:
        return Finding("service", True, "starts with the computer")
    return Finding("service", False, f"{state}: it does not start with the computer; systemctl enable {UNIT}")


def of_logins(stacks: Sequence[Stack], mistakes: Sequence[str] = ()) -> Finding:
    """Which services ask for the passcode; `mistakes`: lines that cannot work."""
    if mistakes:
        return Finding("logins", False, "; ".join(mistakes))
    asking = [stack.service for stack in stacks if stack.asks]
    if not asking:
        return Finding("logins", True, f"none asks for the passcode yet; how to begin: {_document()}")
    others = [stack.service for stack in stacks if not stack.asks]
    verb = "asks" if len(asking) == 1 else "ask"
    words = f"{counted(len(asking), 'service')} {verb} for the passcode: {_in_short(asking)}"
    more = f"{', '.join(asking)} {verb} for the passcode"
    if others:
        words += f"; {len(others)} {'does' if len(others) == 1 else 'do'} not: {_in_short(others)}"
        more += f"; these do not: {', '.join(others)}"
    return Finding("logins", True, words, more)


def _in_short(services: Sequence[str]) -> str:
    """Those that people sign in by come first; those of one program (`su`, `su-l`) are one with their number, and of
    many the last are a number, too."""
    programs: dict[str, list[str]] = {}
    for service in sorted(services, key=lambda each: (each not in _KNOWN, each)):
        programs.setdefault(service.partition("-")[0], []).append(service)
    names = [of_one[0] if len(of_one) == 1 else f"{name} ({len(of_one)})" for name, of_one in programs.items()]
    left = sum(len(of_one) for of_one in list(programs.values())[MOST_NAMED:])
    return ", ".join(names[:MOST_NAMED]) + (f" and {left} more (--json names all)" if left else "")


def of_module(stacks: Sequence[Stack], trouble: str) -> Finding:
    """`trouble`: why the module cannot be loaded; "": it can."""
    if not trouble:
        return Finding("module", True, f"{MODULE} can be loaded")
    if not any(stack.asks for stack in stacks):
        return Finding("module", True, f"{trouble}; no login needs it")
    return Finding("module", False, f"{trouble}, and nobody but exempt accounts can sign in: install it again")


def of_exempt(stacks: Sequence[Stack], exempt: Sequence[str], group: str, *, exists: bool) -> Finding:
    """Who gets in when the agent does not answer."""
    asking = [stack for stack in stacks if stack.asks]
    if exempt and not exists:
        return Finding("exempt", True, f"{', '.join(exempt)}; there is no group {group}")
    if asking and not exists:
        return Finding("exempt", False, f"there is no group {group}: groupadd --system {group}, and put somebody in")
    without = [stack.service for stack in asking if not stack.exempt_group]
    if without:
        words = f"{_in_short(without)} ask members of {group}, too, as far as the shipped lines tell"
        return Finding("exempt", True, f"{', '.join(exempt) or 'nobody'}; {words}")
    if asking and not exempt:
        words = f"nobody: keep one account for the day on which the agent fails: usermod -aG {group} ACCOUNT"
        return Finding("exempt", True, words)
    return Finding("exempt", True, ", ".join(exempt) or "nobody")


def of_names(names: Names, unknown: Sequence[str]) -> Finding:
    """`unknown`: mapped accounts that this computer does not have."""
    if names.nobody:
        return Finding("names", False, "no account has a login: name one under [names], or take the table out")
    if unknown:
        return Finding("names", False, f"no such account here: {', '.join(unknown)}; see [names] in the configuration")
    if not names.mapped:
        return Finding("names", True, "accounts go by their own name")
    others = "go by their own name" if names.same else "sign in as nobody"
    return Finding("names", True, f"{len(names.mapped)} mapped; other accounts {others}")


def _document() -> Path:
    return _INSTALLED if _INSTALLED.is_file() else Path("docs/linux-login.md")


def _unit_state() -> str:
    if not SYSTEMD.is_dir():
        return ""
    line = ["systemctl", "is-enabled", UNIT]
    done = subprocess.run(line, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip() or "not installed"


def _module_path(stacks: Sequence[Stack]) -> Path | None:
    """Where PAM would look."""
    written = [Path(stack.module) for stack in stacks if stack.module.startswith("/")]
    if written:
        return next((path for path in written if not path.is_file()), written[0])
    return _find_module(MODULE)


def _find_module(name: str) -> Path | None:
    found = (path for pattern in _MODULES for path in sorted(Path("/").glob(f"{pattern[1:]}/{name}")))
    return next(found, None)


def _module_exists(written: str) -> bool:
    """A path with a `$` in it is libpam's to resolve."""
    if written.startswith("/"):
        return "$" in written or Path(written).is_file()
    return _find_module(written) is not None


def _why_not_loaded(path: Path | None) -> str:
    if path is None or not path.is_file():
        return f"{path or MODULE} is not there"
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        return f"{path} cannot be loaded ({error})"
    missing = [name for name in ("pam_sm_authenticate", "pam_sm_acct_mgmt") if not hasattr(library, name)]
    return f"{path} is no PAM module" if missing else ""
