"""A passcode that needs two people, and an operator who is stopped: at two browsers."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from sparekey.clock import now as clock_now
from tests.browser.rig import Site, Visitor, visitor
from tests.builders import LIGHT, PIN, User, a_user, edit_policy

pytestmark = pytest.mark.services
PASSCODE = "Offline Emergency Passcode"


@pytest.fixture(scope="module")
def alice(site: Site) -> User:
    edit_policy(
        site.instance, LIGHT | {"passcode_approval": "on", "showings_warn": "2", "showings_limit": "3"}, now=clock_now()
    )
    user = a_user(site.instance, "alice", pin=PIN, now=clock_now() - 3_600)
    site.filled_device(user, "laptop-alice")
    return user


@pytest.fixture(scope="module")
def hedy(site: Site) -> User:
    return site.person("hedy", "help desk")


@pytest.fixture(scope="module")
def dora(site: Site) -> User:
    return site.person("dora", "domain administrator")


@pytest.fixture
def second(site: Site, browser: Browser) -> Iterator[Visitor]:
    """Yield another browser, of another operator."""
    found = visitor(site, browser)
    yield found
    found.context.close()
    assert found.complaints == []


def test_one_asks_the_other_approves_and_it_is_shown_once(
    visit: Visitor, second: Visitor, alice: User, hedy: User, dora: User
) -> None:
    page = visit.sign_in(hedy, "/console/users/alice/emergency")
    expect(page.get_by_text("The policy requires approval")).to_be_visible()
    page.get_by_label("How the caller was identified").fill("known voice")
    page.get_by_role("button", name="Show the code on this device").click()
    expect(page.get_by_text("Waiting for approval to show the code on laptop-alice.")).to_be_visible()
    other = second.sign_in(dora)
    row = other.get_by_role("region", name="Waiting for approval").get_by_role("row", name="alice")
    expect(row).to_contain_text("known voice")
    row.get_by_role("button", name="Approve").click()
    expect(other.get_by_role("status")).to_contain_text(
        "hedy can now show an offline emergency passcode (laptop-alice) of alice, once"
    )
    page.get_by_role("button", name="Show the approved code").click()  # appears automatically
    shown = page.get_by_role("region", name=f"{PASSCODE} on laptop-alice")
    assert len("".join(shown.locator(".group b").all_inner_texts())) == 15
    page.get_by_role("link", name="Hide the code").click()
    expect(page.get_by_role("button", name="Show the approved code")).to_have_count(0)
    expect(page.get_by_role("region", name="Emergency history")).to_contain_text("The request was approved by dora.")


def test_a_denial_is_shown_to_the_requester(
    visit: Visitor, second: Visitor, alice: User, hedy: User, dora: User
) -> None:
    page = visit.sign_in(hedy, "/console/users/alice/emergency")
    page.get_by_label("How the caller was identified").fill("unsure")
    page.get_by_role("button", name="Show the code on this device").click()
    other = second.sign_in(dora, "/console/approvals")
    other.get_by_role("row", name="unsure").get_by_role("button", name="Refuse").click()
    expect(other.get_by_role("status")).to_contain_text("Refused")
    expect(page.get_by_text("dora has refused your request for the code on laptop-alice.")).to_be_visible(
        timeout=15_000
    )


def test_an_operator_over_the_limit_is_stopped_until_it_is_raised(
    visit: Visitor, second: Visitor, site: Site, alice: User, dora: User
) -> None:
    helen = site.person("helen", "help desk")
    page = visit.sign_in(helen, f"/console/tokens/{alice.serial}/emergency")
    for number in range(4):
        page.get_by_label("How the caller was identified").fill(f"caller {number}")
        page.get_by_role("button", name="Show the code on this device").click()
    expect(page.get_by_role("alert")).to_contain_text("which is the limit")
    other = second.sign_in(dora)
    alarms = other.get_by_role("region", name="Alarms")
    alarm = alarms.get_by_role("row", name="helen").filter(has_text="requested another one")
    alarm.get_by_role("button", name="Lift their limit").click()
    expect(other.get_by_role("status")).to_contain_text("The limit of helen is lifted for 4 hours")
    expect(other.get_by_role("row", name="helen")).to_contain_text("lifted until")
    page.get_by_role("button", name="Show the code on this device").click()
    expect(page.get_by_role("region", name="Offline Emergency Access Tokencode on laptop-alice")).to_be_visible()
    second.go("/console")
    open_alarms = alarms.get_by_role("button", name="Acknowledge")
    before = open_alarms.count()
    open_alarms.first.click()
    expect(other.get_by_role("status")).to_contain_text("Alarm acknowledged.")
    expect(open_alarms).to_have_count(before - 1)
    other.get_by_role("link", name="All alarms").click()
    expect(other.get_by_role("main")).to_contain_text("Acknowledged by dora")


def test_home_counts_users_who_could_not_sign_in(visit: Visitor, alice: User, dora: User) -> None:
    page = visit.sign_in(dora)
    numbers = page.get_by_role("region", name="If the network failed now")
    expect(numbers).to_contain_text("sign in with the token")
    expect(numbers).not_to_contain_text("Counting")
    numbers.get_by_role("link", name="See affected users").click()
    expect(page.get_by_role("row", name="dora")).to_contain_text("now")
