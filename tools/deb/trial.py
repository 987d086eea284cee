"""Tries the packages of /project/dist in the fresh Debian that packaging/deb/test made: run in it, as its root.

`before` runs in it as in any chroot: an older version is installed. `after` runs in it once its systemd has started: a
server and a device are set up with the older version, and the packages that were built replace it while both are in
use. Then people sign in through PAM as the package sets it up, online and without a network; the demo tells its whole
story with the packaged programs; and removal and purge leave neither a file nor a line of PAM behind.

Rules: what is not as expected ends the trial with words and exit 1; the units run as they are shipped.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

PROJECT: Final = Path("/project")
OLDER: Final = Path("/packages")
DATA: Final = Path("/var/lib/sparekey")
PAM: Final = Path("/etc/pam.d")
BEFORE: Final = OLDER / "pam-before.json"
SERVICE: Final = "trial"  # a PAM service of its own, on Debian's common files, as sshd's is
PIN: Final = "2580"
PASSWORD: Final = "correct horse"
AGENT: Final = "sparekey-agent"
SERVER: Final = "sparekey-server"
ADDRESS: Final = "127.0.0.1:8443"
AS_OWNER: Final = ("runuser", "-u", "sparekey", "--")
ON_SERVER: Final = ("sparekey", "--data", str(DATA))
STEP: Final = 30  # seconds that a tokencode lasts


class TrialError(AssertionError):
    """Something came out otherwise than it has to."""


def expect(holds: bool, what: str, seen: object = "") -> None:
    """Ends the trial where `holds` is false."""
    if not holds:
        raise TrialError(f"expected {what}; seen: {seen}")


def say(words: str) -> None:
    print(f"   {words}", flush=True)


def run(*command: str, typed: str = "", fails: bool = False, env: dict[str, str] | None = None) -> str:
    """Return the output of the command on both streams. Its exit code must match `fails`."""
    done = subprocess.run(
        command,
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", **(env or {})},
    )
    expect((done.returncode != 0) is fails, f"`{' '.join(command)}` to {'fail' if fails else 'work'}", done.stdout)
    return done.stdout


def install(*packages: Path) -> str:
    """By apt, with what they depend on."""
    return run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *map(str, packages))


def of_server(*arguments: str, typed: str = "") -> Any:
    """A command on the server, given as its packages say; its JSON."""
    line = [*AS_OWNER, *ON_SERVER, *arguments, "--json"]
    done = subprocess.run(line, input=typed, capture_output=True, text=True, timeout=120, check=False)
    expect(done.returncode == 0, f"`sparekey {' '.join(arguments)}` to work", done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else None


def older(package: Path) -> Path:
    """Return the same package with a lower version, repacked without compression."""
    tree = OLDER / package.name.partition("_")[0]
    run("dpkg-deb", "-R", str(package), str(tree))
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 0.0.1", control.read_text()))
    built = OLDER / f"{tree.name}_0.0.1.deb"
    run("dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(built))
    shutil.rmtree(tree)
    return built


def is_active(unit: str) -> bool:
    """Return True if the service runs."""
    return run("systemctl", "show", "--property=ActiveState", "--value", unit).strip() == "active"


def start(unit: str) -> None:
    """Starts the service, and waits until it answers."""
    run("systemctl", "start", unit)
    wait_for(lambda: is_active(unit) and (unit != SERVER or is_answered(ADDRESS)), f"{unit} to answer")


def wait_for(holds: Callable[[], bool], what: str) -> None:
    """Looks again and again, up to a limit."""
    patience = time.monotonic() + 60
    while not holds():
        expect(time.monotonic() < patience, what)
        time.sleep(0.1)


def journal() -> str:
    """The last words of both services, where there is a service manager."""
    line = ["journalctl", "--no-pager", "-o", "cat", "-n", "40", "-u", AGENT, "-u", SERVER]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return done.stdout


def is_answered(address: str) -> bool:
    """Return True if a server accepts connections at this address."""
    return f" {address} " in run("ss", "-Hlnt")


class Alice:
    """Her PIN and her token, played by oathtool. It runs up to one step fast, so that fewer codes are waited for."""

    def __init__(self) -> None:
        self.seed = secrets.token_hex(20)
        self._last = 0

    def passcode(self) -> str:
        """With a code that was not used yet: this one, or the next."""
        step = max(self._last + 1, _this_step())
        while step > _this_step() + 1:
            time.sleep(1)
        self._last = step
        return PIN + run("oathtool", "--totp", f"--now=@{step * STEP}", "-", typed=self.seed).strip()


def _this_step() -> int:
    return int(time.time()) // STEP  # noqa: TID251 -- a person looks at the token; sparekey is not on this path


def sign_in(typed: str, *, fails: bool = False, user: str = "alice") -> str:
    """Through PAM, as a program that asks for a login does; what was shown."""
    return run("pamtester", SERVICE, user, "authenticate", "acct_mgmt", typed=typed + "\n", fails=fails)


class Trial:
    """The state that the acts share."""

    def __init__(self) -> None:
        self.packages = sorted((PROJECT / "dist").glob("sparekey-*.deb"))
        self.alice = Alice()
        self.serial = ""

    def older_version(self) -> None:
        """In a chroot, an older version is installed: it says what comes next, and changes no login"""
        expect(run("ip", "-o", "link").count("\n") == 1, "no network but a loopback", run("ip", "-o", "link"))
        expect(len(self.packages) == 2, "one package for the agent and one for the server", self.packages)
        (PAM / SERVICE).write_text("@include common-auth\n@include common-account\n@include common-session\n")
        for user in ("alice", "bob"):
            run("useradd", "--create-home", "--shell", "/bin/sh", user)
        run("chpasswd", typed=f"alice:{PASSWORD}\n")
        BEFORE.write_text(json.dumps(pam_files()))
        said = install(*map(older, self.packages))
        for line in ("sparekey-agent enroll --server", "pam-auth-update --enable sparekey", "admin link"):
            expect(line in said, f"the next step, `{line}`", said)
        expect(pam_files() == json.loads(BEFORE.read_text()), "PAM as it was", pam_files())
        sign_in(PASSWORD)
        say("installed; alice signs in with her password, as before")
        run(
            "/usr/bin/python3",
            "-ISB",
            "-c",
            "import sys; sys.path[:0] = ['/usr/lib/sparekey-agent']; import tpm2_pytss",
        )
        say("what talks to a TPM finds its libraries")
        for where in ("fish/vendor_completions.d/sparekey.fish", f"doc/{SERVER}/user.png", f"doc/{AGENT}/glossary.md"):
            expect((Path("/usr/share") / where).exists(), where)

    def set_up(self) -> None:
        """A server and a device, as the packages said, on a machine with systemd"""
        for unit in (AGENT, SERVER):
            expect(run("systemctl", "is-enabled", unit).strip() == "enabled", f"{unit} to be enabled")
            expect(not is_active(unit), f"{unit} to wait until there is something to serve")
        said = run(*ON_SERVER, "init", "--listen", ADDRESS, fails=True)
        expect("Run: runuser -u sparekey -- sparekey" in said, "root to be told who does so", said)
        said = run(*AS_OWNER, *ON_SERVER, "init", "--listen", ADDRESS)
        expect(f"Next: systemctl start {SERVER}\n" in said, "the next step of a computer with systemd", said)
        start(SERVER)
        of_server("policy", "offline", "set", "Default", "days=1", "protection_level=light")
        of_server("user", "add", "alice")
        self.serial = of_server("token", "add", "--user", "alice", "--seed-stdin", typed=self.alice.seed)["serial"]
        of_server("token", "set-pin", self.serial, typed=PIN + "\n")
        code = of_server("device", "invite", "trial-laptop")["code"]
        run(AGENT, "enroll", "--server", f"https://{ADDRESS}", "--code", "-", typed=code + "\n")
        start(AGENT)
        said = run(AGENT, "login", "alice", typed=self.alice.passcode() + "\n")
        say(f"sparekey-agent login alice: {said.strip().splitlines()[-1]}")

    def upgrade(self) -> None:
        """The built packages replace the older ones in use: nothing is lost"""
        before, processes = json.loads(run(AGENT, "status", "--json")), (main_process(AGENT), main_process(SERVER))
        said = install(*self.packages)
        expect("Next:" not in said and "runuser" not in said, "nothing that is left to do", said)
        for unit, process in zip((AGENT, SERVER), processes, strict=True):
            start(unit)
            expect(main_process(unit) != process, f"{unit} to be another process", process)
        after = json.loads(run(AGENT, "status", "--json"))
        expect(after["device"] == before["device"], "the same device", after)
        expect(after["users"][0]["days_left"] >= 1, "the offline data that it had", after)
        for package in self.packages:
            name, version = package.name.split("_")[:2]
            expect(version in run("dpkg-query", "-W", name), f"{name} {version}", run("dpkg-query", "-W", name))
        say("both are newer, and were started again; the device is the same, with its offline data")

    def logins(self) -> None:
        """People sign in through PAM: online, and without a network"""
        run("pam-auth-update", "--package", "--enable", "sparekey")
        expect("pam_sparekey.so" in (PAM / "common-auth").read_text(), "the profile in force", pam_files())
        say(f"online, with the token:           {last_words(sign_in(self.alice.passcode()))}")
        sign_in(PASSWORD, fails=True)
        say("the password alone:               refused")
        run("ip", "link", "set", "lo", "down")
        used = self.alice.passcode()
        say(f"no network, with the token:       {last_words(sign_in(used))}")
        sign_in(used, fails=True)
        say("the same passcode again:          refused")
        shown = of_server("emergency", "show", self.serial, "--device", "trial-laptop", "--caller", "called back")
        say(f"no network, with PIN and code:    {last_words(sign_in(PIN + shown['code']))}")
        who = run("runuser", "-u", "bob", "--", "su", "alice", "-c", "id -un", typed=PIN + shown["code"] + "\n")
        expect("alice" in who, "bob to become alice by her passcode", who)
        say("su, by another user:              in, with the same code")
        run("usermod", "-a", "-G", "sparekey-exempt", "alice")
        sign_in(PASSWORD)
        run("gpasswd", "-d", "alice", "sparekey-exempt")
        say("as one of sparekey-exempt:        the password is enough")
        run("systemctl", "stop", AGENT)
        sign_in(PIN + shown["code"], fails=True)
        start(AGENT)
        say("while no agent runs:              refused")
        run("ip", "link", "set", "lo", "up")

    def demo(self) -> None:
        """The demo tells its story with the packaged programs"""
        where = f"/usr/lib/sparekey-server:{PROJECT}"
        told = run("/usr/bin/python3", "-m", "tools.demo", "--exit", env={"PYTHONPATH": where})
        expect("The story is complete" in told, "the whole story", told)
        say(told.strip().splitlines()[-1])

    def removal(self) -> None:
        """Removed and purged, the packages leave nothing, and users can still log in"""
        by_hand = PAM / "by-hand"
        by_hand.write_text("auth required pam_sparekey.so\n")
        said = run("dpkg", "--remove", AGENT, fails=True)
        expect("/etc/pam.d/by-hand" in said, "the file that would lock somebody out", said)
        expect("pam_sparekey.so" in (PAM / "common-auth").read_text() and is_active(AGENT), "no change by a refusal")
        by_hand.unlink()
        say("while a PAM file of the administrator names the module: not removed, with words")
        said = run("dpkg", "--remove", AGENT, SERVER)
        expect("sparekey device revoke trial-laptop" in said, "the command that ends the device at the server", said)
        expect(pam_files() == json.loads(BEFORE.read_text()), "PAM as it was before", pam_files())
        expect(not is_active(AGENT) and not is_active(SERVER), "neither to run")
        sign_in(PASSWORD)
        kept = (DATA / "sparekey.toml", Path("/var/lib/sparekey-agent/state"))
        expect(all(path.exists() for path in kept), "state that is kept")
        said = run("dpkg", "--purge", AGENT, SERVER)
        for lost in ("/var/lib/sparekey-agent", str(DATA)):
            expect(f"removing {lost}:" in said, f"words about {lost}", said)
        expect(left_behind() == [], "nothing left", left_behind())
        sign_in(PASSWORD)
        say("removed: state stays, the password is enough again; purged: nothing is left")


def main_process(unit: str) -> int:
    """The id of the service's first process."""
    return int(run("systemctl", "show", "--property=MainPID", "--value", unit))


