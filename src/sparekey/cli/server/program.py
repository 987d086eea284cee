"""The program `sparekey`: runs the command, or says what to install if the server's packages are missing."""

import atexit
import gc
import sys


def main() -> None:
    """Run one command and exit; 1 if this is an installation for devices only."""
    # The interpreter's last collections find nothing to free for a process that ends: a fifth of a command's time.
    atexit.register(gc.freeze)
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
