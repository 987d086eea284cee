"""Devices in a real browser: invited and revoked, and one that was stolen."""

import itertools
import re

import pytest
from playwright.sync_api import expect

from sparekey.app.devices.devices import show_device
from sparekey.clock import now as clock_now
from tests.browser.rig import Site, Visitor
from tests.builders import PIN, ROOT, User, a_device, a_user

pytestmark = pytest.mark.services


_numbers = itertools.count(1)


@pytest.fixture
def admin(site: Site) -> User:
    """One for each test: a tokencode signs in once."""
    return site.person(f"admin{next(_numbers)}")


def test_a_device_is_invited_and_another_one_revoked(visit: Visitor, site: Site, admin: User) -> None:
    a_device(site.instance, "laptop-old", now=clock_now())
    page = visit.sign_in(admin, "/console/devices")
    page.get_by_role("link", name="Invite a device").click()
    page.get_by_label("Name").fill("laptop-new")
    page.get_by_role("button", name="Show enrolment code").click()
    shown = page.get_by_role("region", name="Enrolment code")
    expect(shown).to_contain_text(re.compile(r"([0-9A-Z]{5}-){7}[0-9A-Z]{5}"))
    expect(shown).to_contain_text(re.compile(r"until .+ \(Europe/Berlin\), in 2[34] hours"))
    expect(page.get_by_text("sparekey-agent enroll --server")).to_be_visible()
    page.get_by_role("link", name="Go to devices").click()
    page.get_by_label("Name begins with").fill("LAPTOP-O")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("1 device", exact=True)).to_be_visible()
    page.get_by_role("button", name="laptop-old").click()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text("The server rejects it")
    assert show_device(site.instance, ROOT, "laptop-old").revoked_at is not None


def test_reporting_a_theft_ends_access_of_the_device(visit: Visitor, site: Site, admin: User) -> None:
    alice = a_user(site.instance, "alice", pin=PIN, now=clock_now() - 3_600)
    site.filled_device(alice, "laptop-alice")
    page = visit.sign_in(admin, "/console/devices")
    page.get_by_role("button", name="laptop-alice").click()
    page.get_by_role("link", name="Open", exact=True).click()
    held = page.get_by_role("region", name="Users with offline sign-in")
    expect(held).to_contain_text(f"Tokencode of {alice.serial}, version 1")
    page.get_by_role("link", name="Report stolen").click()
    expect(page.get_by_role("region", name="What happens immediately")).to_contain_text("You cannot undo this")
    expect(page.get_by_role("row", name="alice")).to_contain_text(f"at the next sign-in token {alice.serial}")
    page.get_by_role("button", name="Report stolen").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("laptop-alice is reported stolen")
    expect(page.get_by_role("row", name="alice")).to_contain_text("ended; new codes follow")
    page.get_by_role("link", name="Go to the device", exact=True).click()
    gone = page.get_by_role("region", name="Offline data still on the device")
    expect(gone.get_by_text("has erased nothing")).to_be_visible()
    expect(gone.get_by_role("row", name="alice")).to_be_visible()
    expect(page.get_by_role("link", name="Report stolen")).to_have_count(0)
