"""The doors of the laptop, as a person uses them: each starts the real program on a terminal and types when asked.

Whoever is in has a command run that says as whom; an exit code alone lets nobody in here.
"""

from dataclasses import dataclass

from tests.journeys.linux.machines import Machine
from tests.journeys.linux.terminal import Terminal

PASSCODE = "Passcode:"
_PROOF = "echo in as $(id -un)"
_SHELL = r"\$ $"


@dataclass(frozen=True)
class Said:
    """What the door showed, and whether somebody went through it."""

    is_in: bool
    words: str


@dataclass(frozen=True)
class Door:
    """One program that asks PAM. In `command` and `proof` PERSON stands for the person's name."""

    name: str
    command: tuple[str, ...]
    proof: str  # the line that only somebody who is in sees
    by: str = "root"  # who starts it
    opens_shell: bool = False  # the proof is asked for at a shell's prompt
    knock: str = ""  # ENTER is pressed when this is shown
    refusal: str = ""  # shown by a program that goes on after a no
    is_slow: bool = False  # forgets what is typed before it waits

    def try_it(self, machine: Machine, login: str, *typed: str | tuple[str, str], by: str = "") -> Said:
        """One attempt, by somebody else than usual if `by` is given. `typed`: what answers the passcode's prompt, or
        (prompt, answer)."""
        words = (*_as(by or self.by), *self.command)
        command = [word.replace("PERSON", login) for word in words]
        with Terminal([*machine.entered, *command]) as terminal:
            if self.knock:
                terminal.answer(self.knock, "")
            for each in typed:
                prompt, text = (PASSCODE, each) if isinstance(each, str) else each
                terminal.answer(prompt, text, slowly=self.is_slow)
            if self._says_no(terminal):
                return Said(is_in=False, words=terminal.words)
            shown = terminal.end()
        is_in = self.proof.replace("PERSON", login) in shown.words.splitlines()
        assert is_in is (shown.code == 0), shown
        return Said(is_in, shown.words)

    def _says_no(self, terminal: Terminal) -> bool:
        """Follows the program to where it ends by itself; True where it says no and does not end."""
        signs = [f"(?P<shell>{_SHELL})"] if self.opens_shell else []
        signs += [f"(?P<no>{self.refusal})"] if self.refusal else []
        found = terminal.shows("|".join(signs)) if signs else None
        if found is not None and found.lastgroup == "shell":
            terminal.type(f"{_PROOF}; exit")
            return False
        return found is not None


def _as(login: str) -> tuple[str, ...]:
    if login == "root":
        return ()
    group = "nogroup" if login == "nobody" else login
    return ("setpriv", f"--reuid={login}", f"--regid={group}", "--init-groups", "--")


SSH = Door(
    "ssh",
    ("ssh", "-F", "none", "-tt", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
     "-o", "PreferredAuthentications=keyboard-interactive", "-o", "NumberOfPasswordPrompts=1", "PERSON@127.0.0.1"),
    "in as PERSON",
    opens_shell=True,
)  # fmt: skip
# the person becomes root
SUDO = Door("sudo", ("sudo", "-k", "sh", "-c", _PROOF), "in as root", by="PERSON")
# somebody else on the machine becomes the person
SU = Door("su", ("su", "PERSON", "-s", "/bin/sh", "-c", _PROOF), "in as PERSON", by="nobody")
# at the console
LOGIN = Door(
    "login",
    ("setsid", "--ctty", "--wait", "login", "PERSON"),
    "in as PERSON",
    opens_shell=True,
    refusal="Login incorrect",
)
# the person's own screen, which she has locked
LOCK = Door(
    "vlock",
    ("sh", "-c", f"vlock && {_PROOF}"),
    "in as PERSON",
    by="PERSON",
    knock="to unlock",
    refusal="vlock: Authentication failure",
    is_slow=True,
)
# a program that has the person's rights and no more, as the screen locks of most desktops have
OWN_RIGHTS = Door(
    "pamtester", ("sh", "-c", f"pamtester lock PERSON authenticate && {_PROOF}"), "in as PERSON", by="PERSON"
)
EVERY = (SSH, SUDO, SU, LOGIN, LOCK, OWN_RIGHTS)
