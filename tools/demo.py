"""`make demo`: plays the whole story on this machine; see tools/story."""

import argparse
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sparekey.app.emergency.second_person import APPROVAL_SECONDS
from sparekey.app.instance import Instance
from sparekey.clock import monotonic, now
from sparekey.core.errors import SparekeyError
from sparekey.core.permissions import Actor
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.wiring.server import NewServer, create_server, open_instance
from tools.story.acts import ACTS, Story, act_7_postgresql
from tools.story.stage import Interrupted, Stage, StoryError, ended_by_signals, free_port
from tools.story.town import ADMINISTRATOR, DEPUTY, HISTORY, PIN, TWO_PEOPLE, Town, settle

PEOPLE = 300


def main() -> int:
    """Return 0 if every step had the expected result."""
    parser = argparse.ArgumentParser(prog="demo", description="Play the whole story on this machine.")
    parser.add_argument("--exit", action="store_true", help="exit at the end of the story")
    parser.add_argument("--postgresql", action="store_true", help="add PostgreSQL 17 with two servers")
    wanted = parser.parse_args()
    try:
        with (
            ended_by_signals(),
            tempfile.TemporaryDirectory(prefix="sparekey-demo-") as directory,
            Stage(Path(directory), _say) as stage,
        ):
            return _tell(Story(stage), wanted)
    except Interrupted as interrupted:
        return 128 + interrupted.number


def _tell(story: Story, wanted: argparse.Namespace) -> int:
    begun = monotonic()
    acts = (*ACTS, act_7_postgresql) if wanted.postgresql else ACTS
    try:
        for number, act in enumerate(acts, 1):
            print(f"\n{number}  {act.__doc__}   ({monotonic() - begun:.0f} s)", flush=True)
            act(story)
    except StoryError as error:
        print(f"\nThe story failed: {error}", file=sys.stderr)
        return 1
    print(f"\nThe story is complete, in {monotonic() - begun:.0f} seconds.")
    if not wanted.exit:
        _leave_running(story)
    return 0


def _say(text: str) -> None:
    print(f"   {text}", flush=True)


def open_console(stage: Stage, people: int = PEOPLE) -> tuple[int, Town]:
    """A second server, at today's time, with a town full of users: its port, and who may sign in."""
    moment = now()
    create_server(_town_data(stage), NewServer(Secret("")), Actor.of_system("os:demo"), moment - HISTORY)
    with _town_of(stage) as instance:
        town = settle(instance, moment, people, stage.say)
    port = free_port()
    stage.start_server(port, _town_data(stage), for_a_browser=True)
    return port, town


def _town_data(stage: Stage) -> Path:
    return stage.directory / "console"


@contextmanager
def _town_of(stage: Stage) -> Iterator[Instance]:
    instance = open_instance(_town_data(stage), read_settings(_town_data(stage), {}))
    try:
        yield instance
    finally:
        instance.database.close()


def _leave_running(story: Story) -> None:
    """Print addresses and commands to try, and wait for Ctrl-C."""
    stage = story.stage
    print("\nA console to explore:", flush=True)
    port, town = open_console(stage)
    print(f"""
   http://localhost:{port}/console

   User name   {ADMINISTRATOR}
   Passcode    the output of this command, once per half a minute:  echo {PIN}$(oathtool --totp -b {town.seed})

A second administrator can approve requests of the first one. In the domain {TWO_PEOPLE}, showing an emergency passcode
needs an approval, and one request is waiting under Approvals. Use a second browser or a private window:

   User name   {DEPUTY}
   Passcode    echo {PIN}$(oathtool --totp -b {town.deputy_seed})

This server has {town.people} users with tokens and computers. The computers do not exist, and their codes work nowhere.

The story's server and the laptop's agent are still running, too. Their clock is about a day ahead, so a browser
considers the certificate not valid yet (`curl -k` works). To explore:

   https://localhost:{story.port}/health         the health of the server
   https://localhost:{story.port}/openapi.json   the HTTP API (CA: {stage.server_data}/keys/ca.pem)

   .venv/bin/sparekey --data {stage.server_data} audit list
   .venv/bin/sparekey --data {stage.server_data} emergency held {story.alice_serial}
   .venv/bin/sparekey --data {stage.server_data} device show alice-laptop
   .venv/bin/sparekey-agent status --state {stage.device_state}

Press Ctrl-C to stop everything and remove {stage.directory}.""")
    sys.stdout.flush()
    with suppress(Interrupted):
        while True:
            threading.Event().wait(APPROVAL_SECONDS)
            # the last request has expired; a visitor may have taken the right to ask away
            with suppress(SparekeyError), _town_of(stage) as instance:
                town.ask(instance, now())


if __name__ == "__main__":
    raise SystemExit(main())
