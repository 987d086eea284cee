"""States of pages without an address of their own, such as mistakes, confirmations and codes: axe-core checks each."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from sparekey.app.emergency import approvals
from sparekey.app.people.admin_links import make_link
from sparekey.app.people.users import add_user
from sparekey.clock import now as clock_now
from sparekey.storage.sealed_rows import update_rows
from sparekey.storage.tables import admin_session
from tests.browser.furnished import Furnished, furnish
from tests.browser.looking import faults_of
from tests.browser.rig import Visitor, a_site, visitor
from tests.builders import LIGHT, ROOT, edit_policy

pytestmark = pytest.mark.services

SAMPLES = Path(__file__).parents[1] / "token_files" / "samples"
State = Callable[[Visitor, Furnished], object]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    with a_site(tmp_path_factory.mktemp("states")) as site:
        edit_policy(site.instance, LIGHT, now=clock_now())
        found = furnish(site)
        edit_policy(site.instance, {"passcode_approval": "on"}, now=clock_now())
        for name in ("dora", "dorian"):
            add_user(site.instance, ROOT, name, "Sales", now=clock_now())
        yield found


def send(page: Page, button: str) -> None:
    """Send the form without the browser's own checks."""
    page.evaluate("document.querySelectorAll('form').forEach((each) => { each.noValidate = true; })")
    page.get_by_role("button", name=button, exact=True).first.click()


def refused_at(address: str) -> State:
    def arrive(visit: Visitor, _: Furnished) -> None:
        page = visit.go(address)
        page.get_by_label("User name").fill("nobody")
        page.get_by_label("Passcode").fill("4711000000")
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("alert")).to_be_visible()

    return arrive


def link_for_administrators(visit: Visitor, place: Furnished) -> None:
    link = make_link(place.site.instance, ROOT, "", now=clock_now())
    visit.go("/console/welcome").get_by_label("Code of the link").fill(link.code.reveal())
    visit.page.get_by_role("button", name="Continue").click()
    expect(visit.page.get_by_role("heading", name="Become a super administrator")).to_be_visible()


STRANGERS: Final[Mapping[str, State]] = {
    "the console refuses": refused_at("/console/sign-in"),
    "self-service refuses": refused_at("/self-service/sign-in"),
    "a link without its code": lambda visit, _: visit.go("/console/welcome"),
    "a link for an administrator": link_for_administrators,
}


def at(address: str) -> State:
    return lambda visit, _: visit.go(address)


def mistaken(address: str, button: str) -> State:
    """A form that is sent empty."""

    def arrive(visit: Visitor, _: Furnished) -> None:
        send(visit.go(address), button)
        expect(visit.page.get_by_role("alert")).to_be_visible()

    return arrive


def several_chosen(visit: Visitor, _: Furnished) -> None:
    visit.go("/console/users?text=dor").get_by_label("Select all on this page").check()


def several_to_confirm(visit: Visitor, place: Furnished) -> None:
    several_chosen(visit, place)
    visit.page.get_by_role("button", name="Disable", exact=True).click()
    expect(visit.page.get_by_text("These 2 users")).to_be_visible()


def a_code(visit: Visitor, place: Furnished) -> None:
    page = visit.go(f"/console/tokens/{place.names['serial']}/emergency")
    page.get_by_label("How the caller was identified").fill("called back")
    page.get_by_role("button", name="Show the code on this device").first.click()
    expect(page.get_by_text("Valid until")).to_be_visible()


def a_code_that_hid(visit: Visitor, place: Furnished) -> None:
    a_code(visit, place)
    visit.page.clock.fast_forward(121_000)
    expect(visit.page.get_by_text("The code is hidden")).to_be_visible()


def no_word_about_the_caller(visit: Visitor, place: Furnished) -> None:
    page = visit.go(f"/console/tokens/{place.names['serial']}/emergency")
    page.evaluate("document.querySelectorAll('form').forEach((each) => { each.noValidate = true; })")
    page.get_by_role("button", name="Show the code on this device").first.click()
    expect(page.get_by_role("alert")).to_be_visible()


