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
            "reached. Otherwise it decides offline, with downloaded days of offline data and emergency codes.",
            "`sparekey-agent run` is the daemon; the service manager starts it. `login`(1), `sshd`(8), `sudo`(8) and "
            "the like ask it through `pam_sparekey`(8). The other commands also use the daemon, or work without it if "
            "it does not run.",
            "The commands read passcodes, PINs and codes from the terminal or from standard input, never from the "
            "command line, where other users could see them.",
        ),
        exits={
            "0": "Done; for `login`, `test`, `keep-key` and `unlock-key`: granted. Any other code is a refusal.",
            "1": "Failed; standard error says what to do.",
            "2": "Wrong usage.",
            "3": "`login`, `test`, `keep-key` and `unlock-key`: denied.",
            "4": "`login`, `keep-key` and `unlock-key`: a challenge; see --reply-to of `login`.",
            "5": "`login`, `test`, `keep-key` and `unlock-key`: the device cannot decide.",
        },
        files={
            "/etc/sparekey/agent.toml": "The configuration of this device; every line is optional.",
            "/var/lib/sparekey-agent": "The store: keys, offline data, events for the server. With a TPM, a copied or "
            "restored store does not open. Without one, an attacker can guess at a copy, and "
            "a restored store is not noticed.",
            "/run/sparekey-agent/agent.sock": "The socket of the daemon, if the service manager starts it.",
            "/usr/share/doc/sparekey-agent/linux-login.md": "How to protect logins with the passcode without "
            "locking yourself out.",
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
            "`sparekey` runs the Sparekey server and administers it: users, tokens, protected computers, policies, "
            "roles, emergency codes and the audit log.",
            "With --data it acts on the server of that directory, as the user that owns it, with all permissions. "
            "With --server it acts over HTTPS, as the administrator that --as names, after `sparekey login`.",
            "If the server runs from the Debian package, run commands on it as the service's user: "
            "`runuser -u sparekey -- sparekey --data /var/lib/sparekey` COMMAND.",
            "The commands read passcodes, PINs and seeds from the terminal or from standard input, never from the "
            "command line, where other users could see them.",
        ),
        exits={
            "0": "Done.",
            "1": "Failed; standard error says what to do.",
            "2": "Wrong usage.",
            "4": "The action waits for an approval.",
            "130": "Interrupted.",
        },
        variables={
            "SPAREKEY_DATA": "The data directory, if --data is not given.",
            "SPAREKEY_SERVER, SPAREKEY_AS, SPAREKEY_SERVER_CA": "Instead of --server, --as and --ca.",
            "SPAREKEY_...": "Each key of the settings in capitals; overrides the file.",
        },
        files={
            "/var/lib/sparekey": "The data directory of the packaged service; store backups of its keys/ apart from "
            "backups of the database.",
            "/usr/share/doc/sparekey-server": "In the Debian package: settings, policy, roles, the console, "
            "emergency access, threat model, glossary.",
            "DIR/sparekey.toml": "The settings; `sparekey config check` shows them.",
            "$XDG_STATE_HOME/sparekey": "Sessions of `sparekey login`.",
        },
        see_also=("sparekey-agent(8)",),
    ),
}
