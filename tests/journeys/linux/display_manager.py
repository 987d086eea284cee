"""A display manager of the laptop: greetd with its greeter on a terminal, and the stacks that Debian's package brings.

Its package is unpacked and not installed (tools/setup): installed, it would be the display manager of this machine.
"""

import sys
from pathlib import Path

from tests.journeys.linux.machines import Machine

_PACKAGE = Path(sys.prefix) / "unpacked" / "greetd"
_PROGRAMS = _PACKAGE / "usr" / "sbin"
_PLACE = "/run/greeter"
_CONFIGURATION, _GREETER, _SESSION = f"{_PLACE}/greetd.toml", f"{_PLACE}/greet", f"{_PLACE}/session"
_USER = "_greetd"

# it starts a greeter, then the session that the greeter asked for, then a greeter again, all on its own terminal
COMMAND = (str(_PROGRAMS / "greetd"), "--config", _CONFIGURATION)

_SETTINGS = f"""\
[terminal]
vt = "none"
[general]
source_profile = false
[default_session]
command = "{_GREETER}"
user = "{_USER}"
"""
# the greeter reads secrets from a terminal that is its own
_GREET = f"""\
#!/bin/sh
exec script --quiet --command '{_PROGRAMS / "agreety"} --max-failures 1 --cmd {_SESSION}' /dev/null
"""


def install(machine: Machine, session: str) -> None:
    """Install a display manager. A user who signs in runs `session`, a line of shell."""
    assert _PACKAGE.is_dir(), f"{_PACKAGE} is not there: run tools/setup unpacked/greetd"
    for stack in (_PACKAGE / "etc" / "pam.d").iterdir():
        machine.path(f"/etc/pam.d/{stack.name}").write_bytes(stack.read_bytes())
    machine.run("useradd", "--system", _USER)
    machine.path(_PLACE).mkdir()
    machine.path(_CONFIGURATION).write_text(_SETTINGS)
    for program, text in ((_GREETER, _GREET), (_SESSION, f"#!/bin/sh\n{session}\n")):
        machine.path(program).write_text(text)
        machine.path(program).chmod(0o755)