def pam_files() -> dict[str, str]:
    """Every file of PAM's configuration."""
    return {path.name: path.read_text() for path in sorted(PAM.iterdir())}


def left_behind() -> list[str]:
    """Files that carry the name, and files of the system that still speak of it."""
    named = run("find", "/", "/run", "-xdev", "-iname", "*sparekey*", "-not", "-path", "/packages/*").split()
    places = ("/etc", "/usr/lib/systemd", "/usr/share/pam-configs", "/var/lib/pam", "/var/lib/systemd", "/run")
    there = [place for place in places if Path(place).exists()]
    done = subprocess.run(["grep", "-rlI", "sparekey", *there], capture_output=True, text=True, check=False)
    # passwd-, group- and the like are what the tools for accounts keep of the time before
    return named + [name for name in done.stdout.split() if not name.endswith("-")]


def last_words(shown: str) -> str:
    """Return the module's own lines, without those of pamtester."""
    lines = [line.strip() for line in shown.splitlines() if line.strip() and not line.startswith("pamtester:")]
    return re.sub(r"^Passcode: *", "", lines[-1]) if lines else "in"


def main(when: str) -> int:
    """0 if everything came out as it has to."""
    begun, trial = time.monotonic(), Trial()
    acts = {
        "before": [trial.older_version],
        "after": [trial.set_up, trial.upgrade, trial.logins, trial.demo, trial.removal],
    }
    try:
        for act in acts[when]:
            print(f"\n{act.__doc__}   ({time.monotonic() - begun:.0f} s)", flush=True)
            act()
    except TrialError as error:
        print(f"\nThe trial ended: {error}\n\n{journal()}", flush=True)
        return 1
    if when == "after":
        print(f"\nThe packages did what they have to, in {time.monotonic() - begun:.0f} seconds.", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
