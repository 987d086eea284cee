"""The link for a super administrator in a real browser: by a passkey, by an app with a PIN, used twice, by hand."""

import base64

import pytest
from playwright.sync_api import Browser

from sparekey.app.people.admin_links import AdminLink, make_link
from sparekey.clock import now as clock_now
from sparekey.core.tokens import Parameters, Totp
from sparekey.secret import Secret
from tests.browser.rig import Site, Visitor, visitor
from tests.browser.test_passkeys_in_a_browser import plug_in_key
from tests.builders import PIN, ROOT

pytestmark = pytest.mark.services


def a_link(site: Site, login: str = "") -> AdminLink:
    return make_link(site.instance, ROOT, login, now=clock_now())


def test_the_first_super_administrator_begins_with_a_passkey(site: Site, visit: Visitor) -> None:
    link = a_link(site)
    plug_in_key(visit)
    page = visit.go(f"/console/welcome#{link.code.reveal()}")
    page.get_by_role("heading", name="Become a super administrator").wait_for()
    assert link.code.reveal() not in page.url
    page.get_by_label("User name").first.fill("gina")
    page.get_by_label("Name of the passkey").fill("blue key")
    page.get_by_role("button", name="Create passkey").click()
    page.get_by_role("status").filter(has_text="gina is now a super administrator").wait_for()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_role("heading", name="Home").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    visit.go(f"/console/welcome#{link.code.reveal()}")
    assert "This link is not valid, was already used, or has expired." in page.get_by_role("alert").inner_text()


def test_without_a_script_the_code_is_pasted_and_an_app_set_up(site: Site, browser: Browser) -> None:
    link, visit = a_link(site), visitor(site, browser, script=False)
    page = visit.go("/console/welcome")
    page.get_by_label("Code of the link").fill(f" {link.code.reveal()} ")
    page.get_by_role("button", name="Continue").click()
    form = page.locator("form").filter(has_text="With an authenticator app and a PIN")
    form.get_by_label("User name").fill("hugo")
    form.get_by_label("PIN", exact=True).fill(PIN)
    form.get_by_label("Repeat the PIN").fill("4711abce")
    page.get_by_role("button", name="Set up").click()
    assert "The two PINs are different." in page.get_by_role("alert").inner_text()
    assert form.get_by_label("User name").input_value() == "hugo"
    form.get_by_label("PIN", exact=True).fill(PIN)
    form.get_by_label("Repeat the PIN").fill(PIN)
    page.get_by_role("button", name="Set up").click()
    page.get_by_role("status").filter(has_text="hugo is now a super administrator").wait_for()
    page.get_by_text("Enter the key by hand").click()
    key = "".join(page.locator("dd.mono").inner_text().split())
    totp = Totp.of(Parameters(Secret(base64.b32decode(key + "=" * (-len(key) % 8))), "", 6, 30, "sha1"))
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("User name").fill("hugo")
    page.get_by_label("Passcode").fill(PIN + totp.code(clock_now() // 30))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Home").wait_for()
    visit.context.close()
