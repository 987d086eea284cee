"""Login programs of the laptop, as a person uses them: each starts the real program on a terminal and types answers.

After a login, a command prints the name of the user. An exit code alone does not count as a login.
"""

from dataclasses import dataclass

from tests.journeys.linux import display_manager
from tests.journeys.linux.machines import Machine
from tests.journeys.linux.terminal import Terminal

PASSCODE = "Passcode:"
PROOF = "echo in as $(id -un)"
_SHELL = r"\$ $"


@dataclass(frozen=True)
class LoginResult:
    """The text that the login program showed, and whether the login succeeded."""

    is_in: bool
    words: str


@dataclass(frozen=True)
class LoginProgram:
    """One program that asks PAM. In `command` and `proof` PERSON stands for the person's name."""

    name: str
    command: tuple[str, ...]
    proof: str  # a line that only a logged-in user sees
    by: str = "root"  # the account that starts it
    opens_shell: bool = False  # the proof is asked for at a shell's prompt
    knock: tuple[str, str] = ("", "")  # the first prompt and its answer, in which PERSON is replaced, too
    refusal: str = ""  # shown by a program that continues after a refusal
    goes_on: bool = False  # after a yes as well
    is_slow: bool = False  # drops input from before its prompt

    def try_it(self, machine: Machine, login: str, *typed: str | tuple[str, str], by: str = "") -> LoginResult:
        """Try to log in once, as another caller than usual if `by` is given. `typed`: answers to the passcode's prompt,
        or pairs (prompt, answer)."""
        words = (*_as(by or self.by), *self.command)
        command = [word.replace("PERSON", login) for word in words]
        proof = self.proof.replace("PERSON", login)
        with Terminal([*machine.entered, *command]) as terminal:
            shown, name = self.knock
            if shown:
                terminal.answer(shown, name.replace("PERSON", login))
            for each in typed:
                prompt, text = (PASSCODE, each) if isinstance(each, str) else each
                terminal.answer(prompt, text, slowly=self.is_slow)
            sign = self._sign(terminal, proof)
            if sign in {"no", "yes"}:
                return LoginResult(sign == "yes", terminal.words)
            if sign == "shell":
                terminal.type(f"{PROOF}; exit")
            ended = terminal.end()
        is_in = proof in ended.words.splitlines()
        assert is_in is (ended.code == 0), ended
        return LoginResult(is_in, ended.words)

    def _sign(self, terminal: Terminal, proof: str) -> str:
        """Return the last sign of the program: `shell`, `no` or `yes`, or "" if it just ends."""
        signs = {"shell": _SHELL if self.opens_shell else "", "no": self.refusal}
        signs["yes"] = rf"(?m:^{proof}$)" if self.goes_on else ""
        patterns = [f"(?P<{name}>{pattern})" for name, pattern in signs.items() if pattern]
        found = terminal.shows("|".join(patterns)) if patterns else None
        return (found.lastgroup if found else None) or ""


def _as(login: str) -> tuple[str, ...]:
    if login == "root":
        return ()
    group = "nogroup" if login == "nobody" else login
    return ("setpriv", f"--reuid={login}", f"--regid={group}", "--init-groups", "--")


SSH = LoginProgram(
    "ssh",
    (
        "ssh",
        "-F",
        "none",
        "-tt",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "PreferredAuthentications=keyboard-interactive",
        "-o",
        "NumberOfPasswordPrompts=1",
        "PERSON@127.0.0.1",
    ),
    "in as PERSON",
    opens_shell=True,
)
# the person becomes root
SUDO = LoginProgram("sudo", ("sudo", "-k", "sh", "-c", PROOF), "in as root", by="PERSON")
# another account of the machine switches to this user
SU = LoginProgram("su", ("su", "PERSON", "-s", "/bin/sh", "-c", PROOF), "in as PERSON", by="nobody")
# at the console
LOGIN = LoginProgram(
    "login",
    ("setsid", "--ctty", "--wait", "login", "PERSON"),
    "in as PERSON",
    opens_shell=True,
    refusal="Login incorrect",
)
# the person's own screen, which she has locked
LOCK = LoginProgram(
    "vlock",
    ("sh", "-c", f"vlock && {PROOF}"),
    "in as PERSON",
    by="PERSON",
    knock=("to unlock", ""),
    refusal="vlock: Authentication failure",
    is_slow=True,
)
# a program that has the person's rights and no more, as the screen locks of most desktops have
OWN_RIGHTS = LoginProgram(
    "pamtester", ("sh", "-c", f"pamtester lock PERSON authenticate && {PROOF}"), "in as PERSON", by="PERSON"
)
# where a desktop begins
GREETD = LoginProgram(
    "greetd",
    display_manager.COMMAND,
    "in as PERSON",
    knock=("login: ", "PERSON"),
    refusal="Login incorrect",
    goes_on=True,
)
EVERY = (SSH, SUDO, SU, LOGIN, GREETD, LOCK, OWN_RIGHTS)
