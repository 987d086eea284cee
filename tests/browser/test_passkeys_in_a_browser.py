"""Passkeys in a real browser, with Chromium's virtual authenticator: added, signed in with, shown again, removed."""

import re
from dataclasses import dataclass

import pytest
from playwright.sync_api import CDPSession, Page

from sparekey.app.sessions import passkeys
from sparekey.clock import now as clock_now
from sparekey.storage.sealed_rows import update_rows
from sparekey.storage.tables import admin_session
from tests.browser.rig import Site, Visitor
from tests.builders import ROOT, User

pytestmark = pytest.mark.services


@dataclass
class Key:
    """A security key in the browser; `owner_is_there`: whether it is given its PIN or finger."""

    cdp: CDPSession
    id: str

    def owner_is_there(self, yes: bool) -> None:
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": yes})


def plug_in_key(visit: Visitor) -> Key:
    cdp = visit.context.new_cdp_session(visit.page)
    cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    return Key(cdp, cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"])


def add_passkey(page: Page, name: str) -> None:
    """Add a passkey to the visitor's own account, from the console's top."""
    page.get_by_role("banner").get_by_role("link", name=re.compile(r"^carol|^dora|^erin")).click()
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create passkey").click()
    page.get_by_role("status").filter(has_text=f"The passkey {name} was added").wait_for()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()


def age_second_factor(site: Site, user: User) -> None:
    """Make the last second factor an hour old."""
    with site.instance.database.write() as connection:
        values = {"second_factor_at": clock_now() - 3_600}
        update_rows(connection, admin_session, [admin_session.c.account_id == user.account_id], values)


def test_a_passkey_is_added_signs_in_and_is_a_fresh_second_factor(site: Site, visit: Visitor) -> None:
    carol = site.person("carol")
    page, _ = visit.sign_in(carol), plug_in_key(visit)
    add_passkey(page, "blue key")
    sign_out(page)
    visit.go("/console/users")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_role("heading", name="Users").wait_for()  # where the visitor wanted to go
    age_second_factor(site, carol)
    visit.go("/console/account")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("heading", name="Confirm that it is you").wait_for()
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_role("heading", name="Add a passkey").wait_for()
    visit.go("/console/account")
    row = page.get_by_role("row").filter(has_text="blue key")
    assert "never" not in row.inner_text()
    assert "passkey" in page.get_by_role("row").filter(has_text="this session").inner_text()


def test_a_removed_passkey_and_one_without_its_owner_are_refused(site: Site, visit: Visitor) -> None:
    dora = site.person("dora")
    page, key = visit.sign_in(dora), plug_in_key(visit)
    add_passkey(page, "old key")
    sign_out(page)
    key.owner_is_there(False)
    page.get_by_role("button", name="Sign in with a passkey").click()
    assert page.get_by_role("alert").inner_text().startswith("No passkey was used")
    key.owner_is_there(True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_role("link", name="dora").click()
    page.get_by_role("button", name="old key").click()
    page.get_by_role("button", name="Remove and end other sessions").click()
    page.get_by_role("status").filter(has_text="The passkey old key was removed").wait_for()
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    assert "This passkey was not accepted" in page.get_by_role("alert").inner_text()
    assert passkeys.list_passkeys(site.instance, ROOT, "dora") == []


def test_own_sessions_are_listed_and_ended(site: Site, visit: Visitor) -> None:
    erin = site.person("erin")
    page = visit.sign_in(erin)
    other = visit.context.browser
    assert other is not None
    elsewhere = Visitor(site, other.new_context(), None)  # type: ignore[arg-type] # the page follows
    elsewhere.page = elsewhere.context.new_page()
    elsewhere.sign_in(erin).get_by_role("heading", name="Home").wait_for()
    page.get_by_role("link", name="erin").click()
    assert page.get_by_role("row").count() == 3  # with the head
    page.get_by_role("button", name="End all other sessions").click()
    page.get_by_role("status").filter(has_text="Your other sessions were ended").wait_for()
    assert page.get_by_role("row").filter(has_text="this session").count() == 1
    elsewhere.go("/console/users").get_by_role("heading", name="Sign in").wait_for()
    elsewhere.context.close()
