"""Security domains, roles and API clients in a real browser: a changed tree changes the visible objects."""

import itertools
import re

import pytest
from playwright.sync_api import expect

from sparekey.app.people.domains import add_domain
from sparekey.app.sessions.clients import find_client_interface
from sparekey.clock import now as clock_now
from sparekey.secret import Secret
from tests.browser.rig import Site, Visitor
from tests.builders import PIN, ROOT, User, a_user

pytestmark = pytest.mark.services


_numbers = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def tree(site: Site) -> None:
    for name in ("Sales", "Support"):
        add_domain(site.instance, ROOT, name, now=clock_now())


@pytest.fixture
def admin(site: Site) -> User:
    """One for each test: a tokencode signs in once. Only one of them is a super administrator."""
    return site.person(f"admin{next(_numbers)}", "domain administrator")


def test_a_domain_is_added_moved_and_removed(visit: Visitor, admin: User) -> None:
    page = visit.sign_in(admin, "/console/domains")
    page.get_by_role("button", name="Sales").click()
    page.get_by_role("link", name="Add a domain below").click()
    page.get_by_label("Name").fill("Bern")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_contain_text("Bern was added")
    page.get_by_role("link", name="Move", exact=True).click()
    page.get_by_label("Parent domain").select_option("Support")
    page.get_by_role("button", name="Move").click()
    expect(page.get_by_role("status")).to_contain_text("Bern was moved below Support")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Security domains")
    expect(page.get_by_role("button", name="Bern")).to_have_count(0)


def test_a_role_holder_sees_its_domain_only(visit: Visitor, site: Site, admin: User) -> None:
    hedy = a_user(site.instance, "hedy", pin=PIN, domain="Sales", now=clock_now() - 3_600)
    a_user(site.instance, "alice", domain="Sales", now=clock_now())
    a_user(site.instance, "bob", domain="Support", now=clock_now())
    page = visit.sign_in(admin, "/console/roles")
    page.get_by_role("button", name="help desk").click()
    page.get_by_role("link", name="Grant", exact=True).first.click()
    page.get_by_label("Name").fill("hedy")
    page.get_by_label("Security domain").select_option("Sales")
    page.get_by_role("button", name="Grant").click()
    expect(page.get_by_role("status")).to_contain_text("hedy now has the role help desk in Sales and below")
    page.get_by_role("button", name="Sign out").click()
    page = visit.sign_in(hedy, "/console/users")
    expect(page.get_by_role("button", name="alice")).to_be_visible()
    expect(page.get_by_role("button", name="bob")).to_have_count(0)
    links = page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    assert "Devices" in links
    assert "Roles" not in links
    visit.page.goto(f"{site.url}/console/users/bob")
    expect(page.get_by_role("alert")).to_contain_text("There is no user 'bob'")


def test_the_key_of_a_client_is_shown_once(visit: Visitor, site: Site, admin: User) -> None:
    page = visit.sign_in(admin, "/console/clients")
    page.get_by_role("link", name="Add an API client").click()
    page.get_by_label("Name").fill("vpn")
    page.get_by_label("Security domain").select_option("Sales")
    page.get_by_role("button", name="Add and show key").click()
    key = page.get_by_role("region", name="Key", exact=True).get_by_text(re.compile("^spk_")).inner_text()
    assert find_client_interface(site.instance, Secret(key), "192.0.2.7", clock_now()) is not None
    page.get_by_role("link", name="Open the API client").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("vpn")
    assert key not in page.content()
