"""Policies and the audit log in a real browser: costs are shown before an edit, and readers may not change anything."""

import json
import re

import pytest
from playwright.sync_api import expect

from sparekey.app.policies import policies
from sparekey.clock import now as clock_now
from sparekey.core.policy.kinds import PolicyKind
from tests.browser.rig import Site, Visitor
from tests.builders import PIN, REST, ROOT, User, a_user, submit

pytestmark = pytest.mark.services
OFFLINE = "/console/policies/offline/Default"


@pytest.fixture(scope="module")
def root(site: Site) -> User:
    return site.person("rosa")


@pytest.fixture(scope="module")
def auditor(site: Site) -> User:
    return site.person("otto", "auditor")


@pytest.fixture(scope="module")
def alice(site: Site) -> User:
    user = a_user(site.instance, "alice", pin=PIN, now=clock_now() - 3_600)
    site.filled_device(user, "laptop-alice")
    submit(site.instance, user, clock_now(), user.wrong(clock_now()), interface=REST)
    return user


@pytest.mark.usefixtures("alice")
def test_an_edit_that_discards_data_warns_and_is_confirmed(site: Site, visit: Visitor, root: User) -> None:
    page = visit.sign_in(root, "/console/policies")
    page.get_by_role("button", name="Default").click()
    page.get_by_role("link", name="Edit", exact=True).click()
    cost = page.get_by_role("region", name="Cost to break a stolen laptop")
    expect(cost).to_contain_text("About 1,300 USD")
    page.get_by_label("Protection level").select_option("strong")
    expect(cost).to_contain_text("About 15,000 USD")
    page.get_by_label("Minimum passcode length").fill("16")
    page.get_by_role("button", name="Save").click()
    told = page.get_by_role("main")
    expect(told).to_contain_text("This discards offline data")
    expect(told).to_contain_text("Offline data of 1 user on 1 device")
    expect(told).to_contain_text(re.compile(r"PINs too short for the new minimum: \d+ tokens\."))
    expect(told).to_contain_text(re.compile(r"about .+ on \d+ cores?"))
    assert stored(site, "minimum_passcode_length") == 10
    page.get_by_role("button", name="Save and discard data").click()
    expect(page.get_by_role("status")).to_contain_text("Default was saved")
    assert stored(site, "minimum_passcode_length") == 16


def test_the_effective_policy_names_its_source(visit: Visitor, root: User, alice: User) -> None:
    page = visit.sign_in(root, "/console/policies")
    page.get_by_role("link", name="Effective policy of a user").click()
    page.get_by_role("textbox", name="User name").fill(alice.login)
    page.get_by_role("textbox", name=re.compile("^Device")).fill("laptop-alice")
    page.get_by_role("button", name="Show").click()
    row = page.get_by_role("row", name=re.compile("^Days of offline data"))
    expect(row).to_contain_text("1 day")
    expect(row).to_contain_text("policy 'Default'")


def test_the_audit_log_is_searched_opened_and_downloaded(visit: Visitor, auditor: User, alice: User) -> None:
    page = visit.sign_in(auditor, "/console/audit")
    page.get_by_label("User", exact=True).fill(alice.login)
    page.get_by_label("Result", exact=True).select_option("refused")
    page.get_by_role("button", name="Show").click()
    refusal = page.get_by_role("row").filter(has_text="Sign-in refused")
    expect(refusal).to_contain_text("Wrong passcode")
    refusal.get_by_text("Sign-in refused").click()
    expect(refusal.get_by_text("sign-in.denied")).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download JSON lines").click()
    lines = waiting.value.path().read_text().splitlines()
    assert [json.loads(line)["result"] for line in lines] == ["wrong-passcode"]


def stored(site: Site, name: str) -> object:
    return policies.show_policy(site.instance, ROOT, PolicyKind.OFFLINE, "Default").values[name]
