"""The PAM stacks of the laptop, as the package puts them there: the module, the profiles for `pam-auth-update`, and
what its own script does.

Debian's own stacks of sshd, sudo, su and login stay as they are: all include common-auth, which the profiles change.
"""

from pathlib import Path

from sparekey.agent.platform.configuration import EXEMPT_GROUP
from tests.journeys.linux.machines import SECURITY, Machine
from tools.tree import ROOT

PROFILES = ROOT / "packaging/pam"
POSTINST = ROOT / "packaging/deb/debian/sparekey-agent.postinst"
FORMER = "1.0"  # of the previous version: the welcome message is not repeated
ALONE, AFTER_PASSWORD = "sparekey", "sparekey-second"


class Stacks:
    """The PAM stacks of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._enabled = ""
        self._as_enabled = ""  # the file of the profiles, while another one replaces it

    def hurry(self) -> None:
        """Remove the delay of two seconds after a wrong password, once pam-auth-update has run."""
        self._profile("unix").write_text(_without_delay(self._profile("unix").read_text()))

    def install(self, module: Path) -> None:
        """Install the files of the agent's package and do its script's work, which creates the group of exempt
        accounts."""
        self._machine.path(f"{SECURITY}/{module.name}").write_bytes(module.read_bytes())
        for name in (ALONE, AFTER_PASSWORD):
            self._profile(name).write_bytes((PROFILES / name).read_bytes())
        self._machine.run("env", "DEBIAN_FRONTEND=noninteractive", "sh", str(POSTINST), "configure", FORMER)

    def uninstall(self) -> None:
        """Restore the state from before the package."""
        self.disable()
        for name in (ALONE, AFTER_PASSWORD):
            self._profile(name).unlink()
        self._machine.run("delgroup", "--quiet", EXEMPT_GROUP)

    def enable(self, profile: str) -> None:
        """One of the two, and not the other; nothing happens where it is so."""
        if self._as_enabled:
            self._common.write_text(self._as_enabled)
            self._as_enabled = ""
        if profile == self._enabled:
            return
        other = AFTER_PASSWORD if profile == ALONE else ALONE
        self._machine.run("pam-auth-update", "--disable", other)
        self._machine.run("pam-auth-update", "--enable", profile)
        self._enabled = profile

    def disable(self) -> None:
        """Restore the stacks from before the profiles."""
        self._machine.run("pam-auth-update", "--disable", ALONE, AFTER_PASSWORD)
        self._enabled = ""

    def write_by_hand(self, example: str) -> None:
        """A shipped example in place of common-auth, until a profile is enabled again."""
        self._as_enabled = self._as_enabled or self._common.read_text()
        self._common.write_text(_without_delay(self.example(example)))

    def give_up(self) -> None:
        """Replace the profiles by handwritten files, for good."""
        self._as_enabled = self._enabled = ""

    @staticmethod
    def example(name: str) -> str:
        return (PROFILES / "examples" / name).read_text()

    def common(self) -> dict[str, bytes]:
        """The stacks that all services include."""
        return {path.name: path.read_bytes() for path in self._common.parent.glob("common-*")}

    @property
    def _common(self) -> Path:
        return self._machine.path("/etc/pam.d/common-auth")

    def _profile(self, name: str) -> Path:
        return self._machine.path(f"/usr/share/pam-configs/{name}")


def _without_delay(stack: str) -> str:
    return stack.replace("pam_unix.so", "pam_unix.so nodelay")
