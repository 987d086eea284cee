"""The emergency pages without a browser: codes shown once, audit events, obstacles, and the database queries of each
page."""

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import pytest
from sqlalchemy import event

from sparekey.app.audit import SYSTEM
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.approvals import ApprovalState, list_approvals
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.notices import raise_alarm
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.emergency.online import IfAvailable
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from tests.builders import (
    DAY,
    HELP_DESK,
    LIGHT,
    NOW,
    PIN,
    edit_policy,
    logged_events,
    set_mail,
    submit,
)
from tests.server.asgi import Reply
from tests.server.interfaces import run
from tests.server.operation_world import INSIDE, World, an_administrator
from tests.server.page_world import header, visit

TOKENCODES, PASSCODES = "/console/tokens/{serial}/emergency", "/console/users/{login}/emergency"
CALLER = {"caller": "called back", "note": "in a hurry", "ticket": "T-1"}
TWO_PEOPLE = LIGHT | {"passcode_approval": "on"}


@pytest.fixture
def hedy(world: World) -> Secret[str]:
    """Return the session of a help-desk operator."""
    return an_administrator(world.instance, "help desk", INSIDE)


def ask(
    world: World, token: Secret[str], method: str, page_path: str, form: dict[str, str] | None = None, **more: Any
) -> Reply:
    page = next(each for each in CONSOLE.pages if (each.method, each.path) == (method, page_path))
    return run(visit(world, page, token, form, **more))


