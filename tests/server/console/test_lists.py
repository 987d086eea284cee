"""Manage Existing, in this process: lists in other orders, and actions on several devices at once."""

import json
import re
from base64 import b64decode
from collections.abc import Iterable
from html import unescape

import pytest

from sparekey.app.devices import devices
from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import users
from sparekey.app.tokens import tokens
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from sparekey.server.web import cookies
from tests.builders import NOW, ROOT, a_device, logged_events
from tests.server.asgi import Reply
from tests.server.interfaces import run
from tests.server.operation_world import INSIDE, OUTSIDE, World, an_administrator
from tests.server.page_world import header, visit
from tests.server.reading_pages import look, statements, words

DEVICES, REVOKE = "/console/devices", "/console/devices:revoke"
MOST_STATEMENTS = 10


@pytest.fixture
def admin(world: World) -> Secret[str]:
    return an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)


def revoke(world: World, who: Secret[str], form: dict[str, str], path: str = REVOKE) -> Reply:
    (page,) = (each for each in CONSOLE.pages if each.path == REVOKE)
    return run(visit(world, page, who, form, path=path))


def said(reply: Reply) -> str:
    """Return the message of the next page."""
    (kept,) = (
        value.decode() for key, value in reply.headers if key == b"set-cookie" and cookies.SAID in value.decode()
    )
    told: str = json.loads(b64decode(kept.partition("=")[2].partition(";")[0].strip('"'), altchars=b"-_"))
    return told


def shown(reply: Reply, names: Iterable[str]) -> list[str]:
    """Return those of the names that are on the page, in its order."""
    found = re.findall(r'aria-haspopup="true">([^<]+)</button>', reply.body.decode())
    return [each for each in map(unescape, found) if each in set(names)]


def heads(reply: Reply) -> dict[str, tuple[str, str]]:
    """Return, for each sortable column, its present order and the target of its link."""
    found = re.findall(r'<th scope="col"([^>]*)><a href="([^"]*)">([^<]+) <', reply.body.decode())
    return {name: (sort.strip(), unescape(to)) for sort, to, name in found}


def test_users_are_sorted_by_name_either_way(world: World, admin: Secret[str]) -> None:
    people = {"u1": "Zoë", "u2": "anna", "u3": "Änne"}
    for login, name in people.items():
        users.add_user(world.instance, ROOT, login, INSIDE, name, now=NOW)
    first = look(world, admin, "/console/users?text=u&state=enabled")
    assert shown(first, people) == ["u1", "u2", "u3"]
    assert heads(first)["User name"] == ('aria-sort="ascending"', "?text=u&state=enabled&order=-login")
    assert heads(first)["Name"] == ("", "?text=u&state=enabled&order=name")
    by_name = look(world, admin, "/console/users" + heads(first)["Name"][1])
    assert shown(by_name, people) == ["u2", "u3", "u1"]
    assert heads(by_name)["Name"] == ('aria-sort="ascending"', "?text=u&state=enabled&order=-name")
    assert 'name="order" value="name"' in by_name.body.decode()  # other filters keep the order
    turned = look(world, admin, "/console/users" + heads(by_name)["Name"][1])
    assert shown(turned, people) == ["u1", "u3", "u2"]
    assert heads(turned)["Name"][0] == 'aria-sort="descending"'
    assert heads(turned)["User name"] == ("", "?text=u&state=enabled")


def test_tokens_are_sorted_by_their_end(world: World, admin: Secret[str]) -> None:
    ends = {"XA": None, "XB": NOW + 9, "XC": NOW + 5}
    for serial, end in ends.items():
        tokens.add_token(world.instance, ROOT, "alice", tokens.NewToken(serial=serial, expires_at=end), now=NOW)
    assert shown(look(world, admin, "/console/tokens?text=x&order=expiry"), ends) == ["XC", "XB", "XA"]
    assert shown(look(world, admin, "/console/tokens?text=x&order=-expiry"), ends) == ["XA", "XB", "XC"]


def test_an_order_goes_on_page_by_page_with_few_statements(world: World, admin: Secret[str]) -> None:
    names = [f"Quax {number:02d}" for number in range(60)]
    for number, name in enumerate(reversed(names)):
        users.add_user(world.instance, ROOT, f"u{number:02d}", INSIDE, name, now=NOW)
    first = look(world, admin, "/console/users?text=quax&order=-name").body.decode()
    (way_on,) = re.findall(r'rel="next" href="([^"]+)"', first)
    with statements(world) as asked:
        rest = look(world, admin, "/console/users" + unescape(way_on))
    assert shown(rest, [f"u{number:02d}" for number in range(60)]) == [f"u{number}" for number in range(50, 60)]
    assert "after=" not in heads(rest)["Name"][1]  # another order begins at its beginning
    assert len(asked) <= MOST_STATEMENTS, asked


@pytest.mark.parametrize("noun", ["users", "tokens", "devices"])
def test_an_unknown_order_is_reported(world: World, admin: Secret[str], noun: str) -> None:
    reply = look(world, admin, f"/console/{noun}?order=colour")
    assert reply.status == 400
    assert f"{noun.capitalize()} cannot be sorted by 'colour'" in words(reply)


def test_several_devices_are_revoked_after_a_confirmation(world: World, admin: Secret[str]) -> None:
    ids = [a_device(world.instance, name, domain=INSIDE).device_id for name in ("till-2", "till-1")]
    gone = a_device(world.instance, "till-0", domain=INSIDE).device_id
    devices.revoke(world.instance, ROOT, gone, now=NOW)
    listed = look(world, admin, f"{DEVICES}?text=till")
    assert listed.body.decode().count('form="bulk"') == 2  # the one that is revoked cannot be chosen
    form = {"devices": " ".join([*ids, gone])}
    with statements(world) as asked:
        challenge = revoke(world, admin, form, f"{REVOKE}?text=till")
    assert len(asked) <= MOST_STATEMENTS, asked
    assert "These 3 devices: till-0, till-1, till-2." in words(challenge)
    assert len(logged_events(world.instance, Action.DEVICE_REVOKED)) == 1
    done = revoke(world, admin, form | {"sure": "yes"}, f"{REVOKE}?text=till")
    assert (done.status, header(done, "location")) == (303, f"{DEVICES}?text=till")
    rows = logged_events(world.instance, Action.DEVICE_REVOKED)
    assert {row.device_id for row in rows} == {*ids, gone}
    assert len(rows) == 3
    assert said(done) == "2 devices revoked. Not changed: 1 device, already revoked."


def test_no_device_is_chosen(world: World, admin: Secret[str]) -> None:
    reply = revoke(world, admin, {})
    assert (reply.status, "No device is selected" in words(reply)) == (400, True)


def test_s63_several_devices_are_revoked_all_or_none(world: World) -> None:
    sales = an_administrator(world.instance, "domain administrator", INSIDE)
    elsewhere = a_device(world.instance, "far", domain=OUTSIDE).device_id
    for sure in ({}, {"sure": "yes"}):
        reply = revoke(world, sales, {"devices": f"{world.device_id} {elsewhere}", **sure})
        assert reply.status == 404
        assert "far" not in words(reply)
    assert logged_events(world.instance, Action.DEVICE_REVOKED) == []
