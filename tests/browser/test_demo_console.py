"""The console that `make demo` leaves: full of people, and its administrator can sign in."""

from base64 import b32decode
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from sparekey.clock import now as clock_now
from tools.demo import open_console
from tools.oathtool import totp
from tools.story.stage import Stage
from tools.story.town import ADMINISTRATOR, PIN

pytestmark = pytest.mark.services


def test_the_administrator_looks_at_the_town(tmp_path: Path, browser: Browser) -> None:
    with Stage(tmp_path, lambda _: None) as stage:
        port, town = open_console(stage, people=45)
        page = browser.new_page()
        page.goto(f"http://localhost:{port}/console/users")
        page.get_by_label("User name").fill(ADMINISTRATOR)
        seed = b32decode(town.seed).hex()
        code = totp(seed, digits=6, interval=30, algorithm="sha1", at=clock_now())
        page.get_by_label("Passcode").fill(PIN + code)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", name="Users")).to_be_visible()
        expect(page.locator("tbody tr")).to_have_count(47)  # with the administrator and the deputy
        page.close()