def words(reply: Reply) -> str:
    """Return the text of the page without its markup."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", reply.body.decode())))


def code_on(reply: Reply) -> str:
    """The code in large letters."""
    return "".join(re.findall(r"<b>([0-9A-Z]{5})</b>", reply.body.decode()))


@contextmanager
def counted(instance: Instance) -> Iterator[list[str]]:
    """The statements that are carried out meanwhile."""
    seen: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            seen.append(statement)

    event.listen(instance.database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(instance.database.engine, "before_cursor_execute", note)


def test_the_expiry_is_there_before_the_code_and_the_code_only_in_the_answer(world: World, hedy: Secret[str]) -> None:
    before = words(ask(world, hedy, "GET", TOKENCODES))
    assert "laptop" in before
    assert re.search(r"Expiration date .*\(UTC\) in \d+ days", before)
    shown = ask(world, hedy, "POST", f"{TOKENCODES}/show", CALLER)
    code = code_on(shown)
    assert len(code) == 10
    assert "Valid until" in words(shown)
    again = ask(world, hedy, "GET", TOKENCODES)
    assert code_on(again) == ""
    assert code[:5] not in words(again)


def test_the_page_names_where_a_code_works(world: World, hedy: Secret[str]) -> None:
    where = "only while that device cannot reach the server"
    for page in (TOKENCODES, PASSCODES):
        assert where in words(ask(world, hedy, "POST", f"{page}/show", CALLER)), page
    ask(world, hedy, "POST", f"{TOKENCODES}/save", {"online": "on"})
    assert where not in words(ask(world, hedy, "POST", f"{TOKENCODES}/show", CALLER))


def test_s42_a_code_shown_on_a_page_is_logged_with_the_operator_s_statement(world: World, hedy: Secret[str]) -> None:
    set_mail(world.instance, world.alice, "alice@example.com")
    reply = ask(world, hedy, "POST", f"{TOKENCODES}/show", CALLER)
    assert len(code_on(reply)) == 10
    (row,) = logged_events(world.instance, Action.EMERGENCY_SHOWN)
    detail = json.loads(row.detail)
    assert {name: detail[name] for name in CALLER} == CALLER
    assert row.device_id == world.device_id
    assert row.actor.startswith("user:")
    assert (
        "The operator identified the caller: called back. The ticket is T-1. The operator noted: in a hurry."
        in words(reply)
    )


def test_s42_without_the_caller_s_identification_nothing_is_shown(world: World, hedy: Secret[str]) -> None:
    reply = ask(world, hedy, "POST", f"{TOKENCODES}/show", {**CALLER, "caller": "  "})
    assert reply.status == 400
    assert "'How the caller was identified' is empty" in words(reply)
    assert 'value="T-1"' in reply.body.decode()  # the typed text is still there
    assert code_on(reply) == ""
    assert logged_events(world.instance, Action.EMERGENCY_SHOWN) == []


def test_s42_codes_are_not_compressed_beside_chosen_text(world: World, hedy: Secret[str]) -> None:
    zipped = {"headers": {"accept-encoding": "gzip"}}
    plain = ask(world, hedy, "GET", TOKENCODES, **zipped)
    assert b"Manage Emergency" in gzip.decompress(plain.body)
    for path, form in (
        (f"{TOKENCODES}/show", CALLER),
        (f"{TOKENCODES}/temporary", {"kind": "fixed", "lifetime": "none", "given-caller": "called back"}),
    ):
        reply = ask(world, hedy, "POST", path, form, **zipped)
        assert (reply.status, header(reply, "content-encoding")) == (200, ""), path
        assert header(reply, "cache-control") == "no-store"


def test_s43_a_page_shows_a_code_only_after_approval_and_once(world: World, hedy: Secret[str]) -> None:
    edit_policy(world.instance, TWO_PEOPLE)
    asked = ask(world, hedy, "POST", f"{PASSCODES}/show", CALLER)
    assert (asked.status, header(asked, "location")) == (303, "/console/users/alice/emergency")
    assert "Waiting for approval to show the code on laptop" in words(ask(world, hedy, "GET", PASSCODES))
    (request,) = list_approvals(world.instance, HELP_DESK, now=NOW)
    home = ask(world, hedy, "GET", "/console")
    assert request.id not in home.body.decode()  # nothing to press for who asked
    chief = an_administrator(world.instance, "domain administrator", INSIDE)
    assert f"/console/approvals/{request.id}/approve" in ask(world, chief, "GET", "/console").body.decode()
    path = f"/console/approvals/{request.id}/approve"
    ask(world, chief, "POST", "/console/approvals/{approval_id}/approve", {}, path=path)
    page = ask(world, hedy, "GET", f"{PASSCODES}/requests", headers={"hx-request": "true"})
    assert "has approved your request for the code on laptop" in words(page)
    assert b"<html" not in page.body
    first = ask(world, hedy, "POST", f"{PASSCODES}/show", {"caller": "called back", "device": world.device_id})
    assert len(code_on(first)) == 15
    second = ask(world, hedy, "POST", f"{PASSCODES}/show", {"caller": "called back", "device": world.device_id})
    assert (second.status, code_on(second)) == (303, "")
    shown, waiting = sorted(each.state for each in list_approvals(world.instance, HELP_DESK, now=NOW))
    assert (shown, waiting) == (ApprovalState.USED, ApprovalState.WAITING)


def test_s43_requesters_cannot_approve_over_the_pages(world: World) -> None:
    edit_policy(world.instance, TWO_PEOPLE)
    alone = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    ask(world, alone, "POST", f"{PASSCODES}/show", CALLER)
    (request,) = list_approvals(world.instance, HELP_DESK, now=NOW)
    for page in ("/console", "/console/approvals"):
        seen = ask(world, alone, "GET", page)
        assert "waiting" in words(seen)
        assert f"{request.id}/approve" not in seen.body.decode()
    path = f"/console/approvals/{request.id}/approve"
    reply = ask(world, alone, "POST", "/console/approvals/{approval_id}/approve", {}, path=path)
    assert reply.status == 403
    assert logged_events(world.instance, Action.APPROVAL_GIVEN) == []


def test_save_resets_and_allows_the_code_online_at_once(world: World, hedy: Secret[str]) -> None:
    reply = ask(world, hedy, "POST", f"{TOKENCODES}/save", {"reset": "on", "online": "on"})
    assert reply.status == 303
    page = ask(world, hedy, "GET", TOKENCODES)
    assert "A new code is downloaded at the next online sign-in." in words(page)
    assert re.search(r'name="online" value="on" checked', page.body.decode())
    code = emergency.show(
        world.instance, HELP_DESK, CodeKind.TOKENCODE, world.alice.serial, None, Showing("badge"), now=NOW
    ).code
    assert isinstance(submit(world.instance, world.alice, NOW, Secret(PIN + code.reveal())), Granted)
    ask(world, hedy, "POST", f"{TOKENCODES}/save", {"online": "on"})  # unchanged: no audit event
    assert len(logged_events(world.instance, Action.EMERGENCY_ONLINE)) == 1
    assert len(logged_events(world.instance, Action.EMERGENCY_RESET)) == 1


def test_online_access_until_the_end_of_a_day_with_each_rule(world: World, hedy: Secret[str]) -> None:
    serial, codes = world.alice.serial, [""]
    for rule in IfAvailable:
        form = {
            "kind": "one-time",
            "count": "3",
            "lifetime": "date",
            "until": "2027-01-31",
            "if-available": rule,
            "given-caller": "called back",
        }
        reply = ask(world, hedy, "POST", f"{TOKENCODES}/temporary", form)
        assert reply.status == 200, words(reply)
        codes = re.findall(r'<b class="mono">(\w{8})</b>', reply.body.decode())
        assert len(set(codes)) == 3
        view = online_emergency.access_of(world.instance, HELP_DESK, serial, now=NOW)
        assert view is not None
        assert (view.if_available, view.codes, view.expires_at) == (rule, 3, 1_801_439_999)
    after = ask(world, hedy, "GET", TOKENCODES)
    assert "3 of 3 left" in words(after)
    assert codes[0] not in words(after)
    assert "The operator identified the caller: called back." in words(after)
    nobody = ask(world, hedy, "POST", f"{TOKENCODES}/temporary", {"kind": "fixed", "lifetime": "none"})
    assert (nobody.status, "'How the caller was identified' is empty" in words(nobody)) == (400, True)
    past = ask(
        world, hedy, "POST", f"{TOKENCODES}/temporary", {"kind": "fixed", "until": "2026-01-31", "given-caller": "x"}
    )
    assert (past.status, "is in the past, or too far in the future" in words(past)) == (400, True)
    ask(world, hedy, "POST", f"{TOKENCODES}/temporary/end")
    assert online_emergency.access_of(world.instance, HELP_DESK, serial, now=NOW) is None


def test_an_expired_code_is_not_shown(world: World, hedy: Secret[str]) -> None:
    world.interfaces.now[0] = NOW + 31 * DAY
    hedy = an_administrator_later(world, NOW + 31 * DAY)
    page = words(ask(world, hedy, "GET", TOKENCODES))
    assert "Expired" in page
    assert "Show the code on this device" not in page


def an_administrator_later(world: World, now: int) -> Secret[str]:
    return an_administrator(world.instance, "help desk", INSIDE, now)


def an_operator(world: World) -> str:
    """Create an operator whose name the reader may know."""
    return f"user:{world.alice.account_id}"


@pytest.mark.parametrize(
    "path", [TOKENCODES, PASSCODES, "/console", "/console/alarms", "/console/approvals", "/console/operators"]
)
def test_a_page_asks_the_database_little(world: World, path: str) -> None:
    edit_policy(world.instance, TWO_PEOPLE)
    chief = an_administrator(world.instance, "domain administrator", INSIDE)
    ask(world, chief, "POST", f"{TOKENCODES}/show", CALLER)
    ask(world, chief, "POST", f"{PASSCODES}/show", CALLER)
    with world.instance.database.write() as connection:
        raise_alarm(connection, NOW, SYSTEM, Action.ALARM_CLOCK, account=world.alice.account_id)
        raise_alarm(connection, NOW, an_operator(world), Action.ALARM_OPERATOR_STOPPED, operator=an_operator(world))
    with counted(world.instance) as seen:
        reply = ask(world, chief, "GET", path)
    assert reply.status == 200
    assert len(seen) <= 10, "\n".join(seen)
    assert len(gzip.compress(reply.body)) < 20_000


def test_after_a_passcode_the_next_thing_is_another_pin(world: World, hedy: Secret[str]) -> None:
    shown = ask(world, hedy, "POST", f"{PASSCODES}/show", CALLER)
    assert len(code_on(shown)) > 10
    assert "This code does not change the PIN. Set a new one next:" in words(shown)
    assert f'href="/console/tokens/{world.alice.serial}?do=pin#pin"' in shown.body.decode()
    assert "Set a new one next" not in words(ask(world, hedy, "POST", f"{TOKENCODES}/show", CALLER))
