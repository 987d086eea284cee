"""The emergency pages in a real browser: hiding, default choices, online use, obstacles, and a help desk that sees only
its own domain."""

import http.client
import json
import re

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import users
from sparekey.app.sessions.clients import add_client
from sparekey.clock import now as clock_now
from tests.browser.rig import Site, Visitor, visitor
from tests.builders import PIN, ROOT, User, a_user

pytestmark = pytest.mark.services
TOKENCODE = "Offline Emergency Access Tokencode"


@pytest.fixture(scope="module")
def help_desk(site: Site) -> User:
    return site.person("hedy", "help desk")


@pytest.fixture(scope="module")
def alice(site: Site) -> User:
    """Create Alice, who uses two devices."""
    user = a_user(site.instance, "alice", pin=PIN, now=clock_now() - 3_600)
    site.filled_device(user, "laptop-alice")
    site.filled_device(user, "desktop-alice")
    return user


def page_of(user: User) -> str:
    return f"/console/tokens/{user.serial}/emergency"


def shown_on(page: Page, device: str) -> str:
    """The code of that device, asked for and read from the page."""
    page.get_by_label("How the caller was identified").fill("called back")
    page.get_by_role("button", name=f"Show the code on this device: {device}").click()
    code = page.get_by_role("region", name=f"{TOKENCODE} on {device}")
    return "".join(code.locator(".group b").all_inner_texts())


def test_a_code_hides_after_two_minutes_and_is_not_behind_the_back_button(
    visit: Visitor, help_desk: User, alice: User
) -> None:
    visit.page.clock.install()
    page = visit.sign_in(help_desk, page_of(alice))
    page.clock.pause_at(clock_now() + 60)  # no time goes by but what the test says
    code = shown_on(page, "laptop-alice")
    assert len(code) == 10
    page.clock.fast_forward(119_000)
    expect(page.get_by_text(code[:5])).to_be_visible()
    page.clock.fast_forward(2_000)
    expect(page.get_by_text(code[:5])).to_have_count(0)
    expect(page.get_by_text("The code is hidden")).to_be_visible()
    expect(page.get_by_role("link", name="Hide the code")).to_have_count(0)
    code = shown_on(page, "desktop-alice")
    page.get_by_role("link", name="Next caller").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")
    with pytest.raises(Error, match="ERR_CACHE_MISS"):  # the browser must request it again
        page.go_back()
    expect(page.get_by_text(code[:5])).to_have_count(0)


def test_enter_does_not_choose_between_devices(visit: Visitor, help_desk: User, alice: User) -> None:
    page = visit.sign_in(help_desk, page_of(alice))
    page.get_by_label("How the caller was identified").fill("called back")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Show the code on this device: laptop-alice").click()
    expect(page.get_by_role("region", name=f"{TOKENCODE} on laptop-alice")).to_be_visible()
    page.get_by_role("link", name="Hide the code").click()
    history = page.get_by_role("region", name="Emergency history")
    expect(history.get_by_role("row").nth(1)).to_contain_text("on laptop-alice")


def test_without_a_script_the_code_is_shown_all_the_same(
    site: Site, browser: Browser, help_desk: User, alice: User
) -> None:
    plain = visitor(site, browser, script=False)
    page = plain.sign_in(help_desk, page_of(alice))
    assert len(shown_on(page, "laptop-alice")) == 10
    assert re.search(r'http-equiv="refresh" content="120;url=/console/tokens/', page.content())
    plain.context.close()


def test_online_use_of_the_offline_code(visit: Visitor, site: Site, help_desk: User, alice: User) -> None:
    page = visit.sign_in(help_desk, page_of(alice))
    code = shown_on(page, "laptop-alice")
    key = add_client(site.instance, ROOT, "web", TOP_DOMAIN, now=clock_now()).reveal()
    assert not is_accepted(site, key, "alice", PIN + code)
    page.get_by_label("Use offline code for online access").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("The server now accepts this code")
    assert is_accepted(site, key, "alice", PIN + code)
    page.get_by_label("Use offline code for online access").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("The server no longer accepts this code")
    assert not is_accepted(site, key, "alice", PIN + code)
    users.unlock(site.instance, ROOT, "alice", now=clock_now())


def is_accepted(site: Site, key: str, user: str, passcode: str) -> bool:
    connection = http.client.HTTPConnection(site.url.removeprefix("http://"), timeout=20)
    body = json.dumps({"user": user, "passcode": passcode})
    connection.request("POST", "/v1/sign-ins", body, {"Authorization": f"Bearer {key}"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return bool(answer["result"] == "granted")


def test_one_time_tokencodes_are_given_once_and_ended(visit: Visitor, help_desk: User, alice: User) -> None:
    page = visit.sign_in(help_desk, page_of(alice))
    page.get_by_text("Give online emergency access").click()
    page.get_by_label("Set of one-time tokencodes").check()
    page.get_by_label("Number of one-time tokencodes").fill("4")
    page.get_by_label("Allow it only after the lifetime has passed").check()
    page.get_by_label("How was the caller identified?").fill("called back")
    page.get_by_role("button", name="Create tokencodes").click()
    given = page.get_by_role("region", name="One-time tokencodes")
    codes = given.locator("li b").all_inner_texts()
    assert len(set(codes)) == 4
    expect(given).to_contain_text("shown only once")
    page.get_by_role("link", name="Hide the codes").click()
    online = page.get_by_role("region", name="Online emergency access")
    expect(online).to_contain_text("4 of 4 left")
    expect(page.get_by_text(codes[0])).to_have_count(0)
    page.get_by_text("End online emergency access").click()
    page.get_by_role("button", name="End access now").click()
    expect(online).to_contain_text("None.")
