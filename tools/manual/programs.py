"""Both programs: their trees, and what their manual pages say beside the commands."""

from typing import Final

import typer

from sparekey.cli.agent import main as agent
from sparekey.cli.server import main as server
from tools.manual.of_argparse import read_parser
from tools.manual.of_typer import read_program
from tools.manual.page import About
from tools.manual.tree import Command

AGENT: Final[Command] = read_parser(agent._parser())  # noqa: SLF001 -- only documents ask for it
SERVER: Final[Command] = read_program(typer.main.get_command(server.app), "sparekey")

ABOUT: Final = {
    AGENT: About(
        section=8,
        synopsis=("`sparekey-agent` COMMAND [OPTIONS]",),
        description=(
            "`sparekey-agent` protects a computer with a second factor. It asks the Sparekey server while it can be "
            "reached, and judges by itself with days of offline data and emergency codes that it fetched before.",
            "`sparekey-agent run` is the daemon; the service manager starts it. `login`(1), `sshd`(8), `sudo`(8) and "
            "the like ask it through `pam_sparekey`(8). The other commands ask the daemon too, and do the work "
            "themselves where none runs.",
            "A passcode, a PIN or a code is read from the terminal or from standard input, and never from the command "
            "line, where others could see it.",
        ),
        exits={
            "0": "It was done; of `login`, `test`, `keep-key` and `unlock-key`: granted. Anything else is a refusal.",
            "1": "It failed; standard error says what to do.",
            "2": "The command was not given rightly.",
            "3": "`login`, `test`, `keep-key` and `unlock-key`: denied.",
            "4": "`login`, `keep-key` and `unlock-key`: more is asked; see --reply-to of `login`.",
            "5": "`login`, `test`, `keep-key` and `unlock-key`: the device cannot judge.",
        },
        files={
            "/etc/sparekey/agent.toml": "What this device is told; every line of it may be left out.",
            "/var/lib/sparekey-agent": "The store: keys, offline data, events that wait for the server. With a TPM a "
            "copied or restored one is refused; without one a copy can be guessed at, and "
            "a restored one is not noticed.",
            "/run/sparekey-agent/agent.sock": "Where the daemon listens when the service manager starts it.",
            "/usr/share/doc/sparekey-agent/linux-login.md": "How logins come to ask for the passcode, and how "
            "nobody is locked out on the way.",
        },
        see_also=("pam_sparekey(8)", "pam-auth-update(8)", "sparekey(1)"),
    ),
    SERVER: About(
        section=1,
        synopsis=(
            "`sparekey` --data DIR COMMAND [OPTIONS]",
            "`sparekey` --server URL --as USER [--ca FILE] COMMAND [OPTIONS]",
        ),
        description=(
            "`sparekey` runs the Sparekey server and looks after what is on it: users, tokens, protected computers, "
            "policies, roles, emergency codes and the audit record.",
            "With --data it acts on the server of that directory, as the user that owns it, who may do everything. "
            "With --server it asks a server over HTTPS, as the administrator that --as names; `sparekey login` comes "
            "first.",
            "Where the Debian package runs the server, commands on it are given to the service's own user: "
            "`runuser -u sparekey -- sparekey --data /var/lib/sparekey` COMMAND.",
            "A passcode, a PIN or a seed is read from the terminal or from standard input, and never from the command "
            "line, where others could see it.",
        ),
        exits={
            "0": "It was done.",
            "1": "It failed; standard error says what to do.",
            "2": "The command was not given rightly.",
            "130": "It was interrupted.",
        },
        variables={
            "SPAREKEY_DATA": "The data directory where --data is not given.",
            "SPAREKEY_SERVER, SPAREKEY_AS, SPAREKEY_SERVER_CA": "In the place of --server, --as and --ca.",
            "SPAREKEY_...": "Each key of the settings in capitals; goes before the file.",
        },
        files={
            "/var/lib/sparekey": "The data directory of the packaged service; its keys/ are to be kept apart from the "
            "backups of the database.",
            "/usr/share/doc/sparekey-server": "In the Debian package: settings, policy, roles, the console, "
            "emergency access, what is protected and what is not, the words.",
            "DIR/sparekey.toml": "The settings, which `sparekey config check` shows.",
            "$XDG_STATE_HOME/sparekey": "Sessions that `sparekey login` began.",
        },
        see_also=("sparekey-agent(8)",),
    ),
}
