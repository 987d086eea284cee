"""`make demo`: the whole story on this machine, told as it happens; see tools/story."""

import argparse
import sys
import tempfile
import threading
from pathlib import Path

from sparekey.clock import monotonic
from tools.story.acts import ACTS, Story, act_7_postgresql
from tools.story.stage import Stage, StoryError


def main() -> int:
    """0 if everything came out as the story tells."""
    parser = argparse.ArgumentParser(prog="demo", description="The story, end to end on one machine.")
    parser.add_argument("--exit", action="store_true", help="end when the story does")
    parser.add_argument("--postgresql", action="store_true", help="add PostgreSQL 17 with two servers")
    wanted = parser.parse_args()
    begun = monotonic()
    with tempfile.TemporaryDirectory(prefix="sparekey-demo-") as directory, Stage(Path(directory), _say) as stage:
        story = Story(stage)
        acts = (*ACTS, act_7_postgresql) if wanted.postgresql else ACTS
        try:
            for number, act in enumerate(acts, 1):
                print(f"\n{number}  {act.__doc__}   ({monotonic() - begun:.0f} s)", flush=True)
                act(story)
        except StoryError as error:
            print(f"\nThe story broke off: {error}", file=sys.stderr)
            return 1
        print(f"\nThat was the story, in {monotonic() - begun:.0f} seconds.")
        if not wanted.exit:
            _leave_running(story)
    return 0


def _say(text: str) -> None:
    print(f"   {text}", flush=True)


def _leave_running(story: Story) -> None:
    """Until Ctrl-C: the addresses, and commands to try on what the story left."""
    stage = story.stage
    print(f"""
The server and the laptop's agent are still running. Their clock is the story's, about a day ahead, so that a browser
finds the certificate not valid yet (`curl -k` does not mind). To look at:

   https://localhost:{story.port}/health         is it well?
   https://localhost:{story.port}/openapi.json   the HTTP API (its CA: {stage.server_data}/keys/ca.pem)

   .venv/bin/sparekey --data {stage.server_data} audit list
   .venv/bin/sparekey --data {stage.server_data} emergency held {story.alice_serial}
   .venv/bin/sparekey --data {stage.server_data} device show alice-laptop
   .venv/bin/sparekey-agent status --state {stage.device_state}

Ctrl-C ends it and removes {stage.directory}.""")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    raise SystemExit(main())
