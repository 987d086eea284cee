"""Journeys through Identity > Users in a real browser: search, view, unlock, disable, edit, import."""

import itertools
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from sparekey.app.people import users
from sparekey.app.people.domains import add_domain
from sparekey.clock import now as clock_now
from sparekey.secret import Secret
from tests.browser.rig import Site, Visitor, visitor
from tests.builders import PIN, ROOT, User, a_device, a_user, account_row, denied, submit

pytestmark = pytest.mark.services
_numbers = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def alice(site: Site) -> User:
    """Create a user of Sales with a laptop; others are in the top domain."""
    for name in ("Sales", "Support"):
        add_domain(site.instance, ROOT, name, now=clock_now())
    user = a_user(site.instance, "alice", pin=PIN, domain="Sales", now=clock_now() - 3_600)
    edit = users.UserEdit(name="Alice Example", mail="alice@example.org")
    users.edit_user(site.instance, ROOT, "alice", edit, now=clock_now())
    laptop = a_device(site.instance, "laptop-alice", domain="Sales", now=clock_now())
    laptop.sign_in(user, clock_now(), Secret(site.passcode(user)))
    laptop.contact(user, clock_now())
    laptop.report(clock_now())
    for name in ("albert", "bertha"):
        users.add_user(site.instance, ROOT, name, "SystemDomain", now=clock_now())
    return user


@pytest.fixture
def admin(site: Site) -> User:
    """One for each test: a tokencode signs in once."""
    return site.person(f"admin{next(_numbers)}")


@pytest.fixture
def desk(site: Site) -> User:
    return site.person(f"desk{next(_numbers)}", "help desk", "Sales")


def test_from_the_search_box_to_a_shown_code_in_five_clicks(visit: Visitor, desk: User, alice: User) -> None:
    page = visit.sign_in(desk)
    page.get_by_label("Find a user, token or device").fill("alice@example.org")
    page.keyboard.press("Enter")  # 1
    expect(page.get_by_role("heading", level=1)).to_contain_text("Alice Example")
    device = page.get_by_role("row", name="laptop-alice").first
    expect(device).to_contain_text("Tokencode, version 1")
    page.get_by_role("link", name=f"Emergency code of {alice.serial}").click()  # 2
    page.get_by_label("How the caller was identified").click()  # 3
    page.keyboard.type("called back")
    page.get_by_role("button", name="Show the code on this device").click()  # 4
    expect(page.get_by_role("region", name="laptop-alice")).to_contain_text("Valid until")


def test_users_are_found_while_one_types(visit: Visitor, admin: User) -> None:
    page = visit.sign_in(admin, "/console/users")
    expect(page.get_by_role("button", name="bertha")).to_be_visible()
    page.get_by_label("Name, user name or mail").press_sequentially("al")
    expect(page.get_by_role("button", name="bertha")).to_be_hidden()
    expect(page.get_by_role("button", name="albert")).to_be_visible()
    page.get_by_label("Security domain").select_option("Sales")
    expect(page.get_by_role("button", name="albert")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"text=al&.*domain=Sales"))
    page.reload()
    expect(page.get_by_role("button", name="alice")).to_be_visible()
    expect(page.get_by_text("1 user", exact=True)).to_be_visible()


def test_the_list_works_without_a_script(site: Site, browser: Browser, admin: User) -> None:
    without = visitor(site, browser, script=False)
    page = without.sign_in(admin, "/console/users")
    page.get_by_label("Name, user name or mail").fill("bert")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("button", name="alice")).to_be_hidden()
    page.get_by_role("button", name="bertha").click()
    page.get_by_role("link", name="Open", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("bertha")
    without.context.close()


def test_a_locked_user_is_explained_and_unlocked(visit: Visitor, site: Site, desk: User) -> None:
    carol = a_user(site.instance, "carol", pin=PIN, domain="Sales", now=clock_now() - 3_600)
    for _ in range(5):
        denied(submit(site.instance, carol, clock_now(), carol.wrong(clock_now())))
    page = visit.sign_in(desk, "/console/users/carol")
    expect(page.get_by_role("region", name="Recent activity")).to_contain_text("Wrong passcode")
    page.get_by_role("link", name="Check sign-in").click()
    online = page.get_by_role("region", name="Online")
    expect(online.get_by_role("row", name="not locked")).to_contain_text("Locked since")
    online.get_by_role("link", name="Unlock the user").click()
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_role("status")).to_contain_text("carol was unlocked")
    assert account_row(site.instance, "carol").locked_at is None


