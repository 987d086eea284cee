"""Users at the self-service console, in a real browser: their pages, a new PIN, lost tokens and stolen devices."""

import pytest
from playwright.sync_api import Page, expect

from sparekey.clock import now as clock_now
from sparekey.core.policy.kinds import PolicyKind
from sparekey.secret import Secret
from tests.browser.rig import Site, Visitor
from tests.browser.test_passkeys_in_a_browser import plug_in_key
from tests.builders import PIN, User, a_device, a_user, edit_policy, token_row

pytestmark = pytest.mark.services
NEW_PIN = "93kd71"


def a_user_of(site: Site, login: str) -> User:
    return a_user(site.instance, login, pin=PIN, now=clock_now() - 3_600)


def try_to_sign_in(visit: Visitor, login: str, passcode: str) -> Page:
    """Try to sign in, with any outcome."""
    page = visit.go("/self-service/sign-in")
    page.get_by_label("User name").fill(login)
    page.get_by_label("Passcode").fill(passcode)
    page.get_by_role("button", name="Sign in", exact=True).click()
    return page


def test_a_user_sees_working_ways_and_changes_the_pin(site: Site, visit: Visitor) -> None:
    alice = a_user_of(site, "alice")
    site.filled_device(alice, "laptop-alice")
    page = visit.sign_in(alice, "/")
    expect(page.get_by_text("You could sign in with your token on this device.")).to_be_visible()
    expect(page.get_by_role("article").filter(has_text="laptop-alice")).to_contain_text("valid until")
    page.get_by_role("link", name="If you lose your token").click()
    expect(page.get_by_role("article").filter(has_text="laptop-alice")).to_contain_text("help desk can read you a code")
    page.get_by_role("link", name="Try your passcode").click()
    page.get_by_label("Passcode").fill(site.passcode(alice))
    page.get_by_role("button", name="Try passcode").click()
    expect(page.get_by_role("status")).to_contain_text("Passcode correct.")
    page.get_by_role("link", name="Home", exact=True).click()
    page.get_by_role("link", name="Change the PIN").click()
    page.get_by_label("New PIN", exact=True).fill(NEW_PIN)
    page.get_by_label("Repeat the new PIN").fill("93kd72")
    page.get_by_role("button", name="Change PIN").click()
    expect(page.get_by_role("alert")).to_contain_text("The two PINs are different.")
    page.get_by_label("New PIN", exact=True).fill(NEW_PIN)
    page.get_by_label("Repeat the new PIN").fill(NEW_PIN)
    page.get_by_role("button", name="Change PIN").click()
    expect(page.get_by_role("status")).to_contain_text("Your PIN was changed.")
    page.get_by_role("link", name="Activity", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="PIN set")).to_contain_text(
        ["by you, in self-service", "by the help desk"]
    )
    page.get_by_role("button", name="Sign out").click()
    page = try_to_sign_in(visit, "alice", NEW_PIN + site.passcode(alice).removeprefix(PIN))
    expect(page.get_by_role("heading", level=1, name="alice")).to_be_visible()


def test_a_user_without_a_pin_chooses_one_at_sign_in(site: Site, visit: Visitor) -> None:
    ben = a_user(site.instance, "ben", with_pin=True, now=clock_now() - 3_600)
    page = try_to_sign_in(visit, "ben", site.passcode(ben))
    for typed in ("1234", NEW_PIN, NEW_PIN):
        expect(page.get_by_label("Answer")).to_be_focused()
        page.get_by_label("Answer").fill(typed)
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1, name="ben")).to_be_visible()


def test_a_lost_token_and_a_stolen_device_are_reported_in_two_clicks(site: Site, visit: Visitor) -> None:
    carol = a_user_of(site, "carol")
    device = a_device(site.instance, "laptop-carol", now=clock_now())
    device.sign_in(carol, clock_now(), Secret(site.passcode(carol)))
    page = visit.sign_in(carol, "/self-service")
    page.get_by_role("link", name="Report stolen").click()
    page.get_by_role("button", name="Report stolen").click()
    expect(page.get_by_role("status")).to_contain_text("The device is reported stolen")
    page = try_to_sign_in(visit, "carol", site.passcode(carol))
    for _ in range(2):  # the PIN was typed on it
        page.get_by_label("Answer").fill(NEW_PIN)
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("No device holds offline data for you yet")).to_be_visible()
    page.get_by_role("link", name="Report lost").click()
    page.get_by_role("button", name="Report lost").click()
    expect(page.get_by_role("status")).to_contain_text(f"Your token {carol.serial} is reported lost")
    assert token_row(site.instance, carol.serial).lost
    visit.go("/self-service")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_s07_the_page_does_not_reveal_users(site: Site, visit: Visitor) -> None:
    dora = a_user_of(site, "dora")
    pages = []
    for login, passcode in (("dora", dora.wrong(clock_now()).reveal()), ("nobody", "4711000000"), ("dora", "?")):
        page = try_to_sign_in(visit, login, passcode)
        expect(page.get_by_role("alert")).to_be_visible()
        assert page.get_by_label("User name").input_value() == login
        assert page.get_by_label("Passcode").input_value() == ""
        pages.append(page.locator("main").inner_text())
    assert len(set(pages)) == 1
    page = visit.go("/self-service/sign-in")
    page.get_by_role("link", name="Security Console").click()
    expect(page).to_have_url(f"{site.url}/console/sign-in?to=%2Fconsole")


def test_a_user_without_the_token_signs_in_with_a_passkey_and_makes_codes(site: Site, visit: Visitor) -> None:
    edit_policy(site.instance, {"own_emergency_days": "3"}, kind=PolicyKind.TOKEN, now=clock_now())
    eve = a_user_of(site, "eve")
    page, _ = visit.sign_in(eve, "/self-service"), plug_in_key(visit)
    page.get_by_role("link", name="Passkeys").click()
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("Name").fill("phone")
    page.get_by_role("button", name="Create passkey").click()
    expect(page.get_by_role("status")).to_contain_text("The passkey phone was added")
    page.get_by_role("link", name="Home", exact=True).click()
    page.get_by_role("link", name="Report lost").click()
    page.get_by_role("button", name="Report lost").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_role("link", name="Sign in without it").click()
    page.get_by_role("button", name="Create codes").click()
    codes = page.get_by_role("list").get_by_role("listitem")
    expect(codes).to_have_count(10)
    code = codes.first.inner_text()
    page.get_by_role("button", name="Sign out").click()
    page = try_to_sign_in(visit, "eve", PIN + code)
    expect(page.get_by_role("heading", level=1, name="eve")).to_be_visible()
    page.get_by_role("link", name="Sign in without it").click()
    expect(page.get_by_text("An emergency code is not accepted for this")).to_be_visible()
    expect(page.get_by_text("9 of 10 left")).to_be_visible()
