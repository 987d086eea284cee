"""The program `sparekey`: says what to install where the server's packages are missing, else runs the command."""

import sys


def main() -> None:
    """Runs one command and exits; 1 where this is an installation for devices only."""
    try:
        from sparekey.cli.server.main import main as run  # noqa: PLC0415 -- what it needs may not be installed
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("sparekey"):
            raise
        print(
            f"sparekey: the server's packages are not installed here ({error.name} is missing); "
            "run: pip install 'sparekey[server]'. On a protected computer, use sparekey-agent.",
            file=sys.stderr,
        )
        sys.exit(1)
    run()
