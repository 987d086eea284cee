"""Journeys through Authentication > Tokens in a real browser: owners, PINs, keys and files of tokens."""

import base64
import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect

from sparekey.app.tokens.tokens import show_token
from sparekey.clock import now as clock_now
from sparekey.core.tokens import Totp
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.sealed_rows import update_rows
from tests.browser.rig import Site, Visitor, visitor
from tests.builders import PIN, ROOT, User, a_user, granted, submit
from tests.token_stock import a_stocked_token

pytestmark = pytest.mark.services
SAMPLES = Path(__file__).parents[1] / "token_files" / "samples"


@pytest.fixture
def admin(site: Site, request: pytest.FixtureRequest) -> User:
    """One for each test: a code works once."""
    return site.person(re.sub(r"\W", "-", request.node.name)[5:60])


def age_second_factors(site: Site) -> None:
    """Make the second factor of all sessions eleven minutes old."""
    with site.instance.database.write() as connection:
        update_rows(connection, tables.admin_session, [], lambda row: {"second_factor_at": row.second_factor_at - 660})


def test_a_token_is_assigned_replaced_and_unassigned(site: Site, visit: Visitor, admin: User) -> None:
    first, second = (a_stocked_token(site.instance, now=clock_now()).serial for _ in range(2))
    a_user(site.instance, "walter", now=clock_now())
    page = visit.sign_in(admin, f"/console/tokens?text={first}")
    page.get_by_role("button", name=first).click()
    page.get_by_role("link", name="Assign to a user").click()
    page.get_by_label("User name").fill("walter")
    page.get_by_role("button", name="Assign", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text(f"{first} is assigned to walter.")

    page.get_by_text("Replace with another token").click()
    page.get_by_label("Serial number of the new token").fill(second)
    page.get_by_label("Choose a new PIN at the first sign-in").check()
    page.get_by_role("button", name="Replace", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text(f"{second} replaced {first} for walter.")
    expect(page.get_by_role("heading", level=1)).to_have_text(second)

    page.get_by_role("link", name="Unassign from walter").click()
    expect(page.get_by_text("Its PIN and its emergency codes end")).to_be_visible()
    page.get_by_role("button", name="Unassign").click()
    expect(page.get_by_role("status")).to_contain_text(f"{second} was unassigned from walter.")
    expect(page.get_by_role("row", name=re.compile("Token unassigned"))).to_be_visible()


def test_a_stale_second_factor_is_asked_for_and_the_pin_is_typed_once(site: Site, visit: Visitor, admin: User) -> None:
    wendy = a_user(site.instance, "wendy", pin=PIN, now=clock_now() - 3_600)
    page = visit.sign_in(admin, f"/console/tokens/{wendy.serial}?do=pin#pin")
    page.get_by_label("New PIN", exact=True).fill("2468moon")
    page.get_by_label("Repeat the new PIN").fill("2468moon")
    page.get_by_label("User must change the PIN").uncheck()
    age_second_factors(site)
    page.get_by_role("button", name="Set PIN").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    page.get_by_label("Your passcode").fill(site.passcode(admin))
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status")).to_contain_text("The PIN is set.")
    now = clock_now()
    granted(submit(site.instance, wendy, now, Secret("2468moon" + wendy.totp.code(wendy.step(now)))))


def test_a_lost_token_is_found_again(site: Site, visit: Visitor, admin: User) -> None:
    paul = a_user(site.instance, "paul", pin=PIN, now=clock_now() - 3_600)
    page = visit.sign_in(admin, "/console/tokens?text=paul")
    page.get_by_role("button", name=paul.serial).press("Enter")
    expect(page.get_by_role("link", name="Open", exact=True)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Emergency Access Tokencodes")).to_be_focused()
    page.get_by_role("button", name="Mark as lost").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Its offline emergency tokencode still works.")
    page.get_by_role("button", name="Mark as found").click()
    expect(page.get_by_role("status")).to_contain_text("Its codes are accepted again")


def test_several_are_disabled_at_once(site: Site, visit: Visitor, admin: User) -> None:
    serials = [a_user(site.instance, f"quinn{number}", now=clock_now()).serial for number in range(3)]
    page = visit.sign_in(admin, "/console/tokens?text=quinn")
    expect(page.get_by_text("Selected:")).to_be_hidden()
    page.get_by_label("Select all on this page").check()
    page.get_by_label(f"Select {serials[0]}").uncheck()
    expect(page.get_by_text("Selected: 2")).to_be_visible()
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("2 tokens disabled.")
    assert page.url.endswith("text=quinn")
    assert [show_token(site.instance, ROOT, serial).enabled for serial in serials] == [True, False, False]


def test_a_new_tokens_key_is_shown_once_and_works(site: Site, visit: Visitor, admin: User) -> None:
    a_user(site.instance, "nora", now=clock_now())
    page = visit.sign_in(admin, "/console/new-token?user=nora")
    page.get_by_label("Without a PIN (authenticator app)").check()
    page.get_by_role("button", name="Add and show QR code").click()
    picture = page.get_by_role("img", name=re.compile("QR code"))
    expect(picture).to_be_visible()
    assert picture.evaluate("each => each.naturalWidth") > 100
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download key file").click()
    uri = coming.value.path().read_text().strip()
    serial = coming.value.suggested_filename.removesuffix(".txt")
    page.get_by_text("Enter the key by hand").click()
    key = page.locator("dd.mono").inner_text().replace(" ", "")
    assert f"secret={key}&" in uri
    page.get_by_role("link", name="Done").click()
    page.get_by_role("heading", name=serial).wait_for()
    with suppress(Error):  # the browser kept nothing to go back to
        page.go_back()
    expect(page.locator("body")).not_to_contain_text(key)
    expect(page.get_by_role("img", name=re.compile("QR code"))).to_have_count(0)
    now = clock_now()
    totp = Totp(Secret(_base32(key)))
    granted(submit(site.instance, User("nora", "", serial, "", totp, ""), now))


def _base32(key: str) -> bytes:
    return base64.b32decode(key + "=" * (-len(key) % 8))


def test_a_file_with_errors_is_checked_then_imported(site: Site, visit: Visitor, admin: User, tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    # other serial numbers than in the other samples
    head, *lines = (SAMPLES / "tokens.csv").read_text().replace("\n0", "\n9").splitlines()
    file.write_text("\n".join([head, *lines, lines[0], "X1" + "," * head.count(",")]) + "\n")
    page = visit.sign_in(admin, "/console/token-imports")
    page.get_by_label("Token file").set_input_files(file)
    page.get_by_role("button", name="Check the file").click()
    report = page.get_by_role("status").filter(has_text="Nothing has been imported yet")
    expect(report).to_contain_text(f"{len(lines)} tokens can be imported, 2 rejected")
    refused = page.get_by_role("region", name="Rejected entries")
    expect(refused.get_by_role("row", name=re.compile("serial number twice"))).to_contain_text(str(len(lines) + 2))
    page.get_by_role("button", name=f"Import {len(lines)} tokens").click()  # the file is still chosen
    expect(page.get_by_role("heading", name=f"{len(lines)} tokens imported, 2 rejected")).to_be_visible()
    expect(page.get_by_role("region", name="Recent imports").get_by_role("row").nth(1)).to_contain_text(admin.login)


def test_an_encrypted_file_asks_for_its_password_and_works_without_a_script(
    site: Site, browser: Browser, admin: User
) -> None:
    plain = visitor(site, browser, script=False)
    page = plain.sign_in(admin, "/console/token-imports")
    for password, button in (("wrong", "Check"), ("correct horse", "Check"), ("correct horse", "Import")):
        page.get_by_label("Token file").set_input_files(SAMPLES / "password.sdtid")
        page.get_by_label("Password of the file").fill(password)
        page.get_by_role("button", name=re.compile(f"^{button} ")).click()
        if password == "wrong":
            expect(page.get_by_role("alert")).to_contain_text("another password, or the file was altered")
    expect(page.get_by_role("heading", name=re.compile(r"\d+ tokens? imported"))).to_be_visible()
    plain.context.close()
    assert plain.complaints == []
