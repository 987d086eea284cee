"""The whole story of the issue: separate processes, oathtool's tokencodes, a moved clock, both databases."""

from pathlib import Path

import pytest

from tools.story.acts import ACTS, Story, act_7_postgresql
from tools.story.stage import Stage

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]


def test_the_story_on_the_embedded_default_and_on_postgresql(tmp_path: Path) -> None:
    with Stage(tmp_path, print) as stage:
        story = Story(stage, days=1, interval=60)
        for act in (*ACTS, act_7_postgresql):
            print(f"\n{act.__doc__}")
            act(story)
