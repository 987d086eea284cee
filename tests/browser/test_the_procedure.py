"""The procedure of docs/emergency-access.md, step by step: by mouse, by keyboard alone, and to the end: the code that
was read out is typed into a real agent on a device that is cut off, and signs in."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from tests.browser.secured import Desk, an_enrolled_site, trusting
from tests.builders import PIN, User
from tests.journeys.site import DEVICE, Site

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]
TOKENCODE, PASSCODE = "Offline Emergency Access Tokencode", "Offline Emergency Passcode"
MOST_CLICKS = 5  # from the search box to the code
MOST_TABS = 60


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, User]]:
    with an_enrolled_site(tmp_path_factory.mktemp("procedure")) as found:
        yield found


@pytest.fixture(scope="module")
def trusting_browser(playwright: Playwright, enrolled: tuple[Site, User]) -> Iterator[Browser]:
    found = trusting(playwright, enrolled[0].port)
    yield found
    found.close()


@pytest.fixture
def desk(enrolled: tuple[Site, User], trusting_browser: Browser) -> Iterator[Desk]:
    site, hedy = enrolled
    context = trusting_browser.new_context(timezone_id="Europe/Berlin", locale="en-GB")
    found = Desk(site, hedy, context.new_page())
    found.sign_in()
    yield found
    context.close()
    site.cable.unplug()
    site.cable.plug()


def read_out(page: Page, kind: str = TOKENCODE) -> str:
    """The code as the operator reads it from the page, group by group."""
    code = page.get_by_role("region", name=f"{kind} on {DEVICE}")
    expect(code).to_contain_text(re.compile(r"Valid until .+ \(Europe/Berlin\), in \d+ days"))
    return " ".join(code.locator(".group b").all_inner_texts())


def row_of_device(page: Page) -> Locator:
    return page.get_by_role("region", name=TOKENCODE, exact=True).get_by_role("row", name=DEVICE)


def tab_to(page: Page, name: str) -> None:
    """Move the focus by keyboard to the element with this name."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''").strip() == name:
            return
    raise AssertionError(f"{name!r} is not reached by keyboard")


def test_by_mouse_in_few_clicks_and_the_code_opens_the_device_that_is_cut_off(desk: Desk) -> None:
    page, site = desk.page, desk.site
    desk.click("Find a user, token or device", "searchbox")
    page.keyboard.type("alice\n")
    desk.click(site.alice.serial, "button")
    desk.click("Emergency Access Tokencodes")
    expect(page.get_by_role("heading", level=1)).to_have_text("Manage Emergency Access Tokencodes")
    expect(row_of_device(page)).to_contain_text(re.compile(r"Europe/Berlin\).*in \d+ days"))
    page.keyboard.type("called back")  # the one field that is needed has the focus
    desk.click("Show the code on this device", "button")
    code = read_out(page)
    assert len(desk.clicks) <= MOST_CLICKS, desk.clicks
    site.cable.unplug()
    site.login(PIN + code, mode="offline")
    desk.click("Next caller")
    expect(page.get_by_role("searchbox")).to_be_focused()
    expect(page.get_by_text(code[:5])).to_have_count(0)


def test_by_keyboard_alone(desk: Desk) -> None:
    page, site = desk.page, desk.site
    page.keyboard.press("/")
    page.keyboard.type("alice\n")
    expect(page.get_by_role("heading", level=1)).to_contain_text("alice")
    tab_to(page, site.alice.serial)
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name=site.alice.serial)).to_be_visible()
    while page.evaluate("document.activeElement.innerText") != "Emergency Access Tokencodes":
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_label("How the caller was identified")).to_be_focused()
    page.keyboard.type("called back\n")
    code = read_out(page)
    expect(page.get_by_role("heading", name=f"{TOKENCODE} on {DEVICE}")).to_be_focused()
    site.cable.unplug()
    site.login(PIN + code, mode="offline")
    tab_to(page, "Next caller")
    page.keyboard.press("Enter")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_the_passcode_for_a_forgotten_pin(desk: Desk) -> None:
    page, site = desk.page, desk.site
    desk.click("Users", exact=True)
    desk.click("alice", "button")
    desk.click("Manage Emergency Offline Access")
    expect(page.get_by_role("heading", level=1)).to_have_text("Manage Emergency Access Passcodes")
    desk.click(f"Emergency Access Tokencodes of token {site.alice.serial}")
    desk.click("Emergency Access Passcodes of alice")  # PIN forgotten?
    page.get_by_label("How the caller was identified").fill("known voice, called back")
    desk.click("Show the code on this device", "button")
    code = read_out(page, PASSCODE)
    page.get_by_label("Reset Offline Emergency Access Passcode").check()
    desk.click("Update", "button")
    expect(page.get_by_role("status")).to_contain_text("Code reset on 1 device")
    site.cable.unplug()
    site.login(code, mode="offline")  # until the next online sign-in the device accepts it


def test_a_reset_code_is_replaced_automatically_at_the_next_online_sign_in(desk: Desk) -> None:
    page, site = desk.page, desk.site
    desk.click("Tokens")
    desk.click(site.alice.serial, "button")
    desk.click("Emergency Access Tokencodes")
    row = row_of_device(page)
    before = row.get_by_role("cell").first.inner_text()
    page.get_by_label("Reset Offline Emergency Access Tokencode").check()
    desk.click("Save", "button")
    expect(page.get_by_role("status")).to_contain_text("still holds, and accepts, the old one")
    site.next_interval()
    site.login(site.passcode(), mode="online")
    page.reload()
    expect(row.get_by_role("cell").first).not_to_have_text(before)
    expect(page.get_by_role("region", name="Emergency history")).to_contain_text("was replaced by version")
