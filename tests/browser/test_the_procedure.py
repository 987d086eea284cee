"""The procedure of product.md in a real browser: from the list of tokens to the code that is read out."""

import re

import pytest

from sparekey.clock import now as clock_now
from tests.browser.rig import Site, Visitor
from tests.builders import PIN, User, a_user

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def help_desk(site: Site) -> User:
    return site.person("hedy", "help desk")


@pytest.fixture(scope="module")
def alice(site: Site) -> User:
    user = a_user(site.instance, "alice", pin=PIN, now=clock_now() - 3_600)
    site.filled_device(user, "laptop-alice")
    return user


def test_the_code_on_the_callers_device_is_shown(visit: Visitor, help_desk: User, alice: User) -> None:
    page = visit.sign_in(help_desk, "/console/tokens")
    page.get_by_role("button", name=alice.serial).click()
    page.get_by_role("link", name="Emergency Access Tokencodes").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Manage Emergency Access Tokencodes"
    page.get_by_label("How the caller was identified").fill("called back")
    page.get_by_role("button", name="Show the code on this device").click()
    code = page.get_by_role("region", name=re.compile("Offline Emergency Access Tokencode on laptop-alice"))
    assert re.search(r"Works until .+ \(Europe/Berlin\), in \d+ days", code.inner_text())
