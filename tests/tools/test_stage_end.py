"""The end of the story's stage: everything on it is removed, even after an error."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools.story.stage import is_listening
from tools.tree import ROOT

pytestmark = pytest.mark.services

PLAY = """
import sys, tempfile, threading
from pathlib import Path
from sparekey.clock import now
from sparekey.core.permissions import Actor
from sparekey.secret import Secret
from sparekey.wiring.server import NewServer, create_server
from tools.story.stage import Stage, ended_by_signals, free_port

with (
    ended_by_signals(),
    tempfile.TemporaryDirectory(dir=sys.argv[1]) as directory,
    Stage(Path(directory), lambda _: None) as stage,
):
    port = free_port()
    if sys.argv[2] == "serve":
        create_server(stage.directory / "data", NewServer(Secret("")), Actor.of_system("os:test"), now())
        stage.start_server(port, stage.directory / "data", for_a_browser=True)
    print(port, flush=True)
    threading.Event().wait()
"""


@pytest.mark.parametrize(("number", "serve"), [(signal.SIGTERM, "serve"), (signal.SIGHUP, ""), (signal.SIGINT, "")])
def test_a_signal_clears_the_stage(tmp_path: Path, number: signal.Signals, serve: str) -> None:
    with subprocess.Popen(
        # as a script starts it with `&`: SIGINT is ignored
        ["bash", "-c", 'trap "" INT; exec "$@"', "-", sys.executable, "-c", PLAY, str(tmp_path), serve],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    ) as play:
        assert play.stdout is not None
        port = int(play.stdout.readline())
        assert is_listening(port) is bool(serve)
        play.send_signal(number)
        assert play.wait(timeout=30) != 0
    assert not is_listening(port)
    assert list(tmp_path.iterdir()) == []
