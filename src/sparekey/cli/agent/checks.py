"""The checks of `doctor` around the agent: the service, the PAM stacks, the module, names and exempt accounts.

Each finding is computed from facts about this computer, and says what to do.
"""

import ctypes
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparekey.agent.ground.account_names import Names
from sparekey.agent.platform.configuration import Configuration
from sparekey.agent.platform.pam_stacks import MODULE, Stack, find_mistakes, find_taken_for_local, read_stacks
from sparekey.agent.platform.posix import group_exists, has_account
from sparekey.core.plurals import counted
from sparekey.wiring.agent import RUN_DIRECTORY, find_exempt_accounts, pam_texts

UNIT: Final = "sparekey-agent.service"
SYSTEMD: Final = Path("/run/systemd/system")  # exists while systemd runs (sd_booted(3))
MOST_NAMED: Final = 8  # programs, in a list for people
_KNOWN: Final = frozenset({"login", "sshd", "su", "sudo", "gdm-password", "lightdm", "sddm", "kde", "polkit-1"})
_MODULES: Final = ("/usr/lib/*/security", "/usr/lib/security", "/usr/lib64/security", "/lib/*/security")
_INSTALLED: Final = Path("/usr/share/doc/sparekey-agent/linux-login.md")  # by the package


@dataclass(frozen=True)
class CheckResult:
    """The result of one check."""

    name: str
    ok: bool
    words: str
    more: str = ""  # all of it, for programs, if `words` leaves something out


def look_around(configuration: Configuration) -> Iterator[CheckResult]:
    """Return the findings on this computer."""
    yield of_service(_unit_state())
    texts = pam_texts()
    stacks = read_stacks(texts, configuration.exempt_group)
    yield of_logins(stacks, find_mistakes(texts, _module_exists), find_taken_for_local(texts))
    yield of_module(stacks, _why_not_loaded(_module_path(stacks)))
    exempt = find_exempt_accounts(configuration)
    yield of_exempt(stacks, exempt, configuration.exempt_group, exists=group_exists(configuration.exempt_group))
    yield of_names(configuration.names, [account for account in configuration.names.mapped if not has_account(account)])


def logins_ask(configuration: Configuration) -> bool:
    """Return True if any login of this computer needs the agent."""
    return any(stack.asks for stack in read_stacks(pam_texts(), configuration.exempt_group))


def of_socket(path: Path) -> CheckResult:
    """Check that a login shim with the usual settings finds the agent."""
    if path.parent == RUN_DIRECTORY:
        return CheckResult("socket", True, str(path))
    return CheckResult("socket", True, f"{path}; the PAM module needs the option socket={path}")


def of_service(state: str) -> CheckResult:
    """Check that the service starts with the computer. `state` is what systemd reports for the unit; "" without
    systemd."""
    if not state:
        return CheckResult(
            "service", True, "there is no systemd here: start the agent with the computer in another way"
        )
    if state in {"enabled", "enabled-runtime", "static", "linked"}:
        return CheckResult("service", True, "starts with the computer")
    return CheckResult("service", False, f"{state}: it does not start with the computer; run `systemctl enable {UNIT}`")


def of_logins(
    stacks: Sequence[Stack], mistakes: Sequence[str] = (), taken_for_local: Sequence[str] = ()
) -> CheckResult:
    """List the services that ask for the passcode. `mistakes` are lines that cannot work; `taken_for_local` are
    services with remote users that do not tell PAM."""
    if mistakes:
        return CheckResult("logins", False, "; ".join(mistakes))
    if taken_for_local:
        service = taken_for_local[0]
        return CheckResult(
            "logins",
            False,
            f"{service} has users over the network and does not tell PAM, so that they get the limits and messages of "
            f"the console: add remote={service} to the line of {MODULE}",
        )
    asking = [stack.service for stack in stacks if stack.asks]
    if not asking:
        return CheckResult("logins", True, f"none asks for the passcode yet; to begin, see {_document()}")
    others = [stack.service for stack in stacks if not stack.asks]
    verb = "asks" if len(asking) == 1 else "ask"
    message = f"{counted(len(asking), 'service')} {verb} for the passcode: {_in_short(asking)}"
    more = f"{', '.join(asking)} {verb} for the passcode"
    if others:
        message += f"; {len(others)} {'does' if len(others) == 1 else 'do'} not: {_in_short(others)}"
        more += f"; these do not: {', '.join(others)}"
    return CheckResult("logins", True, message, more)


