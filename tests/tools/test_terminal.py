"""The terminal of the journeys: it leaves no process behind."""

from pathlib import Path

from tests.journeys.linux.terminal import Terminal
from tests.journeys.site import poll


def runs(process: str) -> bool:
    """Return False for a process that has ended, although its parent may not have asked for its status yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_ignores_the_hang_up_is_ended() -> None:
    stubborn = "trap '' HUP TERM; echo it is $$; while :; do sleep 1; done"
    with Terminal(["sh", "-c", 'sh -c "$0"; true', stubborn]) as terminal:
        found = terminal.shows(r"it is (\d+)")
        assert found
    poll(lambda: not runs(found[1]), "the end of the program")