def test_several_users_are_disabled_and_one_enabled_again(visit: Visitor, site: Site, admin: User) -> None:
    for name in ("dora", "dorian"):
        users.add_user(site.instance, ROOT, name, "Sales", now=clock_now())
    page = visit.sign_in(admin, "/console/users?text=dor")
    expect(page.get_by_role("button", name="Disable")).to_be_hidden()
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(page.get_by_text("These 2 users: dora, dorian.")).to_be_visible()
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("2 users disabled.")
    page.get_by_role("button", name="dora", exact=True).click()
    page.get_by_role("button", name="Enable", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("dora is enabled")
    assert (account_row(site.instance, "dora").enabled, account_row(site.instance, "dorian").enabled) == (True, False)


def test_a_user_is_added_edited_and_moved(visit: Visitor, site: Site, admin: User) -> None:
    page = visit.sign_in(admin, "/console/users")
    page.get_by_role("link", name="Add a user").click()
    page.get_by_label("User name").fill("erika")
    page.get_by_label("Mail").fill("erika@example.org")
    page.get_by_label("Security domain").select_option("Sales")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("status")).to_contain_text("erika was added")
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Name").fill("Erika Example")
    page.get_by_label("Last day of the account").fill("2031-01-31")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="User", exact=True)).to_contain_text("31 Jan 2031, 23:59")
    page.get_by_role("link", name="Move").click()
    page.get_by_label("New security domain").select_option("Support")
    page.get_by_role("button", name="Move").click()
    expect(page.get_by_role("status")).to_contain_text("erika was moved to Support")
    row = account_row(site.instance, "erika")
    assert (row.name, row.domain) == ("Erika Example", "Support")


def test_a_file_with_mistakes_is_checked_and_imported(visit: Visitor, site: Site, admin: User, tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text("login,name,mail\nfritz,Fritz,fritz@example.org\nalice,Alice,\nno name,Nobody,\n")
    page = visit.sign_in(admin, "/console/user-imports")
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Check the file").click()
    report = page.get_by_role("status").filter(has=page.get_by_role("heading", level=2))
    expect(report).to_contain_text("1 user can be imported, 2 lines rejected")
    expect(report.get_by_role("row", name="no name")).to_contain_text("cannot be a login name")
    page.get_by_role("button", name="Import 1 user").click()
    expect(report).to_contain_text("1 user imported, 2 lines rejected")
    assert account_row(site.instance, "fritz").mail == "fritz@example.org"


def test_on_a_telephone_the_navigation_is_a_menu_and_rows_are_cards(site: Site, browser: Browser, admin: User) -> None:
    visit = visitor(site, browser, width=390)
    page = visit.sign_in(admin, "/console/users")
    navigation = page.get_by_role("navigation", name="Security Console")
    expect(navigation).to_be_hidden()
    page.get_by_role("button", name="Menu", exact=True).click()
    expect(navigation.get_by_role("link", name="Audit")).to_be_visible()
    page.keyboard.press("Escape")
    expect(navigation).to_be_hidden()
    page.get_by_label("Name, user name or mail").fill("alice")
    mail = page.locator("#list td[data-label=Mail]")
    expect(mail).to_have_count(1)
    expect(mail).to_have_text("alice@example.org")  # rows that came later have their labels, too
    name, under_it = page.get_by_role("button", name="alice", exact=True).bounding_box(), mail.bounding_box()
    assert name
    assert under_it
    assert name["y"] + name["height"] <= under_it["y"]
    visit.context.close()
    assert visit.complaints == []