def one_time_codes(visit: Visitor, place: Furnished) -> None:
    page = visit.go(f"/console/tokens/{place.names['serial']}/emergency")
    page.get_by_text("Replace these tokencodes").click()
    page.get_by_label("Set of one-time tokencodes").check()
    page.get_by_label("How was the caller identified?").fill("called back")
    page.get_by_role("button", name="Create tokencodes").click()
    expect(page.get_by_text("shown only once")).to_be_visible()


def a_second_person_is_waited_for(visit: Visitor, place: Furnished) -> None:
    page = visit.go(f"/console/users/{place.names['login']}/emergency")
    page.get_by_label("How the caller was identified").fill("known voice")
    page.get_by_role("button", name="Show the code on this device").first.click()
    expect(page.get_by_text("Waiting for approval to show the code")).to_be_visible()


def a_second_person_has_agreed(visit: Visitor, place: Furnished) -> None:
    instance, now = place.site.instance, clock_now()
    for each in approvals.list_approvals(instance, ROOT, now=now):
        if each.decidable and each.asker == place.admin.login:
            approvals.approve(instance, ROOT, each.id, now=now)
    page = visit.go(f"/console/users/{place.names['login']}/emergency")
    expect(page.get_by_role("button", name="Show the approved code")).to_be_visible()


def a_new_tokens_key(visit: Visitor, _: Furnished) -> None:
    page = visit.go("/console/new-token?user=dora")
    page.get_by_label("Without a PIN (authenticator app)").check()
    page.get_by_role("button", name="Add and show QR code").click()
    expect(page.get_by_role("img", name=re.compile("QR code"))).to_be_visible()


def a_clients_key(visit: Visitor, _: Furnished) -> None:
    page = visit.go("/console/clients:add")
    page.get_by_label("Name").fill("vpn")
    page.get_by_role("button", name="Add and show key").click()
    expect(page.get_by_role("region", name="Key", exact=True)).to_be_visible()


def an_enrolment_code(visit: Visitor, _: Furnished) -> None:
    page = visit.go("/console/devices:invite")
    page.get_by_label("Name").fill("laptop-new")
    page.get_by_role("button", name="Show enrolment code").click()
    expect(page.get_by_role("region", name="Enrolment code")).to_be_visible()


