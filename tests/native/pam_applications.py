"""Applications of libpam with PAM files of their own: `pamtester`, and a driver with a scripted conversation."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.native.built import check, pam_module

SUCCESS, SERVICE_ERR, BUF_ERR, PERM_DENIED, AUTH_ERR = 0, 3, 5, 6, 7
CRED_INSUFFICIENT, AUTHINFO_UNAVAIL, CONV_ERR, INCOMPLETE = 8, 9, 19, 31
NOTHING, BROKEN, AGAIN = "null", "fail", "again"  # instead of an answer


def typed(text: str | bytes) -> str:
    """An answer to a prompt."""
    return f"text {(text.encode() if isinstance(text, str) else text).hex()}"


@dataclass
class Seen:
    """The view of an application: the status of each step, the messages to show, and the lines in the log."""

    status: dict[str, int] = field(default_factory=dict)
    shown: list[tuple[str, str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    output: str = ""

    def texts(self, style: str) -> list[str]:
        return [text for each, text in self.shown if each == style]


@dataclass
class PamDirectory:
    """PAM files in place of /etc/pam.d. A line of ours is written `CONTROL OPTIONS`."""

    path: Path

    def write(self, name: str, auth: list[str], *, module: Path | None = None) -> str:
        """A service with these lines of authentication, and ours alone for the rest. A line that names a module stands
        as it is."""
        ours = module or pam_module()
        lines = [f"auth {line if ' pam_' in line else _with(ours, line)}" for line in auth]
        lines += [f"{kind} required {ours}" for kind in ("account", "password")]
        (self.path / name).write_text("\n".join(lines) + "\n")
        (self.path / "other").write_text("auth required pam_deny.so\n")
        return name


def _with(module: Path, line: str) -> str:
    end = line.index("]") + 1 if line.startswith("[") else len(line.partition(" ")[0])
    return f"{line[:end]} {module}{line[end:]}"


def drive(
    directory: PamDirectory,
    auth: list[str],
    *steps: str,
    answers: list[str],
    user: str | bytes | None = "alice",
    plain: bool = False,
) -> Seen:
    """The steps of one application, in order, with the module under sanitizers unless `plain`."""
    name, driver = ("pam_sparekey.so", "pam_driver") if plain else ("asan/pam_sparekey.so", "asan/pam_driver")
    service = directory.write("driven", auth, module=check(name))
    raw = user.encode() if isinstance(user, str) else user
    line = [str(check(driver)), str(directory.path), service, "-" if raw is None else raw.hex(), *steps]
    done = subprocess.run(
        line, input="\n".join(answers) + "\n", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return seen_in(done.stdout)


def seen_in(output: str) -> Seen:
    """Return the view in the output of the driver."""
    seen = Seen(output=output)
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word == "status":
            step, _, status = rest.rpartition(" ")
            seen.status[step] = int(status)
        elif word == "log":
            seen.log.append(_text(rest))
        else:
            seen.shown.append((word, _text(rest)))
    return seen


def _text(hex_or_none: str) -> str:
    return "" if hex_or_none == "-" else bytes.fromhex(hex_or_none).decode()


def pamtester(
    directory: PamDirectory,
    service: str,
    *operations: str,
    stdin: str,
    user: str = "alice",
    no_memory: tuple[int, int] = (0, 0),
) -> "subprocess.CompletedProcess[str]":
    """pamtester's run: status 0 where every operation succeeded. `no_memory`: from which to which allocation of an
    authentication there is none."""
    environment = {
        **os.environ,
        "LD_PRELOAD": str(check("preload.so")),
        "SPAREKEY_PAM_DIRECTORY": str(directory.path),
        "SPAREKEY_FAIL_FROM": str(no_memory[0]),
        "SPAREKEY_FAIL_TO": str(no_memory[1]),
    }
    line = ["pamtester", service, user, *operations]
    return subprocess.run(line, input=stdin, capture_output=True, text=True, timeout=60, env=environment, check=False)