def _in_short(services: Sequence[str]) -> str:
    """Return the services as a short list, with those that people use for logins first.

    Services of one program (`su`, `su-l`) appear once, with their number. Of a long list, the last ones appear only as
    a number.
    """
    programs: dict[str, list[str]] = {}
    for service in sorted(services, key=lambda service: (service not in _KNOWN, service)):
        programs.setdefault(service.partition("-")[0], []).append(service)
    names = [group[0] if len(group) == 1 else f"{name} ({len(group)})" for name, group in programs.items()]
    left = sum(len(group) for group in list(programs.values())[MOST_NAMED:])
    return ", ".join(names[:MOST_NAMED]) + (f" and {left} more (--json names all)" if left else "")


def of_module(stacks: Sequence[Stack], trouble: str) -> CheckResult:
    """Check that the PAM module can be loaded. `trouble` is the reason why not, "" if it can."""
    if not trouble:
        return CheckResult("module", True, f"{MODULE} can be loaded")
    if not any(stack.asks for stack in stacks):
        return CheckResult("module", True, f"{trouble}; no login needs it")
    return CheckResult("module", False, f"{trouble}, so only exempt accounts can sign in: install it again")


def of_exempt(stacks: Sequence[Stack], exempt: Sequence[str], group: str, *, exists: bool) -> CheckResult:
    """List the accounts that can sign in when the agent fails."""
    asking = [stack for stack in stacks if stack.asks]
    if exempt and not exists:
        return CheckResult("exempt", True, f"{', '.join(exempt)}; there is no group {group}")
    if asking and not exists:
        return CheckResult(
            "exempt", False, f"there is no group {group}: run `groupadd --system {group}`, and add an account to it"
        )
    without = [stack.service for stack in asking if not stack.exempt_group]
    if without:
        message = f"{_in_short(without)} ask members of {group} too, as far as the shipped lines show"
        return CheckResult("exempt", True, f"{', '.join(exempt) or 'no account'}; {message}")
    if asking and not exempt:
        message = f"no account: keep one for the day on which the agent fails: `usermod -aG {group} ACCOUNT`"
        return CheckResult("exempt", True, message)
    return CheckResult("exempt", True, ", ".join(exempt) or "no account")


def of_names(names: Names, unknown: Sequence[str]) -> CheckResult:
    """Check the names. `unknown` are mapped accounts that this computer does not have."""
    if names.has_no_logins:
        return CheckResult("names", False, "no account has a login: add one under [names], or remove the table")
    if unknown:
        return CheckResult(
            "names", False, f"no such account here: {', '.join(unknown)}; see [names] in the configuration"
        )
    if not names.mapped:
        return CheckResult("names", True, "accounts use their own name")
    others = "use their own name" if names.same else "have no login"
    return CheckResult("names", True, f"{len(names.mapped)} mapped; other accounts {others}")


def _document() -> Path:
    return _INSTALLED if _INSTALLED.is_file() else Path("docs/linux-login.md")


def _unit_state() -> str:
    if not SYSTEMD.is_dir():
        return ""
    line = ["systemctl", "is-enabled", UNIT]
    done = subprocess.run(line, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip() or "not installed"


def _module_path(stacks: Sequence[Stack]) -> Path | None:
    """Return the path at which PAM looks for the module."""
    written = [Path(stack.module) for stack in stacks if stack.module.startswith("/")]
    if written:
        return next((path for path in written if not path.is_file()), written[0])
    return _find_module(MODULE)


def _find_module(name: str) -> Path | None:
    found = (path for pattern in _MODULES for path in sorted(Path("/").glob(f"{pattern[1:]}/{name}")))
    return next(found, None)


def _module_exists(written: str) -> bool:
    """Return True if the module, as written, exists. libpam resolves a path with `$` in it."""
    if written.startswith("/"):
        return "$" in written or Path(written).is_file()
    return _find_module(written) is not None


def _why_not_loaded(path: Path | None) -> str:
    if path is None or not path.is_file():
        return f"{path or MODULE} does not exist"
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        return f"{path} cannot be loaded ({error})"
    missing = [name for name in ("pam_sm_authenticate", "pam_sm_acct_mgmt") if not hasattr(library, name)]
    return f"{path} is no PAM module" if missing else ""