def users_with_mistakes(visit: Visitor, _: Furnished) -> None:
    page = visit.go("/console/user-imports")
    content = b"login,name,mail\nfritz,Fritz,fritz@example.org\nno name,Nobody,\n"
    page.get_by_label("CSV file").set_input_files({"name": "users.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("1 user can be imported, 1 line rejected")).to_be_visible()


def tokens_with_mistakes(visit: Visitor, _: Furnished) -> None:
    page = visit.go("/console/token-imports")
    head, *lines = (SAMPLES / "tokens.csv").read_text().splitlines()
    content = "\n".join([head, *lines, lines[0]]).encode()
    page.get_by_label("Token file").set_input_files({"name": "tokens.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("region", name="Rejected entries")).to_be_visible()


def an_edit_that_discards(visit: Visitor, _: Furnished) -> None:
    page = visit.go("/console/policies/offline/Default/edit")
    page.get_by_label("Minimum passcode length").fill("16")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("This discards offline data")).to_be_visible()


def a_second_factor_is_asked_for(visit: Visitor, place: Furnished) -> None:
    page = visit.go(f"/console/tokens/{place.names['serial']}?do=pin#pin")
    page.get_by_label("New PIN", exact=True).fill("2468moon")
    page.get_by_label("Repeat the new PIN").fill("2468moon")
    with place.site.instance.database.write() as connection:
        update_rows(connection, admin_session, [], lambda row: {"second_factor_at": row.second_factor_at - 660})
    page.get_by_role("button", name="Set PIN").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    with place.site.instance.database.write() as connection:
        update_rows(connection, admin_session, [], {"second_factor_at": clock_now()})


def a_theft_that_was_reported(visit: Visitor, place: Furnished) -> None:
    page = visit.go(f"/console/devices/{place.names['device_id']}/stolen")
    page.get_by_role("button", name="Report stolen").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("is reported stolen")


# In this order: the last ones change what the others need.
OPERATORS: Final[Mapping[str, State]] = {
    "what is not there": at("/console/users/nobody-at-all"),
    "the box finds nothing": at("/console/search?for=zzz"),
    "the box finds several": at("/console/search?for=dor"),
    "no such user": at("/console/users?text=zzz"),
    "no such token": at("/console/tokens?text=zzz"),
    "no such device": at("/console/devices?text=zzz"),
    "nothing on record": at("/console/audit?result=no-pin-set"),
    "a record of somebody unknown": at("/console/audit?user=nobody-at-all"),
    "several chosen": several_chosen,
    "several to confirm": several_to_confirm,
    "a new user without a name": mistaken("/console/new-user", "Add user"),
    "a domain without a name": mistaken("/console/domains:add", "Add"),
    "a role without a name": mistaken("/console/roles:add", "Add"),
    "no word about the caller": no_word_about_the_caller,
    "a code": a_code,
    "a code that hid": a_code_that_hid,
    "one-time codes": one_time_codes,
    "a second person is waited for": a_second_person_is_waited_for,
    "a second person has agreed": a_second_person_has_agreed,
    "a new token's key": a_new_tokens_key,
    "a client's key": a_clients_key,
    "an enrolment code": an_enrolment_code,
    "a file of users with mistakes": users_with_mistakes,
    "a file of tokens with mistakes": tokens_with_mistakes,
    "an edit that discards": an_edit_that_discards,
    "a second factor is asked for": a_second_factor_is_asked_for,
    "a theft that was reported": a_theft_that_was_reported,
}


def a_passcode_that_is_right(visit: Visitor, place: Furnished) -> None:
    visit.go("/self-service/passcode").get_by_label("Passcode").fill(place.site.passcode(place.with_another))
    visit.page.get_by_role("button", name="Try passcode").click()
    expect(visit.page.get_by_role("status")).to_be_visible()


def a_passcode_that_is_wrong(visit: Visitor, _: Furnished) -> None:
    visit.go("/self-service/passcode").get_by_label("Passcode").fill("4711")
    visit.page.get_by_role("button", name="Try passcode").click()
    expect(visit.page.get_by_role("main")).to_contain_text(re.compile("not accepted|wrong", re.IGNORECASE))


def two_pins_that_differ(visit: Visitor, place: Furnished) -> None:
    page = visit.go(f"/self-service/tokens/{place.with_another.serial}/pin")
    page.get_by_label("New PIN", exact=True).fill("93kd71")
    page.get_by_label("Repeat the new PIN").fill("93kd72")
    page.get_by_role("button", name="Change PIN").click()
    expect(page.get_by_role("alert")).to_be_visible()


def a_token_reported_lost(visit: Visitor, place: Furnished) -> None:
    visit.go(f"/self-service/tokens/{place.names['serial']}/lost")
    visit.page.get_by_role("button", name="Report lost").click()
    expect(visit.page.get_by_role("status")).to_be_visible()


USERS: Final[Mapping[str, State]] = {
    "what is not there": at("/self-service/tokens/SK00000000/pin"),
    "a passcode that is right": a_passcode_that_is_right,
    "a passcode that is wrong": a_passcode_that_is_wrong,
    "two PINs that differ": two_pins_that_differ,
    "a token reported lost": a_token_reported_lost,
}


def test_no_state_of_a_page_keeps_people_out(furnished: Furnished, browser: Browser) -> None:
    visit = visitor(furnished.site, browser)
    visit.page.clock.install()
    found = _faults_in(visit, furnished, STRANGERS)
    visit.sign_in(furnished.with_another, "/self-service")
    found += _faults_in(visit, furnished, USERS)
    visit.sign_in(furnished.admin)
    found += _faults_in(visit, furnished, OPERATORS)
    visit.context.close()
    assert (found, visit.complaints) == ([], [])


def _faults_in(visit: Visitor, place: Furnished, states: Mapping[str, State]) -> list[str]:
    found = []
    for name, arrive in states.items():
        arrive(visit, place)
        found += [f"{name}: {each}" for each in faults_of(visit)]
    return found
